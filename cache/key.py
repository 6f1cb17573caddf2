"""The key of a kept array: canonical JSON of all that changes its numbers.

The key is a contract. What changes the numbers is in it (network, digest of the weights, layers,
pooling, projection and its seed, preprocessing, precision); what does not (device, batch size, the
folder it lies in) is not. Equal keys therefore mean equal features, on any machine.
"""

from base import canonical, digest

__all__ = ["canonical", "digest"]
