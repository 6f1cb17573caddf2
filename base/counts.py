"""Numbers of repetitions that a user gives: not more than fit the machine."""

from base.errors import RoiridgeError


def check_count(option: str, value: int, largest: int, reason: str = "") -> None:
    """Check that a number of repetitions fits the machine, before anything is allocated.

    Parameters
    ----------
    option : str
        As it is typed, such as "--resamples".
    value : int
        The number that was given.
    largest : int
        The largest that can be computed.
    reason : str
        What limits it, such as "their means would need 8 PB of memory".

    Raises
    ------
    RoiridgeError
        If the number is larger.
    """
    if value > largest:
        raise RoiridgeError(
            f"{option} {value}: expected at most {largest}" + (f"; {reason}" if reason else "")
        )
