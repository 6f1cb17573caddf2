"""Adversarial loss of a generator and its critics, for a common step of both."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.errors import RegressError

Pair = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]


def _hinge_critic(real: Tensor, generated: Tensor) -> Tensor:
    return functional.relu(1 - real).mean() + functional.relu(1 + generated).mean()


def _hinge_generator(generated: Tensor) -> Tensor:
    return -generated.mean()


def _squares_critic(real: Tensor, generated: Tensor) -> Tensor:
    return ((real - 1) ** 2).mean() + ((generated + 1) ** 2).mean()


def _squares_generator(generated: Tensor) -> Tensor:
    return (generated**2).mean()


# The critic's loss, of its verdicts on measured and generated responses, and the generator's, of
# the verdicts on generated ones.
GAMES: dict[str, Pair] = {
    "hinge": (_hinge_critic, _hinge_generator),
    "least_squares": (_squares_critic, _squares_generator),
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
    weight : float
        Weight of the verdicts in the generator's loss, where the loss of a vertex has weight 1.
    penalty : float
        Weight of R1, the critic's squared slope at measured responses; 0 for none.
    sight : Module, optional
        Module from the features to the critics' input; the identity by default.
    rate : float
        Learning rate of the critics, as a multiple of the generator's.

    Attributes
    ----------
    rate : float
        Learning rate of the critics, as a multiple of the generator's.
    right, judged : Tensor ()
        Numbers of right verdicts and of all verdicts since `begin`.

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
        sight: nn.Module | None = None,
        rate: float = 1.0,
    ) -> None:
        super().__init__()
        self.rate = rate
        self._sight = sight or nn.Identity()
        check_game(game)
        self.critics, self._weight, self._penalty = critics, weight, penalty
        self._critic_loss, self._generator_loss = GAMES[game]
        self.begin()

    def begin(self) -> None:
        """Reset the count of right verdicts."""
        self.right = torch.zeros(())
        self.judged = torch.zeros(())

    @property
    def accuracy(self) -> float:
        """Share of right verdicts since `begin`."""
        return float(self.right / self.judged.clamp_min(1))

    def forward(self, features: Tensor, predicted: Tensor, measured: Tensor) -> Tensor:
        """Compute what is added to the loss of a step.

        Its gradient is the generator's for the predictions, and the critics' for their weights.
        """
        embedding = self._sight(features)
        total = predicted.new_zeros(())
        for critic in self.critics.values():
            with _frozen(critic):
                verdicts = critic(predicted, embedding)
            total = total + self._weight * predicted.shape[1] * self._generator_loss(verdicts)
            total = total + self._learn(critic, embedding, predicted.detach(), measured)
        return total

    def _learn(
        self, critic: nn.Module, embedding: Tensor, generated: Tensor, measured: Tensor
    ) -> Tensor:
        measured = measured.requires_grad_(self._penalty > 0)
        measured_verdicts, generated_verdicts = (
            critic(measured, embedding),
            critic(generated, embedding),
        )
        with torch.no_grad():
            self.right = self.right + (measured_verdicts > 0).sum() + (generated_verdicts < 0).sum()
            self.judged = self.judged + measured_verdicts.numel() + generated_verdicts.numel()
        loss = self._critic_loss(measured_verdicts, generated_verdicts)
        if self._penalty:
            (slope,) = torch.autograd.grad(
                measured_verdicts.mean(1).sum(), measured, create_graph=True
            )
            loss = loss + self._penalty / 2 * (slope**2).sum(1).mean()
        return loss


@contextmanager
def _frozen(critic: nn.Module) -> Iterator[None]:
    """Freeze a critic's weights inside the block."""
    weights = list(critic.parameters())
    try:
        for weight in weights:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
