"""The key of a stored array: canonical JSON of all settings that change its numbers.

The key is a contract. It holds the network, the digest of the weights, layers, pooling, projection
and its seed, preprocessing and precision; it does not hold the device, the batch size or the
folder. Equal keys therefore mean equal features, on any machine.
"""

from base import canonical, digest

__all__ = ["canonical", "digest"]
