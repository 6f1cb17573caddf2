"""Networks that generate responses from features, noise, and a vector of the subject.

References
----------
Perez, Strub, de Vries, Dumoulin, Courville (2018). FiLM: visual reasoning with a general
conditioning layer. AAAI, equation 2: a gain and a shift of each unit, from a subject's vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from regress.layers.network import Axes, Network, axis_of
from regress.parameter_checks import check_whole
from regress.training.config import Part


@dataclass(frozen=True)
class Noise(Part):
    """Random inputs of a generator.

    Attributes
    ----------
    noise : int
        Number of random inputs of the generator besides the features; 0 for none.
    samples : int
        Number of draws that are averaged in a prediction, with noise.
    """

    noise: int = 0
    samples: int = 8

    @override
    def check(self) -> None:
        check_whole(vars(self), {"noise": 0, "samples": 1})


class Generator(Network):
    """Network whose inputs are features and, optionally, noise.

    Its prediction is the mean of its responses to several draws of noise; in training, one draw. A
    subclass has `make`, and perhaps `encode_pictures`.

    With an embedding, each subject has a vector, from which `modulation` computes gains and shifts
    of the network's units.

    Attributes
    ----------
    vectors : Tensor (n_subjects, size)
        With an embedding, the vector of each subject.
    film : Tensor (size, 2 * n_units) or (n_groups, size, 2 * n_units)
        With an embedding, weights from a vector to gains, less 1, and shifts; 0 at first, so that
        all subjects are alike.
    subject : Tensor of int (n_vertices,)
        With an embedding, the number of each vertex' subject.
    home : Tensor of int (n_vertices,)
        With readouts that are common to subjects: vertices of one number share a readout.
    """

    axes: ClassVar[Axes] = {**Network.axes, "subject": ("vertex", 0), "home": ("vertex", 0)}

    subject: Tensor
    home: Tensor

    _noise, _samples = 0, 1
    _embedded = False

    def set_noise(self, noise: int, samples: int) -> Self:
        """Set the number of standard normal inputs, and of draws averaged in predictions."""
        self._noise, self._samples = noise, samples
        return self

    def embed(self, n_subjects: int, size: int, n_units: int, subject: Tensor) -> Self:
        """Add a vector of some size for each subject, from which n_units have gain and shift."""
        self._embedded = True
        self.vectors = nn.Parameter(torch.randn(n_subjects, size) / size**0.5)
        # A class whose groups have separate trunks lists `film` in its axes.
        groups = (self.n_groups,) if "film" in self.axes else ()
        self.film = nn.Parameter(torch.zeros(*groups, size, 2 * n_units))
        self.register_buffer("subject", subject)
        shared_names = ("vectors",) if groups else ("vectors", "film")
        self.shared = (*self.shared, *shared_names)
        return self

    @property
    @override
    def subjects(self) -> Tensor | None:
        return self.subject if self._embedded else None

    def modulation(self) -> Tensor | None:
        """Compute the subject's gains, less 1, and shifts (n_groups or none, 2 * n_units)."""
        if not self._embedded:
            return None
        # All vertices here are of one subject.
        return torch.matmul(self.vectors[self.subject[0]], self.film)

    def tie(self, home: Tensor) -> Self:
        """Tie the readouts of vertices at one place, in whichever subject.

        Tied readouts begin with the same weights, and each gets the sum of their gradients: so they
        stay the same, bit by bit, under any optimiser that updates each weight independently. The
        mean response of each vertex is not tied.
        """
        self.register_buffer("home", home)
        n_homes = int(home.max()) + 1
        for name, weight in self.named_parameters():
            kind, axis = axis_of(self, name)
            if kind == "vertex" and name != "offset":
                # The hook runs before the gradient reaches any optimiser.
                weight.register_hook(partial(self._summed, n_homes, axis))  # type: ignore[no-untyped-call]
        return self

    def _summed(self, n_homes: int, axis: int, gradient: Tensor) -> Tensor:
        shape = [*gradient.shape[:axis], n_homes, *gradient.shape[axis + 1 :]]
        total = gradient.new_zeros(shape).index_add_(axis, self.home, gradient)
        return total.index_select(axis, self.home)

    def encode_pictures(self, features: Tensor) -> Tensor:
        """Compute what does not depend on the noise, (n_images, n_units); here, the features."""
        return features

    def make(self, inputs: Tensor) -> Tensor:
        """Compute responses of one subject's vertices from the encoded pictures, and noise."""
        raise TypeError(f"{type(self).__name__} must implement make")

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses, as the mean of several draws of noise; in training, of one draw."""
        if self._noise and self.training:
            units = self.encode_pictures(features)
            noise = torch.randn(len(features), self._noise, device=features.device)
            return self.make(torch.cat([units, noise], 1))
        count = self._samples if self._noise else 1
        draws = self.draw(features, count, 0)
        return next(draws) if count == 1 else sum(draws, features.new_zeros(())) / count

    @override
    def draw(self, features: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
        # The same draws for every picture, so that predictions do not depend on the batch.
        rng, units = np.random.default_rng(seed), self.encode_pictures(features)
        for _ in range(n_samples):
            inputs = units
            if self._noise:
                noise = torch.from_numpy(rng.standard_normal(self._noise, np.float32))
                inputs = torch.cat([units, noise.to(units.device).expand(len(units), -1)], 1)
            yield self.make(inputs)
