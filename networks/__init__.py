"""Networks that others made, and where their weights come from; for every stage that needs one.

Weights are a file that the user names, a hub's, or those of a pip package, in that order; random
ones only by name, and then they are called untrained.
"""

from networks.errors import NetworkError
from networks.weights import Found, Request, drawing, load_into, weights_key

__all__ = ["Found", "NetworkError", "Request", "drawing", "load_into", "weights_key"]
