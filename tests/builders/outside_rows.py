"""What `test_cache_exchange` shares with other tests."""

import numpy as np
import pandas as pd

from cache.exchange.import_rows import import_rows, open_source
from tests.builders.feature_rows import name

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")


NAMES = tuple(name(number) for number in range(6))


def save(path, numbers, names=NAMES, columns=None):
    """Write numbers as others would, with NumPy and pandas."""
    numbers = np.asarray(numbers)
    if path.suffix == ".npy":
        np.save(path, numbers)
        path.with_suffix(".txt").write_text("\n".join(names) + "\n")
    elif path.suffix == ".npz":
        np.savez(path, features=numbers, pictures=np.array(names, dtype=str))
    else:
        table = pd.DataFrame(numbers, columns=columns)
        table.columns = table.columns.astype(str)
        table["picture"] = names
        if path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)
    return path


def bring(store, path, called="mine", names=None, replace=False):
    source = open_source(path)
    return import_rows(store, called, source, names or list(source.names), replace)
