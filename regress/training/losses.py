"""Losses: a value for each vertex, over the pictures of a batch, with its gradient.

Dimensions over which each loss averages or correlates:

    mse, l1, huber   errors, of each vertex over the pictures of the batch
    pearson          1 - r, of each vertex over the pictures of the batch
    pattern          1 - r, of each picture over the vertices of a group; then over the pictures

The gradients are written out, so that a step touches each array of predictions a few times only;
automatic differentiation would keep and pass over twice as many. What is minimised is the sum over
vertices: a vertex has the same gradient whichever others are trained with it; with `pattern`,
whichever other groups.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from base import nearest
from regress.errors import RegressError

# Predictions that spread less than this share of the responses' spread have the gradient of r at
# this spread: that of constant predictions, with which a training begins, is infinite.
LEAST_SPREAD = 0.1
# The same for predictions that spread less than this, in units of a session's standard deviation:
# of a vertex that hardly varies, r would else have a gradient that drowns all others.
EPSILON = 0.05
# r over two pictures is 1 or -1 whatever is predicted, and has no gradient; over a few it is noise.
LEAST_PICTURES = 8
# The same of r over vertices: a group of fewer has no pattern.
LEAST_VERTICES = 3


def pearson(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Compute 1 - r, with Pearson's r over the pictures of the batch, and its gradient.

    Where predictions spread less than a tenth as far as the responses, or than `EPSILON`, the
    gradient is as it would be if they spread so far. It is 0 where the responses are constant.
    """
    p, p_norm = _about_mean(predicted)
    m, m_norm = _about_mean(measured)
    p_inverse, m_inverse = (torch.where(norm > 0, 1 / norm, 0) for norm in (p_norm, m_norm))
    r = dots(p, m).mul_(p_inverse).mul_(m_inverse)
    least = (LEAST_SPREAD * m_norm).clamp_min_(EPSILON * len(predicted) ** 0.5)
    scale = torch.where(m_norm > 0, 1 / torch.maximum(p_norm, least), 0)
    return 1 - r, p.mul_(scale * r * p_inverse).addcmul_(m, -scale * m_inverse)


def _about_mean(array: Tensor) -> tuple[Tensor, Tensor]:
    """Return columns less their mean, and their norms, 0 where only rounding error is left."""
    mean = _sums(array).div_(len(array))
    about = array - mean
    norm = dots(about, about).sqrt_()
    rounding = 4 * torch.finfo(array.dtype).eps * len(array) ** 0.5 * mean.abs()
    return about, norm.masked_fill_(norm <= rounding, 0)


def _sums(array: Tensor) -> Tensor:
    """Sum each column, as a product, which takes half as long as torch's sum."""
    return torch.mm(array.new_ones(1, len(array)), array)[0]


def dots(first: Tensor, second: Tensor) -> Tensor:
    """Compute dot products of columns; torch's norms and dots of columns take twice as long."""
    return _sums(first * second)


def pattern(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Compute 1 - r, with Pearson's r over the vertices of a group, for each picture.

    The value is the mean over pictures, the same for all vertices; 1 for too few vertices.
    """
    if predicted.shape[1] < LEAST_VERTICES:
        return torch.ones_like(predicted[0]), torch.zeros_like(predicted)
    losses, slope = pearson(predicted.T, measured.T)
    n_vertices = predicted.shape[1]
    return losses.mean().repeat(n_vertices), slope.T.mul_(n_vertices / len(losses))


Function = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def mse(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean squared error and its gradient."""
    rest = predicted - measured
    return dots(rest, rest).div_(len(rest)), rest.mul_(2 / len(rest))


def huber(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the Huber loss, squared up to an error of 1 and linear beyond, and its gradient.

    Responses, and so the error of 1, are in units of a session's standard deviation.

    References
    ----------
    Huber (1964). Robust estimation of a location parameter. Annals of Mathematical Statistics 35.
    """
    rest = predicted - measured
    inside = rest.clamp(-1, 1)
    values = dots(rest.sub_(inside, alpha=0.5), inside).div_(len(inside))
    return values, inside.div_(len(inside))


def l1(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean absolute error and its gradient."""
    rest = predicted - measured
    return rest.abs().mean(0), rest.sign_().div_(len(rest))


LOSSES: dict[str, Function] = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "pearson": pearson,
    "pattern": pattern,
}


def _term(
    function: Function, predicted: Tensor, measured: Tensor, member: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Compute one loss; a loss that compares vertices is computed group by group."""
    if function is not pattern or member is None or not len(member):
        return function(predicted, measured)
    values, gradient = torch.empty_like(predicted[0]), torch.empty_like(predicted)
    order = torch.argsort(member, stable=True)
    for columns in torch.split(order, torch.bincount(member).tolist()):
        group_values, slope = function(predicted[:, columns], measured[:, columns])
        values[columns], gradient[:, columns] = group_values, slope
    return values, gradient


class Loss:
    """A weighted sum of losses, parsed from "mse", "pearson", "mse+0.5*pearson" and the like."""

    def __init__(self, text: str) -> None:
        self.terms: list[tuple[float, Function]] = []
        for term in str(text).split("+"):
            weight, star, name = term.strip().rpartition("*")
            name = name.strip()
            if name not in LOSSES:
                raise RegressError(
                    f"loss {text!r}: {name!r} is no loss; expected one of {', '.join(LOSSES)}, or "
                    f"a weighted sum such as mse+0.5*pearson{nearest(name, LOSSES)}"
                )
            self.terms.append((_positive(text, weight) if star else 1.0, LOSSES[name]))

    @property
    def moves_mean(self) -> bool:
        """Whether the best constant prediction is not the mean response."""
        return any(function in (huber, l1, pattern) for _, function in self.terms)

    @property
    def min_pictures(self) -> int:
        """Smallest number of pictures in a batch for which the loss is meaningful."""
        return LEAST_PICTURES if any(function is pearson for _, function in self.terms) else 1

    def values(
        self, predicted: Tensor, measured: Tensor, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss of each vertex, and the gradient; `member` is the group of each."""
        (weight, function), *further_terms = self.terms
        values, gradient = _term(function, predicted, measured, member)
        if weight != 1:
            values, gradient = values.mul_(weight), gradient.mul_(weight)
        for weight, function in further_terms:
            term_values, term_gradient = _term(function, predicted, measured, member)
            values.add_(term_values, alpha=weight)
            gradient.add_(term_gradient, alpha=weight)
        return values, gradient

    def __call__(
        self, predicted: Tensor, measured: Tensor, member: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute the differentiable sum over vertices, and the loss of each vertex."""
        total: Tensor
        values: Tensor
        total, values = _Sum.apply(predicted, measured, self, member)
        return total, values


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, predicted: Tensor, measured: Tensor, loss: Loss, member: Tensor | None
    ) -> Any:
        values, gradient = loss.values(predicted.float(), measured, member)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(values)
        ctx.dtype = predicted.dtype
        return values.sum(), values

    @staticmethod
    def backward(ctx: Any, *by: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        # Only a loss that mixed precision has scaled has a slope other than 1.
        slope = by[0] if by[0] != 1 else None
        gradient = gradient if slope is None else gradient * slope
        return gradient.to(ctx.dtype), None, None, None


def _positive(text: str, weight: str) -> float:
    try:
        value = float(weight)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise RegressError(f"loss {text!r}: found the weight {weight!r}, expected a number above 0")
    return value
