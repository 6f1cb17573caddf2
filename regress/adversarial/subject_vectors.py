"""Subjects of one training: a vector for each, and readouts that they have in common."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from typing_extensions import override

from regress.adversarial.generator import Generator
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.parameter_checks import check_whole
from regress.training.config import Part


@dataclass(frozen=True)
class SubjectVectors(Part):
    """What several subjects of a training have of their own, and in common.

    Attributes
    ----------
    embedding : int
        With several subjects, length of each subject's vector, from which gains and shifts of the
        shared units are computed; 0 for none. All vertices then stop together.
    common_readout : bool
        Whether vertices of several subjects at one place of fsaverage, in one group, share a
        readout, so that subjects differ in their vectors only.
    homes : array (n_vertices,), optional
        Name or number of each vertex' place. `python -m regress` takes it from the masks; without
        it the first vertices of all subjects are at one place, then the second ones, and so on.
    """

    embedding: int = 0
    common_readout: bool = False
    homes: ArrayLike | None = None

    free = ("homes",)

    @property
    @override
    def together(self) -> bool:
        return bool(self.embedding)

    @override
    def check(self) -> None:
        check_whole(vars(self), {"embedding": 0})
        if not isinstance(self.common_readout, bool):
            raise ValueError(
                f"common_readout: found {self.common_readout!r}, expected true or false"
            )

    def make_template(self, responses: Responses | Joint, has_start: bool) -> dict[str, NDArray]:
        """Return the subject and the place of each vertex, and an array like subjects' vectors."""
        widths = [part.shape[1] for part in responses.parts]
        for name in ("embedding", "common_readout"):
            if getattr(self, name) and len(widths) < 2:
                raise ValueError(f"{name}: expected several subjects, --subjects 01 02; found one")
            if getattr(self, name) and has_start:
                raise ValueError(
                    f"{name}: a training that begins from another has one subject's vertices as "
                    "they were; expected no start"
                )
        home = np.concatenate([np.arange(width) for width in widths])
        if self.homes is not None and self.common_readout:
            shape, expected = np.shape(self.homes), home.shape
            if shape != expected:
                raise ValueError(f"homes: found shape {shape}, expected {expected}, one a vertex")
            home = np.unique(np.asarray(self.homes), return_inverse=True)[1]
        subject = np.repeat(np.arange(len(widths)), widths)
        vectors = np.empty((len(widths), self.embedding), np.float32)
        return {"subject": subject, "home": home, "vectors": vectors}

    def attach(self, network: Generator, n_units: int, template: Mapping[str, NDArray]) -> None:
        """Add vectors and ties to a network, as its template has them."""
        if self.embedding:
            subject = torch.from_numpy(np.array(template["subject"], np.int64))
            network.embed(len(template["vectors"]), self.embedding, n_units, subject)
        if self.common_readout:
            network.tie(torch.from_numpy(np.array(template["home"], np.int64)))
