"""The cost of work: time, memory and disk of one unit or of several."""

from collections.abc import Iterable
from dataclasses import dataclass

# Bytes of GPU memory that CUDA itself needs.
CUDA = 500 << 20


@dataclass(frozen=True)
class Cost:
    """The cost of one unit of work on a machine, as predicted from its `Rates`.

    Attributes
    ----------
    seconds : float
        Wall-clock time, with the threads that the process has.
    memory : int
        Bytes: the peak resident size of the process, including its imports.
    gpu_memory : int
        Bytes on a GPU; 0 where the work runs on the processor.
    disk : int
        Bytes that it leaves on the disk.

    Examples
    --------
    >>> Cost(seconds=2.0, memory=3_000) + Cost(seconds=1.0, memory=5_000)
    Cost(seconds=3.0, memory=5000, gpu_memory=0, disk=0)
    """

    seconds: float = 0.0
    memory: int = 0
    gpu_memory: int = 0
    disk: int = 0

    def __add__(self, cost: "Cost") -> "Cost":
        """Return the cost of both, one after the other in one process."""
        return Cost(
            self.seconds + cost.seconds,
            max(self.memory, cost.memory),
            max(self.gpu_memory, cost.gpu_memory),
            self.disk + cost.disk,
        )


def sequential_cost(costs: Iterable[Cost]) -> Cost:
    """Return the cost of units that one process does one after the other; no units cost nothing."""
    return sum(costs, Cost())
