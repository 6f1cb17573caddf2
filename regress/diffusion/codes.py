"""Codes of responses: the principal components of each group of vertices."""

import logging
from collections.abc import Callable, Sequence
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
# From indices of pictures to their standardised features.
Features = Callable[[Rows], NDArray[np.float32]]


@dataclass
class Part:
    """Vertices of a group in one subject, with the codes (n_images, n_latent) of its pictures."""

    subject: int
    group: int
    rows: Rows
    columns: Rows
    scores: NDArray[np.float32]


def find_codes(
    network: "DiffusionNetwork",
    features: Features,
    responses: Responses | Joint,
    is_known: NDArray[np.bool_],
    seed: int,
    quiet: bool,
) -> NDArray[np.float64]:
    """Compute the code of each group and subject, and store it in the network.

    Where several subjects have a group, or a training begins from another, components are rotated
    so that a picture evokes the same code in all. The codes of known vertices are in the network
    already, where all of their group in a subject are. The variance of each vertex is returned.
    """
    member = network.member.numpy()
    has_start = bool(network.expect.any())
    group_parts: list[Part] = []
    variance = np.zeros(len(member))
    row = column = 0
    for number, part in enumerate(responses.parts):
        rows, columns = row + np.arange(len(part)), column + np.arange(part.shape[1])
        row, column = row + len(rows), column + len(columns)
        unknown = torch.from_numpy(columns[~is_known[columns]])
        network.vertex_subjects[unknown] = -1 if has_start else number
        for group in np.unique(member[columns]):
            vertices = columns[member[columns] == group]
            code, scores, left = principal(
                part.vertices(vertices - columns[0]), len(network.code), seed
            )
            variance[vertices] = np.square(code, dtype=np.float64).sum(0) + left
            if not is_known[vertices].all():
                network.code[:, vertices] = torch.from_numpy(code)
                network.left[vertices] = torch.from_numpy(left).float()
                group_parts.append(Part(number, int(group), rows, vertices, scores))
    if has_start or len(responses.parts) > 1:
        _align_codes(network, features, group_parts, has_start)
    if not quiet:
        share = 1 - network.left.double().numpy().sum() / max(variance.sum(), 1e-300)
        log.info(
            "a code of %d numbers keeps %.1f %% of the variance of the responses that are trained "
            "on (groups: %d)",
            len(network.code),
            100 * share,
            network.n_groups,
        )
    return variance


def _align_codes(
    network: "DiffusionNetwork", features: Features, parts: list[Part], has_start: bool
) -> None:
    """Rotate each code towards the code that the pictures are expected to evoke.

    References
    ----------
    Schönemann (1966). A generalized solution of the orthogonal Procrustes problem. Psychometrika
    31. Haxby et al. (2011). A common, high-dimensional model of the representational space in human
    ventral temporal cortex. Neuron 72: hyperalignment of responses, here of codes.
    """
    if has_start:

        def expected_codes(rows: Rows) -> NDArray:
            with torch.inference_mode():
                units = network.eval().encode_pictures(torch.from_numpy(features(rows)))
                return network.expected(units).numpy()

        _align_parts(network, parts, range(network.n_groups), expected_codes)
        network.train()
        return
    first: dict[int, Part] = {}
    for part in parts:
        first.setdefault(part.group, part)
    for leader in sorted({part.subject for part in first.values()}):
        leading = [part for part in first.values() if part.subject == leader]
        following = [p for p in parts if first[p.group] in leading and p is not first[p.group]]
        if following:
            targets = np.concatenate([part.scores for part in leading], 1)
            # A penalty of n_images halves the weight of a feature that correlates with no other.
            ridge = Ridge(alpha=len(targets)).fit(features(leading[0].rows), targets)

            def linear_codes(rows: Rows, ridge: Ridge = ridge) -> NDArray:
                return ridge.predict(features(rows))

            _align_parts(network, following, [part.group for part in leading], linear_codes)


def _align_parts(
    network: "DiffusionNetwork",
    parts: list[Part],
    groups: Sequence[int],
    expected_codes: Callable[[Rows], NDArray],
) -> None:
    """Rotate the codes of parts towards those (n_images, n_groups, n_latent) that are expected."""
    for subject in sorted({part.subject for part in parts}):
        subject_parts = [part for part in parts if part.subject == subject]
        rows = subject_parts[0].rows
        expected = expected_codes(rows).reshape(len(rows), len(groups), -1)
        for part in subject_parts:
            _align_code(network, part, expected[:, list(groups).index(part.group)])


def _align_code(network: "DiffusionNetwork", part: Part, expected: NDArray) -> None:
    rotation, _ = orthogonal_procrustes(part.scores, expected)
    rotated = torch.from_numpy(rotation.T.astype(np.float32)) @ network.code[:, part.columns]
    network.code[:, part.columns] = rotated


def principal(
    responses: Responses, n_latent: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Compute the principal components of responses.

    They are the code (n_latent, n_vertices), each component as long as its standard deviation over
    pictures, or 0 where there are fewer; the scores (n_images, n_latent) of unit variance, so that
    responses are their mean plus scores times code; and the variance of each vertex that is left.

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
        left_vectors, lengths, axes = randomized_svd(loaded, count, random_state=seed)
        code[:count] = axes * lengths[:, None] / np.sqrt(n_images)
        scores[:, :count] = left_vectors * np.sqrt(n_images)
    return code, scores, np.maximum(total - np.square(code, dtype=np.float64).sum(0), 0)
