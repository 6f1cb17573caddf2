"""Arrays kept by key: written once, whole or not at all, and verified when read.

The stages meet only here, and only this folder opens HDF5. Feature spaces (`FeatureStore`) keep a
row per picture, named by the picture's content; artifacts (`write_artifact`) keep what a stage
made, as plain arrays with JSON beside them. Chunks and metadata carry checksums, so a flipped byte
is an error and never a number.
"""

from cache.artifact import read_artifact, read_meta, write_artifact
from cache.errors import CacheError, InUseError
from cache.feature_store import Entry, FeatureStore
from cache.feature_writer import FeatureWriter, ShardWriter
from cache.fit_names import check_fit_name, find_fits, fit_folders, read_fit_name, write_fit_name
from cache.key import canonical, digest

__all__ = [
    "CacheError",
    "Entry",
    "FeatureStore",
    "FeatureWriter",
    "InUseError",
    "ShardWriter",
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
