"""Pretrained networks of other libraries, and the sources of their weights, for all stages.

Weights are read from a file that the user names, from a hub, or from a pip package, in that order.
Random weights are used only on request, and are marked as untrained.
"""

from networks.errors import NetworkError
from networks.weights import Request

__all__ = ["NetworkError", "Request"]
