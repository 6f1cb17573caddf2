"""Network of a diffusion model: its loss and its draws."""

from collections.abc import Iterator
from typing import ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

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
from regress.layers.network import Axes
from regress.layers.readout import read_out
from regress.layers.tower import Tower
from regress.training import Network

# Levels of noise per code in a training step, for which responses are read once.
LEVELS_PER_CODE = 4
# Levels of noise at which the validation loss is computed.
VALIDATION_LEVELS = 8
# Codes per block of the validation loss.
ROWS = 2048


class DiffusionNetwork(Network):
    """Denoises the code of responses, given the picture; its prediction is the mean of its draws.

    A trunk computes units from the picture, and a linear layer the expected code from them. The
    input of the denoiser is the difference of the noisy code from the expected one; untrained, it
    denoises a code that is standard normal about a mean. All are trained on the denoising error.

    Parameters
    ----------
    sizes : (int, int, int)
        Length of the code, and units and residual blocks of the trunk.
    n_subjects : int
        Number of subjects with a shift of these units; 0 where there is one subject.

    Attributes
    ----------
    denoiser : Module
        Module from noisy codes, levels and the trunk's units to velocities.
    code : Tensor (n_latent, n_vertices)
        Responses per unit of each number of the code; not trained.
    left : Tensor (n_vertices,)
        Variance of responses that the code leaves out.
    factor : Tensor (n_groups,)
        Factor of the spread of the draws.
    whose : Tensor of int (n_vertices,)
        Subject of each vertex; -1 for a subject without a shift in `whom`.
    whom : Tensor (n_groups, n_subjects, width)
        Shifts of the units for each subject; 0 at first.

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser, Ommer (2022). High-resolution image synthesis with latent
    diffusion models. CVPR: diffusion of a code. Han, Zheng, Zhou (2022). CARD: classification and
    regression diffusion models. NeurIPS: diffusion about the expected response.
    """

    axes: ClassVar[Axes] = {
        **Network.axes,
        "code": ("vertex", 1),
        **dict.fromkeys(("left", "whose"), ("vertex", 0)),
        **dict.fromkeys(("factor", "whom", "expect", "expect_bias"), ("group", 0)),
    }
    objective: ClassVar[bool] = True

    code: Tensor
    left: Tensor
    factor: Tensor

    def __init__(
        self,
        denoiser: Denoiser | PretrainedUNet,
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
        self.shared = tuple(f"denoiser.{name}" for name in denoiser.shared)
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
    @override
    def subjects(self) -> Tensor | None:
        return self.vertex_subjects if self._n_subjects else None

    @property
    def vertex_subjects(self) -> Tensor:
        """Subject of each vertex; saved fits call it `whose`."""
        return self.get_buffer("whose")

    def set_sampler(self, sampler: str, steps: int, samples: int) -> Self:
        """Set the sampler, its number of steps, and the number of draws in a prediction."""
        self._sampler, self._steps, self._samples = sampler, steps, samples
        return self

    def forward(self, features: Tensor, responses: Tensor | None = None) -> Tensor:
        """Predict responses or, if called with responses, compute the denoising loss (n_vertices,).

        It is the squared error of the velocity in units of responses, averaged over pictures,
        levels of noise and the vertices of each vertex' group.
        """
        units = self.encode_pictures(features)
        if responses is not None:
            errors = self._group_errors(units, responses)
            return (errors / torch.bincount(self.member, minlength=len(errors)))[self.member]
        draws = self._draws(units, self._samples, 0)
        return self.decode(sum(draws, units.new_zeros(())) / self._samples)

    def encode_pictures(self, features: Tensor) -> Tensor:
        """Compute the trunk's units (n_groups, n_images, width) of pictures."""
        units = self.tower(self.dropout(features), self.tower.masks(len(features)))
        if self._n_subjects:
            # All vertices here are of one subject; an unknown one gets the mean shift.
            subject, shifts = int(self.vertex_subjects[0]), cast("Tensor", self.whom)
            shift = shifts.mean(1) if subject < 0 else shifts[:, subject]
            units = units + shift[:, None]
        return functional.layer_norm(units, units.shape[-1:])

    def expected(self, units: Tensor) -> Tensor:
        """Return the expected code of pictures."""
        return torch.baddbmm(self.expect_bias[:, None], units, self.expect).transpose(0, 1)

    def velocity(self, noisy: Tensor, levels: Tensor, units: Tensor) -> Tensor:
        """Estimate the velocity of noisy codes."""
        alpha, sigma = self._noising.rates(levels)
        expected = self.expected(units)
        velocity: Tensor = self.denoiser(noisy - alpha * expected, levels, units)
        return velocity - sigma * expected

    def encode(self, responses: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the codes of responses, and the matrix of their distances."""
        with torch.no_grad(), torch.autocast(responses.device.type, enabled=False):
            M = metric(self.code, self.member, len(self.expect))
            return encode(responses - self.offset, self.code, self.member, M), M

    def decode(self, codes: Tensor) -> Tensor:
        """Compute the responses of codes."""
        return read_out(codes.transpose(0, 1).contiguous(), self.code, self.offset, self.member)

    @override
    def draw(self, features: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
        # Without the variance that the code leaves out; the noise is the same for all pictures.
        yield from map(self.decode, self._draws(self.encode_pictures(features), n_samples, seed))

    def spread(self, features: Tensor) -> Tensor:
        """Compute the standard deviation of responses that the model predicts.

        It is that of the draws of a prediction, and of what the code leaves out, times `factor`.
        """
        # With draws in pairs about their mean, the mean square needs no correction.
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
            repeats = codes.repeat(LEVELS_PER_CODE, 1, 1), units.repeat(1, LEVELS_PER_CODE, 1)
            return self._error(*repeats, levels, noise, M)
        # The same noise in each epoch and on each device: it is drawn on the CPU.
        rng = torch.Generator().manual_seed(0)
        noise = torch.randn(VALIDATION_LEVELS * n, 1, codes.shape[2], generator=rng).to(device)
        shares = (torch.arange(VALIDATION_LEVELS, device=device) + 0.5) / VALIDATION_LEVELS
        levels = (shares * LEVELS).long().repeat_interleave(n)
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
