"""Networks that generate responses from features, noise, and a vector of the subject.

References
----------
Perez, Strub, de Vries, Dumoulin, Courville (2018). FiLM: visual reasoning with a general
conditioning layer. AAAI, equation 2: a gain and a shift of each unit, from a subject's vector.
"""

from functools import partial
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from regress.layers.network import axis_of
from regress.training import Network


class Generator(Network):
    """Network whose inputs are features and, optionally, noise.

    Its prediction is the mean of its responses to several draws of noise; in training, one draw. A
    network becomes a generator by having this class before the network's among its bases, and a
    method `make`.

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

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Network.axes,
        "subject": ("vertex", 0),
        "home": ("vertex", 0),
    }

    subject: Tensor
    home: Tensor

    _noise, _samples = 0, 1
    _embedded = False

    def set_noise(self, noise: int, samples: int) -> Self:
        """Set the number of standard normal inputs, and of draws averaged in predictions."""
        self._noise, self._samples = noise, samples
        return self

    def embed(self, n_subjects: int, size: int, n_units: int, subject: Tensor) -> Self:
        """Add a vector for each subject, which modulates the units.

        Parameters
        ----------
        n_subjects : int
            Number of subjects.
        size : int
            Length of a subject's vector.
        n_units : int
            Number of units with a gain and a shift.
        subject : Tensor of int (n_vertices,)
            The number of each vertex' subject.

        Returns
        -------
        self
            The same network.
        """
        self._embedded = True
        self.vectors = nn.Parameter(torch.randn(n_subjects, size) / size**0.5)
        # A class whose groups have separate trunks lists `film` in its axes.
        groups = (self.n_groups,) if "film" in self.axes else ()
        self.film = nn.Parameter(torch.zeros(*groups, size, 2 * n_units))
        self.register_buffer("subject", subject)
        shared_names = ("vectors",) if groups else ("vectors", "film")
        self.shared = (*self.shared, *shared_names)
        return self

    def modulation(self) -> Tensor | None:
        """Compute the subject's gains and shifts of the units.

        Returns
        -------
        Tensor (2 * n_units,) or (n_groups, 2 * n_units), or None
            Gains, less 1, and shifts; None without an embedding.
        """
        if not self._embedded:
            return None
        # All vertices here are of one subject.
        return torch.matmul(self.vectors[self.subject[0]], self.film)

    def tie(self, home: Tensor) -> Self:
        """Tie the readouts of vertices at one place, in whichever subject.

        Tied readouts begin with the same weights, and each gets the sum of their gradients: so they
        stay the same, bit by bit, under any optimiser that updates each weight independently. The
        mean response of each vertex is not tied.

        Parameters
        ----------
        home : Tensor of int (n_vertices,)
            Vertices of one number are tied.

        Returns
        -------
        self
            The same network.
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
        """Compute one subject's responses (n_images, n_vertices) from inputs and noise.

        Inputs (n_images, n_units + noise) are the outputs of `encode_pictures`, and noise.
        """
        raise TypeError(f"{type(self).__name__} must implement make")

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses, as the mean of several draws of noise; in training, of one draw."""
        units = self.encode_pictures(features)
        if not self._noise:
            return self.make(units)
        if self.training:
            noise = torch.randn(len(features), self._noise, device=features.device)
            return self.make(torch.cat([units, noise], 1))
        # The same draws for every picture, so that predictions do not depend on the batch.
        rng = np.random.default_rng(0)
        total = features.new_zeros(())
        for _ in range(self._samples):
            total = total + self._make_draw(units, rng)
        return total / self._samples

    def draw(self, features: Tensor, rng: np.random.Generator) -> Tensor:
        """Compute responses with one draw of noise, the same for all pictures."""
        return self._make_draw(self.encode_pictures(features), rng)

    def _make_draw(self, units: Tensor, rng: np.random.Generator) -> Tensor:
        if not self._noise:
            return self.make(units)
        noise = torch.from_numpy(rng.standard_normal(self._noise, np.float32)).to(units.device)
        return self.make(torch.cat([units, noise.expand(len(units), -1)], 1))
