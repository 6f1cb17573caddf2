"""Execution of work: in this process, in several processes, or in the jobs of a cluster.

A stage lists its units of work and hands them over; each unit writes its own results.
"""

from execute.errors import ExecuteError
from execute.executor import ALONE, Devices, Executor, choose_executor, share
from execute.forecast.cost import Cost
from execute.forecast.planned_work import planned_costs
from execute.runs import Run

__all__ = [
    "ALONE",
    "Cost",
    "Devices",
    "ExecuteError",
    "Executor",
    "Run",
    "choose_executor",
    "planned_costs",
    "share",
]
