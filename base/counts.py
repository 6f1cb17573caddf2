"""Upper bounds on the numbers of repetitions that a user may ask for."""

from base.errors import RoiridgeError


def check_count(option: str, value: int, largest: int, reason: str = "") -> None:
    """Check that a number of repetitions fits the machine, before anything is allocated.

    Parameters
    ----------
    option : str
        The option as the user types it, such as "--resamples".
    value : int
        The number that the user typed.
    largest : int
        The largest number that can be computed.
    reason : str
        The cause of the limit, such as "their means would need 8 PB of memory".

    Raises
    ------
    RoiridgeError
        If the number is larger.

    Examples
    --------
    >>> check_count("--resamples", 1000, largest=100_000)
    >>> check_count("--resamples", 10**9, largest=100_000)
    Traceback (most recent call last):
    base.errors.RoiridgeError: --resamples 1000000000: expected at most 100000
    """
    if value > largest:
        raise RoiridgeError(
            f"{option} {value}: expected at most {largest}" + (f"; {reason}" if reason else "")
        )
