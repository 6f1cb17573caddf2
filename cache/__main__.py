"""`python -m cache ls`: what is kept."""

import sys
from pathlib import Path

from base import RoiridgeError
from base.command import run
from cache.features import FeatureStore


def ls(out: Path = Path("derivatives")) -> None:
    """List the feature spaces with rows, columns, size and origin.

    Parameters
    ----------
    out : Path
        The folder of everything that is made.

    Raises
    ------
    RoiridgeError
        If there is no such folder.
    """
    if not out.is_dir():
        raise RoiridgeError(f"{out}: no such folder; give --out, or run `make features` first")
    entries = FeatureStore(out / "features").entries()
    if not entries:
        print(f"no feature spaces in {out / 'features'}: run `make features`")
        return
    table = [("space", "rows", "columns", "MB", "digest", "origin of the weights")]
    for e in entries:
        size = f"{e.meta['bytes'] / 1e6:.1f}"
        origin = ("UNTRAINED: " if e.untrained else "") + str(e.meta.get("origin", "unknown"))
        table.append((e.name, str(e.meta["rows"]), str(e.meta["columns"]), size, e.digest, origin))
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    for row in table:
        left = row[0].ljust(widths[0])
        middle = (row[i].rjust(widths[i]) for i in (1, 2, 3))
        print("  ".join([left, *middle, row[4].ljust(widths[4]), row[5]]))


if __name__ == "__main__":
    sys.exit(run({"ls": ls}, "cache", ["python -m cache ls --out derivatives"]))
