"""The key of a kept array: canonical JSON of all that changes its numbers.

The key is a contract. What changes the numbers is in it (network, digest of the weights, layers,
pooling, projection and its seed, preprocessing, precision); what does not (device, batch size, the
folder it lies in) is not. Equal keys therefore mean equal features, on any machine.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(key: Mapping[str, Any]) -> str:
    """Write a key as canonical JSON: sorted, without spaces, ASCII, no NaN.

    Parameters
    ----------
    key : mapping
        Strings, integers, floats, booleans, None, and lists and mappings of them.

    Returns
    -------
    str
        The same text for equal keys, whatever the order of their fields.
    """
    return json.dumps(
        key, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(key: Mapping[str, Any]) -> str:
    """Shorten a key to what stands in a file name.

    Parameters
    ----------
    key : mapping
        As for `canonical`.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the sha256 of the canonical JSON.
    """
    return hashlib.sha256(canonical(key).encode()).hexdigest()[:16]
