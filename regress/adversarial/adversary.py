"""Adversarial loss of a generator and its critics, for a common step of both."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from regress.errors import RegressError

Pair = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]


# The critic's loss, of its verdicts on measured and generated responses, and the generator's, of
# the verdicts on generated ones.
GAMES: dict[str, Pair] = {
    "hinge": (
        lambda real, fake: functional.relu(1 - real).mean() + functional.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
    "least_squares": (
        lambda real, fake: ((real - 1) ** 2).mean() + ((fake + 1) ** 2).mean(),
        lambda fake: (fake**2).mean(),
    ),
}


def check_game(name: str) -> None:
    """Check the name of a game."""
    if name not in GAMES:
        raise RegressError(f"game: found {name!r}, expected {' or '.join(GAMES)}")


class Adversary(nn.Module):
    """Critics that are trained together with a generator.

    Generator and critics take each step together, on the same pictures, each along its own loss:
    both use one backward pass and one optimiser, so that a training is resumed, logged and stopped
    like any other.

    Parameters
    ----------
    critics : ModuleDict
        Critics by name.
    game : str
        A key of `GAMES`.
    weight, penalty : float
        Weights of the verdicts and of R1, as in `Critics`.
    view : Module, optional
        Module from the features to the critics' input; the identity by default.
    rate : float
        Learning rate of the critics, as a multiple of the generator's.

    References
    ----------
    Lim, Ye (2017). Geometric GAN: the hinge loss. arXiv:1705.02894.
    Mao et al. (2017). Least squares generative adversarial networks. ICCV; a = -1, b = 1, c = 0.
    Mescheder, Geiger, Nowozin (2018). Which training methods for GANs do actually converge? ICML,
    equation 9: R1.
    Heusel et al. (2017). GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium. NeurIPS: critics that learn at another rate.
    """

    def __init__(
        self,
        critics: nn.ModuleDict,
        game: str,
        weight: float,
        penalty: float,
        view: nn.Module | None = None,
        rate: float = 1.0,
    ) -> None:
        super().__init__()
        check_game(game)
        self.rate, self._view = rate, view or nn.Identity()
        self.critics, self._weight, self._penalty = critics, weight, penalty
        self._critic_loss, self._generator_loss = GAMES[game]
        self.begin()

    def begin(self) -> None:
        """Reset the count of right verdicts."""
        self._n_right = self._n_verdicts = torch.zeros(())

    @property
    def accuracy(self) -> float:
        """Share of right verdicts since `begin`."""
        return float(self._n_right / self._n_verdicts.clamp_min(1))

    def forward(self, features: Tensor, predicted: Tensor, measured: Tensor) -> Tensor:
        """Compute what is added to the loss of a step, of predictions and of critics' weights."""
        embedding = self._view(features)
        total = predicted.new_zeros(())
        for critic in self.critics.values():
            frozen = {name: weight.detach() for name, weight in critic.named_parameters()}
            verdicts = functional_call(critic, frozen, (predicted, embedding))
            total = total + self._weight * predicted.shape[1] * self._generator_loss(verdicts)
            total = total + self._learn(critic, embedding, predicted.detach(), measured)
        return total

    def _learn(
        self, critic: nn.Module, embedding: Tensor, generated: Tensor, measured: Tensor
    ) -> Tensor:
        measured = measured.requires_grad_(self._penalty > 0)
        real, fake = critic(measured, embedding), critic(generated, embedding)
        with torch.no_grad():
            self._n_right = self._n_right + (real > 0).sum() + (fake < 0).sum()
            self._n_verdicts = self._n_verdicts + real.numel() + fake.numel()
        loss = self._critic_loss(real, fake)
        if self._penalty:
            (slope,) = torch.autograd.grad(real.mean(1).sum(), measured, create_graph=True)
            loss = loss + self._penalty / 2 * (slope**2).sum(1).mean()
        return loss
