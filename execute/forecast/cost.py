"""What work costs: time, memory and disk, of one unit of it or of many."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one unit of work takes, of a machine as `Rates` have measured it.

    Attributes
    ----------
    seconds : float
        Wall-clock time, with the threads that the process has.
    memory : int
        Bytes: the peak resident size of a process that does it, with that of what it imports.
    gpu_memory : int
        Bytes on a GPU; 0 where it runs on the processor.
    disk : int
        Bytes that it leaves on the disk.
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
    """Give the cost of units that one process does one after the other.

    Returns
    -------
    Cost
        The sums of time and disk, the largest of the memories; nothing where there are none.
    """
    return sum(costs, Cost())


def parallel_cost(costs: Iterable[Cost]) -> Cost:
    """Give the cost of processes that run at the same time, each on processors of its own.

    Returns
    -------
    Cost
        The longest of the times, the sums of memories and disk; nothing where there are none.
    """
    every = list(costs)
    return Cost(
        max((cost.seconds for cost in every), default=0.0),
        sum(cost.memory for cost in every),
        sum(cost.gpu_memory for cost in every),
        sum(cost.disk for cost in every),
    )
