"""The network of a diffusion model: what it is trained on, and what it draws."""

from collections.abc import Iterator
from typing import ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.diffusion.code_algebra import encode, metric
from regress.diffusion.denoiser import Denoiser
from regress.diffusion.pretrained_unet import PretrainedUNet
from regress.diffusion.schedulers import (
    LEVELS,
    Noising,
    draw_noise,
    even_levels,
    sample_code,
    to_standard_normal,
)
from regress.layers.readout import read_out
from regress.layers.tower import Tower
from regress.training import Network

# Levels of noise that a step shows each picture's code with: responses are read once for all.
LEVELS_PER_CODE = 4
# And those that the denoiser is judged at.
VALIDATION_LEVELS = 8
# So many codes at once.
ROWS = 2048


class DiffusionNetwork(Network):
    """Denoises the code of responses, given the picture; what it predicts is the mean of its draws.

    A trunk sees the picture. From it one layer reads the code that is expected, and the denoiser is
    told how far the noisy code is from there: it begins as the denoiser of a code that is standard
    normal about a mean, and learns what is otherwise. All is learned from the denoising error.

    Parameters
    ----------
    denoiser : Module
        From noisy codes, levels and what is seen to velocities, as `Denoiser`.
    n_features : int
        Columns of the features.
    member : Tensor of int (n_vertices,)
        The group of each vertex.
    sizes : (int, int, int)
        Numbers of the code, units that see the picture, and residual blocks that they pass.
    dropout : float
        The share of features, and of the blocks' inner units, that is left out at each step.
    n_subjects : int
        Who has a shift of these units of its own; 0 where there is one subject.

    Attributes
    ----------
    code : Tensor (n_latent, n_vertices)
        The responses that each number of the code stands for; not trained.
    left : Tensor (n_vertices,)
        The variance of responses that the code leaves out.
    factor : Tensor (n_groups,)
        What the spread of the draws is multiplied by.
    whose : Tensor of int (n_vertices,)
        The subject of each vertex; -1 for one that is not among those of `whom`.
    whom : Tensor (n_groups, n_subjects, width)
        The shifts; 0 to begin with.

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser, Ommer (2022). High-resolution image synthesis with latent
    diffusion models. CVPR: diffusion of a code. Han, Zheng, Zhou (2022). CARD: classification and
    regression diffusion models. NeurIPS: diffusion about what is expected.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Network.axes,
        "code": ("vertex", 1),
        "left": ("vertex", 0),
        "whose": ("vertex", 0),
        **dict.fromkeys(("factor", "whom", "expect", "expect_bias"), ("group", 0)),
        **{f"tower.{name}": axis for name, axis in Tower.axes.items()},
        **{f"denoiser.{name}": axis for name, axis in Denoiser.axes.items()},
    }
    objective: ClassVar[bool] = True

    code: Tensor
    left: Tensor
    factor: Tensor

    def __init__(
        self,
        denoiser: nn.Module,
        n_features: int,
        member: Tensor,
        sizes: tuple[int, int, int],
        dropout: float,
        n_subjects: int = 0,
    ) -> None:
        super().__init__(member)
        n_groups, n_vertices = self.n_groups, len(member)
        n_latent, width, blocks = sizes
        self.dropout = nn.Dropout(dropout)
        self.tower = Tower(n_groups, n_features, width, blocks, dropout)
        self.expect = nn.Parameter(torch.zeros(n_groups, width, n_latent))
        self.expect_bias = nn.Parameter(torch.zeros(n_groups, n_latent))
        self.denoiser = denoiser
        if n_subjects:
            shifts = nn.Parameter(torch.zeros(n_groups, n_subjects, width))
            self.register_parameter("whom", shifts)
        self.register_buffer("code", torch.zeros(n_latent, n_vertices))
        self.register_buffer("left", torch.zeros(n_vertices))
        self.register_buffer("factor", torch.ones(n_groups))
        self.register_buffer("whose", torch.zeros(n_vertices, dtype=torch.int64))
        self._noising, self._n_subjects = Noising(), n_subjects
        self._sampler, self._steps, self._samples = "dpm", 20, 16

    @property
    def subjects(self) -> Tensor:
        """The subject of each vertex; saved fits call it `whose`."""
        return self.get_buffer("whose")

    def set_sampler(self, sampler: str, steps: int, samples: int) -> Self:
        """Say how it draws.

        Parameters
        ----------
        sampler : str
            A key of `SAMPLERS`.
        steps : int
            How often a draw is denoised.
        samples : int
            Draws of a prediction.

        Returns
        -------
        self
            The same network.
        """
        self._sampler, self._steps, self._samples = sampler, steps, samples
        return self

    def forward(self, features: Tensor, responses: Tensor | None = None) -> Tensor:
        """Predict responses; or, given them, say how wrong the denoiser is.

        Returns
        -------
        Tensor (n_images, n_vertices) or (n_vertices,)
            Responses; or the squared error of the velocity in units of responses, mean over
            pictures, levels of noise and the vertices of a group: each has its group's.
        """
        units = self.encode_pictures(features)
        if responses is not None:
            errors = self._group_errors(units, responses)
            return (errors / torch.bincount(self.member, minlength=len(errors)))[self.member]
        draws = self._draws(units, self._samples, 0)
        return self.decode(sum(draws, units.new_zeros(())) / self._samples)

    def encode_pictures(self, features: Tensor) -> Tensor:
        """Look at pictures."""
        units = self.tower(self.dropout(features), self.tower.masks(len(features)), slice(None))
        if self._n_subjects:
            # All vertices here are of one subject; one that is not known is as the mean of all.
            subject, shifts = int(self.subjects[0]), cast("Tensor", self.whom)
            shift = shifts.mean(1) if subject < 0 else shifts[:, subject]
            units = units + shift[:, None]
        return functional.layer_norm(units, units.shape[-1:])

    def expected(self, units: Tensor) -> Tensor:
        """Give the code that is expected."""
        return torch.baddbmm(self.expect_bias[:, None], units, self.expect).transpose(0, 1)

    def velocity(self, noisy: Tensor, levels: Tensor, units: Tensor) -> Tensor:
        """Guess the velocity of noisy codes."""
        alpha, sigma = self._noising.rates(levels)
        expected = self.expected(units)
        guess: Tensor = self.denoiser(noisy - alpha * expected, levels, units)
        return guess - sigma * expected

    def encode(self, responses: Tensor) -> tuple[Tensor, Tensor]:
        """Find the codes of responses."""
        with torch.no_grad(), torch.autocast(responses.device.type, enabled=False):
            M = metric(self.code, self.member, len(self.expect))
            return encode(responses - self.offset, self.code, self.member, M), M

    def decode(self, codes: Tensor) -> Tensor:
        """Give the responses that codes stand for."""
        return read_out(codes.transpose(0, 1).contiguous(), self.code, self.offset, self.member)

    def draw(self, features: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
        """Draw responses; what the code leaves out is not in them.

        Parameters
        ----------
        seed : int
            Of the noise, which is the same for all pictures.
        """
        yield from map(self.decode, self._draws(self.encode_pictures(features), n_samples, seed))

    def spread(self, features: Tensor) -> Tensor:
        """Give the standard deviation of responses, as the model has it.

        Returns
        -------
        Tensor (n_images, n_vertices)
            Of the draws that make the prediction, and of what the code leaves out, times `factor`.
            With draws in pairs about their mean, the mean square needs no correction.
        """
        total, squares = features.new_zeros(()), features.new_zeros(())
        for response in self.draw(features, self._samples, 0):
            deviation = response - self.offset
            total, squares = total + deviation, squares + deviation**2
        variance = squares / self._samples - (total / self._samples) ** 2
        plain, expected = to_standard_normal(self._noise(self._samples, 0), self._sampler)
        sample_variance = ((plain @ self.code) ** 2).mean(0)
        expected_variance = expected * (self.code**2).sum(0)
        variance = variance * torch.where(
            sample_variance > 0, expected_variance / sample_variance, 1
        )
        return (variance.clamp_min(0) + self.left) ** 0.5 * self.factor[self.member]

    def _noise(self, n_samples: int, seed: int) -> Tensor:
        """Draw noise: Tensor (n_samples, steps + 1, n_latent)."""
        rng = np.random.default_rng(seed)
        noise = draw_noise(n_samples, self._steps, len(self.code), rng)
        return torch.from_numpy(noise).to(self.code.device)

    def _draws(self, units: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
        """Draw codes: Tensor (n_images, n_groups, n_latent)."""

        def denoise(noisy: Tensor, levels: Tensor) -> Tensor:
            return self.velocity(noisy, levels, units)

        for noise in self._noise(n_samples, seed):
            yield sample_code(denoise, noise, self._sampler, units.shape[1], units.shape[0])

    def _group_errors(self, units: Tensor, responses: Tensor) -> Tensor:
        """Sum the squared error over the vertices of each group: Tensor (n_groups,)."""
        codes, M = self.encode(responses)
        n, device = len(codes), codes.device
        if self.training:
            levels = even_levels(torch.rand(n, device=device), LEVELS_PER_CODE)
            noise = torch.randn(n * LEVELS_PER_CODE, 1, codes.shape[2], device=device)
            again = codes.repeat(LEVELS_PER_CODE, 1, 1), units.repeat(1, LEVELS_PER_CODE, 1)
            return self._error(*again, levels, noise, M)
        # The same noise in each epoch, drawn on the CPU: on any device these numbers.
        rng = torch.Generator().manual_seed(0)
        noise = torch.randn(VALIDATION_LEVELS * n, 1, codes.shape[2], generator=rng).to(device)
        levels = (
            (torch.arange(VALIDATION_LEVELS, device=device) + 0.5) / VALIDATION_LEVELS * LEVELS
        ).long()
        levels = levels.repeat_interleave(n)
        total = units.new_zeros(len(M))
        for rows in torch.split(torch.arange(VALIDATION_LEVELS * n, device=device), ROWS):
            block = codes[rows % n], units[:, rows % n], levels[rows], noise[rows]
            total = total + self._error(*block, M) * len(rows)
        return total / (VALIDATION_LEVELS * n)

    def _error(
        self, codes: Tensor, units: Tensor, levels: Tensor, noise: Tensor, M: Tensor
    ) -> Tensor:
        noisy, velocity = self._noising.add(codes, noise.expand_as(codes), levels)
        difference = (self.velocity(noisy, levels, units) - velocity).transpose(0, 1).float()
        with torch.autocast(codes.device.type, enabled=False):
            return ((difference @ M) * difference).sum(2).mean(1)


class SharedDiffusionNetwork(DiffusionNetwork):
    """A diffusion model whose groups share a UNet."""

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **{n: axis for n, axis in DiffusionNetwork.axes.items() if not n.startswith("denoiser.")},
        **{f"denoiser.{name}": axis for name, axis in PretrainedUNet.axes.items()},
    }
    shared = ("denoiser.unet.", "denoiser.config")
