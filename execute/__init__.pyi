from .errors import ExecuteError
from .executor import ALONE, Devices, Executor, choose_executor, share
from .forecast.cost import Cost
from .runs import Run

__all__ = [
    "ALONE",
    "Cost",
    "Devices",
    "ExecuteError",
    "Executor",
    "Run",
    "choose_executor",
    "share",
]
