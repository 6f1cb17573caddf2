"""Arrays stored by key: written atomically, and verified when read.

The stages exchange data only through this package, and only this package opens HDF5. Feature spaces
(`FeatureStore`) hold a row per picture, named by the digest of the picture's file; artifacts
(`write_artifact`) hold the result of a stage, as plain arrays and JSON. Chunks and metadata carry
checksums, so that a flipped byte is an error and never a number.
"""

from cache.artifact import read_artifact, read_meta, write_artifact
from cache.errors import CacheError, InUseError
from cache.feature_store import Entry, FeatureStore
from cache.fit_names import check_fit_name, find_fits, fit_folders, read_fit_name, write_fit_name
from cache.key import canonical, digest

__all__ = [
    "CacheError",
    "Entry",
    "FeatureStore",
    "InUseError",
    "canonical",
    "check_fit_name",
    "digest",
    "find_fits",
    "fit_folders",
    "read_artifact",
    "read_fit_name",
    "read_meta",
    "write_artifact",
    "write_fit_name",
]
