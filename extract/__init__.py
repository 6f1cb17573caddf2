"""Stage 1: pictures to feature spaces, written once to the cache.

Only this folder holds networks. A network family is a file in `extract/backbones`, a named feature
space an entry in `extract/spaces.py`.
"""

from extract.errors import ExtractError
from extract.run import extract_space, prepare
from extract.spaces import SPACES, Spec, resolve

__all__ = ["SPACES", "ExtractError", "Spec", "extract_space", "prepare", "resolve"]
