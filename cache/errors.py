"""Errors of stored files."""

from base import RoiridgeError


class CacheError(RoiridgeError):
    """A stored file is damaged, missing, of another key, or lacks the requested rows or arrays."""


class InUseError(RoiridgeError):
    """A stored file cannot be read because another program is writing it."""
