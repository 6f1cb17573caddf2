"""The cost of work: time, memory and disk of one unit or of several."""

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
    memory, gpu_memory : int
        Bytes: the peak resident size of the process; and on a GPU, if the work runs on one.
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
        memory, gpu_memory = max(self.memory, cost.memory), max(self.gpu_memory, cost.gpu_memory)
        return Cost(self.seconds + cost.seconds, memory, gpu_memory, self.disk + cost.disk)

    def __and__(self, cost: "Cost") -> "Cost":
        """Return the cost of both where their memory is held at the same time."""
        memory, gpu_memory = self.memory + cost.memory, self.gpu_memory + cost.gpu_memory
        return Cost(self.seconds + cost.seconds, memory, gpu_memory, self.disk + cost.disk)
