"""Base of the models that generate responses: critics, noise, and subjects' vectors."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import nn
from typing_extensions import override

from regress.adversarial.critics import Critics
from regress.adversarial.generator import Generator, Noise
from regress.adversarial.subject_vectors import SubjectVectors
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.training import TrainedModel


class Generative(TrainedModel, parts=(SubjectVectors, Critics, Noise)):
    """Base of the models that have optional critics, noise and subjects' vectors.

    `make_network` makes a `Generator` and passes it through `configure`.
    """

    def configure(self, network: Generator, n_units: int) -> Generator:
        """Add noise, subjects' vectors and ties to a network with so many units to modulate."""
        SubjectVectors.from_model(self).attach(network, n_units, self.template_)
        return network.set_noise(self.noise, self.samples)

    def critic_view(self, n_features: int) -> tuple[nn.Module, int]:
        """Return the module from features to the critics' input, and its number of columns."""
        return nn.Identity(), n_features

    @override
    def make_template(
        self, responses: Responses | Joint, member: NDArray[np.int64]
    ) -> dict[str, NDArray]:
        return SubjectVectors.from_model(self).make_template(responses, self.start is not None)

    @override
    def make_critics(self, n_features: int, widths: Sequence[int]) -> nn.ModuleList | None:
        return Critics.from_model(self).make(*self.critic_view(n_features), widths)

    @override
    def advice(self) -> list[str]:
        return Critics.from_model(self).advice()

    def as_subject(self, subject: int) -> Self:
        """Return the model with the vector of another subject, and the same readouts.

        Parameters
        ----------
        subject : int
            Number of the subject, from 0, in the order of "subjects" in the settings of the fit's
            file.

        Returns
        -------
        Generative
            A fitted copy.
        """
        check_is_fitted(self)
        state = self.state()
        if "vectors" not in state:
            raise ValueError(
                "as_subject: this model has no vectors of subjects; expected one that was fitted "
                "with --subjects 01 02 --params.embedding 8"
            )
        n_subjects = len(state["vectors"])
        if not 0 <= subject < n_subjects:
            raise ValueError(
                f"subject: found {subject}, expected a number from 0 to {n_subjects - 1}"
            )
        for name in {"subject", "inside.subject"} & state.keys():
            state[name] = np.full_like(state[name], subject)
        subject_model: Self = clone(self).restore(state)
        return subject_model
