"""What tests submit: functions that a task can import."""

import os
import signal


def square(number: int) -> tuple[int, int]:
    """Give a square, and the array task that found it."""
    return number * number, int(os.environ["SLURM_ARRAY_TASK_ID"])


def die(number: int) -> None:
    """End without a word."""
    os.kill(os.getpid(), signal.SIGKILL)
