"""The codes of responses: for each group of vertices, its principal components."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import randomized_svd

from regress.data.responses import Responses
from regress.data.several_subjects import Joint

if TYPE_CHECKING:
    from regress.diffusion.network import DiffusionNetwork

log = logging.getLogger("regress")

Rows = NDArray[np.int64]
# From numbers of pictures to their standardised features.
Features = Callable[[Rows], NDArray[np.float32]]


@dataclass
class Part:
    """The vertices of a group that one subject has.

    Attributes
    ----------
    subject, group : int
        Their numbers.
    rows, columns : array of int
        The subject's pictures, and these vertices.
    scores : array of float32 (n_images, n_latent)
        The codes of the responses to the pictures.
    """

    subject: int
    group: int
    rows: Rows
    columns: Rows
    scores: NDArray[np.float32]


def find_codes(
    network: "DiffusionNetwork",
    features: Features,
    responses: Responses | Joint,
    known: NDArray[np.bool_],
    seed: int,
    quiet: bool,
) -> NDArray[np.float64]:
    """Find the code of each group and subject, and put it into the network.

    Where several subjects have a group, or a training begins from others, components are turned so
    that the code that a picture evokes is the same.

    Parameters
    ----------
    known : array of bool (n_vertices,)
        Vertices whose codes are in the network already; those of a group and a subject are found
        anew unless all are known.

    Returns
    -------
    array of float64 (n_vertices,)
        The variance of each vertex.
    """
    member = network.member.numpy()
    begun = bool(network.expect.any())
    found: list[Part] = []
    variance = np.zeros(len(member))
    row = column = 0
    for number, part in enumerate(responses.parts):
        rows, columns = row + np.arange(len(part)), column + np.arange(part.shape[1])
        row, column = row + len(rows), column + len(columns)
        unknown = torch.from_numpy(columns[~known[columns]])
        network.whose[unknown] = -1 if begun else number
        for group in np.unique(member[columns]):
            own = columns[member[columns] == group]
            code, scores, left = principal(part.vertices(own - columns[0]), len(network.code), seed)
            variance[own] = np.square(code, dtype=np.float64).sum(0) + left
            if not known[own].all():
                network.code[:, own] = torch.from_numpy(code)
                network.left[own] = torch.from_numpy(left).float()
                found.append(Part(number, int(group), rows, own, scores))
    if begun or len(responses.parts) > 1:
        _turn(network, features, found, begun)
    if not quiet:
        kept = 1 - network.left.double().numpy().sum() / max(variance.sum(), 1e-300)
        log.info(
            "a code of %d numbers keeps %.1f %% of the variance of the responses that are trained "
            "on (groups: %d)",
            len(network.code),
            100 * kept,
            network.n_groups,
        )
    return variance


def _turn(network: "DiffusionNetwork", features: Features, parts: list[Part], begun: bool) -> None:
    """Turn each code towards what is expected of the pictures by those that came before.

    References
    ----------
    Schönemann (1966). A generalized solution of the orthogonal Procrustes problem. Psychometrika
    31. Haxby et al. (2011). A common, high-dimensional model of the representational space in human
    ventral temporal cortex. Neuron 72: subjects' responses are turned so, here their codes.
    """
    if begun:
        for subject in sorted({part.subject for part in parts}):
            own = [part for part in parts if part.subject == subject]
            with torch.inference_mode():
                seen = network.eval().see(torch.from_numpy(features(own[0].rows)))
                expected = network.expected(seen).numpy()
            network.train()
            for part in own:
                _turn_one(network, part, expected[:, part.group])
        return
    first: dict[int, Part] = {}
    for part in parts:
        first.setdefault(part.group, part)
    for leader in sorted({part.subject for part in first.values()}):
        led = [part for part in first.values() if part.subject == leader]
        others = [p for p in parts if first[p.group] in led and p is not first[p.group]]
        if not others:
            continue
        targets = np.concatenate([part.scores for part in led], 1)
        place = {part.group: at for at, part in enumerate(led)}
        n_latent = led[0].scores.shape[1]
        # A penalty of the pictures' number takes half of a feature that correlates with no other.
        ridge = Ridge(alpha=len(targets)).fit(features(led[0].rows), targets)
        for subject in sorted({part.subject for part in others}):
            own = [part for part in others if part.subject == subject]
            expected = ridge.predict(features(own[0].rows)).reshape(-1, len(led), n_latent)
            for part in own:
                _turn_one(network, part, expected[:, place[part.group]])


def _turn_one(network: "DiffusionNetwork", part: Part, expected: NDArray) -> None:
    turn, _ = orthogonal_procrustes(part.scores, expected)
    turned = torch.from_numpy(turn.T.astype(np.float32)) @ network.code[:, part.columns]
    network.code[:, part.columns] = turned


def principal(
    responses: Responses, n_latent: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Find the principal components of responses.

    Returns
    -------
    code : array of float32 (n_latent, n_vertices)
        The components, each as long as its standard deviation over pictures: responses are their
        mean plus scores times these. 0 where there are no more components.
    scores : array of float32 (n_images, n_latent)
        Of unit variance.
    left : array of float64 (n_vertices,)
        The variance of each vertex that they leave out.

    References
    ----------
    Halko, Martinsson, Tropp (2011). Finding structure with randomness. SIAM Review 53, algorithm
    4.4; scikit-learn's.
    """
    loaded = responses.load()
    n_images, n_vertices = loaded.shape
    loaded -= loaded.mean(0, dtype=np.float64).astype(np.float32)
    total = np.einsum("iv,iv->v", loaded, loaded, dtype=np.float64) / n_images
    code = np.zeros((n_latent, n_vertices), np.float32)
    scores = np.zeros((n_images, n_latent), np.float32)
    count = min(n_latent, n_images - 1, n_vertices)
    if count > 0:
        turned, lengths, axes = randomized_svd(loaded, count, random_state=seed)
        code[:count] = axes * lengths[:, None] / np.sqrt(n_images)
        scores[:, :count] = turned * np.sqrt(n_images)
    return code, scores, np.maximum(total - np.square(code, dtype=np.float64).sum(0), 0)
