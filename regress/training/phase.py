"""One phase of a trained model: the training of `fit`, or that of `refit`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.encoding_model import Encoder
from regress.layers import weights as network_weights
from regress.layers.network import Network
from regress.model_code import model_code
from regress.training import inputs
from regress.training.batches import Pictures
from regress.training.best_weights import BestWeights
from regress.training.config import Files, Training
from regress.training.loop import train
from regress.training.losses import Loss
from regress.training.reports import lower_rate, warn_of_no_progress

Features = NDArray[np.float32 | np.uint8]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Pictures that are predicted at once.
BLOCK = 1024
# Features, not standardised, and responses of some pictures.
Data = tuple[Features, Responses | Joint]


class Trainable(Encoder, Protocol):
    """What a trained model is besides an encoder: its network, and steps about its training.

    A model must have `make_network`; the other methods do nothing, unless a model has its own.

    Attributes
    ----------
    network_ : Network
        Network with the best weights.
    epochs_ : array of int (n_vertices,)
        Epoch of the weights of each vertex; 0 where no epoch was better than the first state: the
        mean, or `start`.
    centre_, scale_ : array of float32 (n_features,)
        Subtracted from features, and then divided by.
    template_ : mapping of str to array
        What `make_template` returned; of a loaded model, all arrays of the network.
    seconds_ : float
        Mean duration of the epochs of `fit`.
    """

    network_: Network
    epochs_: Rows
    centre_: NDArray[np.float32]
    scale_: NDArray[np.float32]
    template_: Mapping[str, NDArray] = MappingProxyType({})
    seconds_: float

    @property
    def block(self) -> int:
        """Number of pictures predicted at once, which changes predictions by rounding only."""
        return BLOCK

    def make_network(self, n_features: int, member: Tensor) -> Network:
        """Make the untrained network, which predicts the mean response.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Network
            Network of these vertices.
        """
        raise TypeError(f"{type(self).__name__} must implement make_network")

    def make_template(self, responses: Responses | Joint, member: Rows) -> dict[str, NDArray]:
        """Return arrays of the network's state that follow from the data, or arrays like them."""
        return {}

    def make_critics(self, n_features: int, widths: Sequence[int]) -> nn.ModuleList | None:
        """Make a `Judge` for each subject, given their numbers of vertices; None for no critics."""
        return None

    def scale_of(
        self, X: Features, start: Mapping[str, NDArray] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return centre and scale of the training pictures' features, or those of a start."""
        return inputs.feature_scale(X, start)

    def prepare(self, network: Network) -> None:
        """Load pretrained weights into the network, where there is no start."""

    def before_training(self, network: Network, training: Data, is_known: Mask) -> None:
        """Complete the network by the training pictures; vertices of a start are known."""

    def after_training(self, constant: Rows, validation: Data | None) -> None:
        """Complete the fitted network; `constant` are vertices that stay at their mean."""

    def advice(self) -> list[str]:
        """List what to lower, besides the learning rate, when nothing was learned."""
        return []


def train_model(
    model: Trainable, settings: Training, data: Data, held: Mask, epochs: Rows | None
) -> None:
    """Train a model on the pictures that are not held out, each group until its loss is best.

    With `epochs` (n_vertices,) this is a refit, of as many epochs for each group.
    """
    X, responses = data
    names, member = inputs.groups_of(settings.scope, responses.shape[1])
    inputs.check_parts(responses, held)
    start = settings.start
    if start is not None:
        start = network_weights.select_start_weights(start, inside=epochs is None)
    inside = X[~held] if held.any() else X, responses.pictures(~held)
    if epochs is None:
        model.template_ = model.make_template(inside[1], member)
    model.centre_, model.scale_ = model.scale_of(inside[0], start)
    means, varying = inside[1].means()
    files = _files(model, settings, data, held, epochs, (names, member))
    network, is_known = _initial_network(model, settings, member, means, start)
    model.before_training(network, inside, is_known)
    del inside
    is_constant, limits = ~varying, None
    if epochs is not None:
        is_constant |= (epochs == 0) & ~is_known
        limits = inputs.most_epochs(epochs, member, len(names))
    best_weights = BestWeights(network, settings.patience, limits)
    pictures = Pictures(X, responses)
    with seeded(settings.random_state):
        widths = [width for width in pictures.widths if width]
        critics = model.make_critics(len(model.centre_), widths)
    scale = model.centre_, model.scale_
    rows = pictures.rows(~held), pictures.rows(held)
    train(
        network, pictures, rows, best_weights, settings, files, names, scale, model.block, critics
    )
    constant = np.flatnonzero(is_constant)
    network_weights.zero_vertices(network, best_weights.weights, constant, means[constant])
    network = new_network(model, settings.random_state, member)
    network.load_state_dict(best_weights.weights)
    model.network_, model.epochs_ = network, np.where(is_constant, 0, best_weights.epochs[member])
    if epochs is None:
        varies = np.bincount(member, varying, len(names)) > 0
        lower = [lower_rate(settings.lr), *model.advice()]
        warn_of_no_progress(best_weights, names, varies, bool(is_known.any()), *lower)
        model.seconds_ = float(np.mean([row[1] for row in best_weights.rows] or [0]))
    model.after_training(constant, (X[held], responses.pictures(held)) if held.any() else None)


def _initial_network(
    model: Trainable,
    settings: Training,
    member: Rows,
    means: NDArray[np.float64],
    start: Mapping[str, NDArray] | None,
) -> tuple[Network, Mask]:
    """Make the untrained network; return it and which vertices' weights come from `start`."""
    network = new_network(model, settings.random_state, member)
    network.offset.data.copy_(torch.from_numpy(means))
    network.offset.requires_grad_(Loss(settings.loss).moves_mean)
    is_known = np.zeros(len(member), bool)
    if start is None:
        model.prepare(network)
    else:
        is_known = network_weights.load_start_weights(network, start)
    if settings.freeze:
        network_weights.freeze_groups(network)
    if network.shared and not model.together:
        raise TypeError(
            f"{type(model).__name__}: {type(network).__name__} has weights of all vertices, and "
            "`together` is False: their vertices would be fitted apart; expected True"
        )
    return network, is_known


def new_network(model: Trainable, seed: int, member: Rows) -> Network:
    """Make a model's network; its weights follow from the seed."""
    with seeded(seed):
        return model.make_network(len(model.centre_), torch.from_numpy(member))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's random numbers inside the block; the caller's are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _files(
    model: Trainable, settings: Training, data: Data, held: Mask, epochs: Rows | None, groups: Any
) -> Files:
    """Return the files of a phase, and the digest of all that the checkpoint depends on."""
    phase, digest = "fit" if epochs is None else "refit", ""
    checkpoint, log = (
        None if path is None else Path(path).with_stem(f"{Path(path).stem}-{phase}")
        for path in (settings.checkpoint, settings.log)
    )
    if checkpoint is not None:
        X, responses = data
        excluded = {"checkpoint", "log", "progress_bar", "validation", "scope"}
        parameters = {n: v for n, v in model.get_params(deep=False).items() if n not in excluded}
        model_inputs = parameters, model.sources(), model_code(model)
        depends = (type(model).__module__, model_inputs, X, held, epochs, groups)
        digest = str(joblib.hash((depends, responses.digest())))
    return Files(checkpoint, digest, log, phase if settings.progress_bar else "")
