"""Adding noise to codes, and removing it step by step, with the schedulers of diffusers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from numpy.typing import NDArray
from torch import Tensor

# Levels of noise in training. At the last, 4e-5 of the code's variance are left.
LEVELS = 1000

# From noisy codes and the level of their noise to velocities.
Denoise = Callable[[Tensor, Tensor], Tensor]

COMMON: dict[str, Any] = {
    "num_train_timesteps": LEVELS,
    "beta_schedule": "linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
}


# Constructor of a scheduler, and eta, the share of new noise in each step: DDIM with eta = 1 is
# DDPM, and takes the noise as an argument.
SAMPLERS: dict[str, tuple[Callable[[], Any], float]] = {
    "ddim": (lambda: DDIMScheduler(**COMMON, clip_sample=False), 0.0),
    "ddpm": (lambda: DDIMScheduler(**COMMON, clip_sample=False), 1.0),
    "dpm": (lambda: DPMSolverMultistepScheduler(**COMMON), 0.0),
}


class Noising:
    """Adds noise to codes in training.

    References
    ----------
    Ho, Jain, Abbeel (2020). Denoising diffusion probabilistic models. NeurIPS, equation 4.
    Salimans, Ho (2022). Progressive distillation for fast sampling of diffusion models. ICLR,
    section 4: the target is the velocity, alpha * noise - sigma * code. For a code that is standard
    normal, the best estimate without a picture is 0 at every level.
    """

    def __init__(self) -> None:
        self._scheduler = DDPMScheduler(**COMMON, clip_sample=False)

    def rates(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shares of code and noise at levels of noise, 0 to `LEVELS` - 1."""
        signal = self._scheduler.alphas_cumprod.to(levels.device)[levels][:, None, None]
        return signal**0.5, (1 - signal) ** 0.5

    def add(self, code: Tensor, noise: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Add noise to codes; return noisy codes and velocities."""
        noisy: Tensor = self._scheduler.add_noise(code, noise, levels)
        velocity: Tensor = self._scheduler.get_velocity(code, noise, levels)
        return noisy, velocity


def even_levels(offsets: Tensor, n_ranges: int) -> Tensor:
    """Return evenly spread levels of noise for codes, which lowers the gradient's variance.

    For all codes, a level in the first of n_ranges equal ranges comes first; then in the next.

    References
    ----------
    Kingma, Salimans, Poole, Ho (2021). Variational diffusion models. NeurIPS, appendix I.1: a
    low-discrepancy sampler, there over a batch.
    """
    at = (offsets + torch.arange(n_ranges, device=offsets.device)[:, None]) / n_ranges
    # Rounding turns a number just below 1 into 1.
    return (at.flatten() * LEVELS).long().clamp_max(LEVELS - 1)


def draw_noise(
    n_samples: int, steps: int, n_latent: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw noise (n_samples, steps + 1, n_latent) at the start and for each step, in pairs.

    As far as a sample is linear in its noise, the error of the mean of a pair of opposite sign is
    0. If the number of samples is odd, the last has no partner.

    References
    ----------
    Hammersley, Morton (1956). A new Monte Carlo technique: antithetic variates. Mathematical
    Proceedings of the Cambridge Philosophical Society 52.
    """
    half = -(-n_samples // 2)
    noise = rng.standard_normal((half, steps + 1, n_latent), np.float32)
    return np.stack([noise, -noise], 1).reshape(-1, steps + 1, n_latent)[:n_samples]


def to_standard_normal(noise: Tensor, sampler: str) -> tuple[Tensor, float]:
    """Transform noise to codes as the sampler would if codes were standard normal.

    The sampling error of their variance estimates that of the codes that were drawn with the same
    noise. Their variance with infinitely many draws, about 1 less what the steps lose, comes with
    them.

    References
    ----------
    Cochran (1977). Sampling techniques, chapter 6: ratio estimators.
    """

    def zero_velocity(code: Tensor, _: Tensor) -> Tensor:
        return torch.zeros_like(code)

    codes = torch.stack(
        [sample_code(zero_velocity, sample_noise, sampler, 1, 1)[0, 0] for sample_noise in noise]
    )
    # The response to each step's noise alone, in a number of the code each.
    weights = sample_code(
        zero_velocity, torch.eye(noise.shape[1], device=noise.device), sampler, 1, 1
    )
    return codes, float((weights**2).sum())


def sample_code(denoise: Denoise, noise: Tensor, sampler: str, rows: int, groups: int) -> Tensor:
    """Draw codes (n_rows, n_groups, n_latent) by denoising noise step by step.

    The noise (steps + 1, n_latent) of one sample is the same for all pictures and groups, so that a
    prediction does not depend on the batch.

    References
    ----------
    ddpm: Ho, Jain, Abbeel (2020), algorithm 2. ddim: Song, Meng, Ermon (2021). Denoising diffusion
    implicit models. ICLR, equation 12, which with equation 16 and eta = 1 is ddpm. dpm: Lu et al.
    (2022). DPM-Solver++. arXiv:2211.01095, algorithm 2.
    """
    make, eta = SAMPLERS[sampler]
    scheduler = make()
    scheduler.set_timesteps(len(noise) - 1)
    expanded = noise[:, None, None].expand(-1, rows, groups, -1)
    code = expanded[0]
    options: dict[str, Any] = {}
    for level, fresh in zip(scheduler.timesteps, expanded[1:], strict=True):
        velocity = denoise(code, level.expand(rows).to(noise.device))
        if eta:
            options = {"eta": eta, "variance_noise": fresh}
        code = scheduler.step(velocity, level, code, **options).prev_sample
    return code
