from .artifact import read_artifact, read_meta, write_artifact
from .errors import CacheError, InUseError
from .feature_store import Entry, FeatureStore
from .fit_names import check_fit_name, find_fits, fit_folders, read_fit_name, write_fit_name
from .key import canonical, digest

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
