"""The losses of a training as a table."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base import replacing
from regress.trained.kept import Kept

# With more groups, as where each vertex stops on its own, only their mean is written.
MANY = 500
COLUMNS = (
    "epoch",
    "seconds",
    "learning_rate",
    "group",
    "vertices",
    "training_loss",
    "validation_loss",
    "right_verdicts",
)


def write_log(path: Path, kept: Kept, names: NDArray) -> None:
    """Write the loss of each epoch and group.

    Parameters
    ----------
    path : Path
        A CSV file; an older one is replaced.
    kept : Kept
        Holds the losses.
    names : array (n_groups,)
        What the groups are called.

    Notes
    -----
    Columns: epoch, from 1; its seconds, validation included; learning_rate at its end; group, or
    "all" for the mean over vertices; vertices in it; training_loss, the mean over the steps of the
    epoch, each before it was taken, of l1 in the first `l1_epochs`; validation_loss after the
    epoch, empty where no pictures were held out; right_verdicts, the share that critics had right
    of measured and made responses, where there are critics. A group that left the network has no
    further rows.
    """
    sizes = np.bincount(kept.member.numpy(), minlength=kept.n_groups)
    with replacing(path) as temporary, temporary.open("w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(COLUMNS)
        for epoch, seconds, rate, right, train, held in kept.rows:
            when = [epoch, f"{seconds:.4g}", f"{rate:.6g}"]
            there = np.flatnonzero(np.isfinite(train))
            total = sizes[there].sum()
            mean = [
                _plain((of[there] * sizes[there]).sum() / max(1, total)) for of in (train, held)
            ]
            table.writerow([*when, "all", total, *mean, _plain(right)])
            for group in there if kept.n_groups <= MANY else ():
                losses = [_plain(of[group]) for of in (train, held)]
                table.writerow([*when, names[group], sizes[group], *losses, ""])


def _plain(loss: float) -> str:
    return f"{loss:.6g}" if np.isfinite(loss) else ""
