"""Where work is done: in this process, in several, or in the jobs of a cluster.

A stage says what its units of work are, and hands them over; each unit writes what it makes itself.
"""

from execute.errors import ExecuteError
from execute.executor import ALONE, Executor, Place, choose_executor, share
from execute.forecast.cost import Cost
from execute.forecast.planned_work import planned
from execute.runs import Run
from execute.whole_command import run_anywhere
from execute.work import Work

__all__ = [
    "ALONE",
    "Cost",
    "ExecuteError",
    "Executor",
    "Place",
    "Run",
    "Work",
    "choose_executor",
    "planned",
    "run_anywhere",
    "share",
]
