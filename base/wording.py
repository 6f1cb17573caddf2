"""Numbers as text for people: every number that is shown is rounded here, once."""

import math


def decimal(value: float | None, digits: int, signed: bool = False) -> str:
    """Return a number as text, rounded to some digits after the point.

    Parameters
    ----------
    value : float or None
        The number as computed, not rounded before.
    digits : int
        The number of digits after the point.
    signed : bool
        Whether to write the sign of a positive number.

    Returns
    -------
    str
        The number; a dash where there is none.

    Examples
    --------
    >>> decimal(0.80549, 3), decimal(2.5, 1, signed=True), decimal(None, 2)
    ('0.805', '+2.5', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:{'+' if signed else ''}.{digits}f}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    Parameters
    ----------
    count : int
        The number of things.
    noun : str
        The noun in the singular: "subject", "vertex", "class".

    Returns
    -------
    str
        The noun in the singular or plural.

    Examples
    --------
    >>> plural(1, "subject"), plural(0, "vertex"), plural(2, "class")
    ('1 subject', '0 vertices', '2 classes')
    """
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("ex"):
        return f"{count} {noun.removesuffix('ex')}ices"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'}"
