"""Scores of predictions as arrays."""

from base import list_choices, load_plugin, plugin_names
from evaluate import metrics
from evaluate.arrays import Array, Floats
from evaluate.errors import EvaluateError
from evaluate.metrics._inputs import Pair


def score(
    measured: Array,
    predicted: Array,
    noise_ceiling: Array | None = None,
    metric: str = "noise_normalised",
) -> Floats:
    """Score predictions vertex by vertex.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses.
    predicted : array (n_images, n_vertices)
        Predictions of these responses.
    noise_ceiling : array (n_vertices,), optional
        Noise ceilings, fractions of the variance from 0 to 1.
    metric : str
        noise_normalised, the challenge's; unclipped, algonauts2021, pearson_r or r2.

    Returns
    -------
    array (n_vertices,), float64
        In the unit of the metric, percent for noise_normalised; NaN where a noise ceiling is 0 or
        needed and absent.

    Raises
    ------
    EvaluateError
        If there is no such metric, or shapes differ.

    Examples
    --------
    >>> measured = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])
    >>> score(measured, measured[:, ::-1], noise_ceiling=np.array([0.5, 0.2])).round()
    array([ 50., 100.])
    """
    names = plugin_names(metrics)
    if metric not in names:
        raise EvaluateError(f"metric: found {metric!r}, expected {list_choices(metric, names)}")
    if noise_ceiling is not None and noise_ceiling.shape != measured.shape[1:]:
        raise EvaluateError(
            f"noise_ceiling: found shape {noise_ceiling.shape}, expected {measured.shape[1:]}, "
            "one for each vertex"
        )
    plugin = load_plugin(metrics, metric, "metric")
    scores: Floats = plugin.compute(Pair(measured, predicted, noise_ceiling))
    return scores
