"""The square of Pearson's r. It is not the coefficient of determination 1 - SS_res / SS_tot."""

from evaluate.arrays import Floats
from evaluate.metrics import pearson_r
from evaluate.metrics._inputs import Pair


def compute(pair: Pair) -> Floats:
    """Compute the square of Pearson's r, vertex by vertex.

    The square has no sign: r = -0.5 and r = 0.5 both give 0.25, so that its mean over vertices is
    above 0 even for predictions that are pure noise (about 1 / (n_images - 1)). Like the
    challenge's score, it does not depend on the predictions' scale or offset.

    Parameters
    ----------
    pair : Pair
        Responses, predictions (n_images, n_vertices) and, where there are any, noise ceilings.

    Returns
    -------
    array (n_vertices,), float64
        r^2 in 0..1, 0 for a constant prediction; NaN where the ceiling is 0.
    """
    return pearson_r.compute(pair) ** 2
