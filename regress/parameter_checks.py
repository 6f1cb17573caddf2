"""Checks of models' parameters, whose messages name what was found and what was expected."""

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from regress.solvers.arguments import MAX_COUNT, SCOPES


def check_whole(parameters: Mapping[str, Any], limits: Mapping[str, int]) -> None:
    """Check that parameters are whole numbers; `limits` has the smallest value of each."""
    for name, low in limits.items():
        value = parameters[name]
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
            raise ValueError(f"{name}: found {value!r}, expected a whole number from {low} on")
        if int(value) > MAX_COUNT:
            raise ValueError(f"{name}: found {value}, expected at most {MAX_COUNT}")


def check_numbers(
    parameters: Mapping[str, Any], names: Iterable[str], below: float = math.inf
) -> None:
    """Check that parameters are numbers from 0 on, below a limit."""
    limit = "" if below == math.inf else f", below {below}"
    for name in names:
        value = parameters[name]
        if not isinstance(value, numbers.Real) or not 0 <= float(value) < below:
            raise ValueError(f"{name}: found {value!r}, expected a number from 0 on{limit}")


def check_positive(parameters: Mapping[str, Any], name: str) -> None:
    """Check that a parameter is a number above 0."""
    value = parameters[name]
    if not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name}: found {value!r}, expected a number above 0")


def check_choices(parameters: Mapping[str, Any], choices: Mapping[str, tuple[str, ...]]) -> None:
    """Check that parameters have one of their values."""
    for name, values in choices.items():
        if parameters[name] not in values:
            raise ValueError(f"{name}: found {parameters[name]!r}, expected {' or '.join(values)}")


def check_scope(scope: Any) -> None:
    """Check the parameter `scope`: "vertex", "roi", or a group for each vertex."""
    if scope not in SCOPES if isinstance(scope, str) else np.ndim(scope) != 1:
        raise ValueError(f"scope: found {scope!r}, expected {' or '.join(SCOPES)}")
