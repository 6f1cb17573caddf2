"""Warnings at the end of a training that went wrong, with advice, and the log of losses."""

import csv
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base import replacing
from regress.errors import RegressError
from regress.training.best_weights import BestWeights

log = logging.getLogger("regress")

# Groups that a message names one by one.
MAX_NAMES = 4
# A validation loss so many times the first one is no accident of the validation pictures.
FAR_WORSE = 1.5


def warn_of_divergence(best_weights: BestWeights, lr: float, n_batches: int) -> None:
    """Warn of groups whose loss became NaN or infinite."""
    diverged = np.flatnonzero(best_weights.divergence)
    if not len(diverged):
        return
    step = int(best_weights.divergence[diverged].min())
    position = f"at step {step}, in epoch {(step - 1) // n_batches + 1}"
    fix = f"give {lower_rate(lr)}"
    count = f"{len(diverged)} of {best_weights.n_groups} groups"
    if not best_weights.epochs[diverged].all():
        raise RegressError(
            f"the loss became NaN or infinite {position}, before anything was learned, in {count}: "
            f"{fix}"
        )
    log.warning(
        "the loss of %s became NaN or infinite, first %s; they keep the weights of epoch %s: %s",
        count,
        position,
        " or ".join(str(epoch) for epoch in np.unique(best_weights.epochs[diverged])[:MAX_NAMES]),
        fix,
    )


def warn_of_no_progress(
    best_weights: BestWeights,
    names: NDArray,
    varying: NDArray[np.bool_],
    has_start: bool,
    *lower: str,
) -> None:
    """Warn of groups, of those that vary, whose validation loss no epoch improved."""
    worse = (
        (best_weights.epochs == 0)
        & np.isfinite(best_weights.best)
        & (best_weights.divergence == 0)
        & varying
    )
    if not worse.any() or not best_weights.rows:
        return
    groups = np.asarray(names)[worse]
    losses = np.array([held for *_, held in best_weights.rows])
    sizes = best_weights.sizes.astype(np.float64)
    # Both losses are means over the same vertices: those that stop together, or of these groups.
    if best_weights.together:
        present = np.unique(best_weights.member[best_weights.vertices].numpy())
        losses = np.average(losses[:, present], axis=1, weights=sizes[present])[:, None]
        weights, before = np.ones(1), best_weights.best[worse][0]
    else:
        losses, weights = losses[:, worse], sizes[worse]
        before = np.average(best_weights.best[worse], weights=weights)
    lowest = np.average(np.where(np.isfinite(losses), losses, np.inf).min(0), weights=weights)
    examples = ", ".join(map(str, groups[:MAX_NAMES])) + (", …" if len(groups) > MAX_NAMES else "")
    log.warning(
        "%d of %d groups learned nothing (%s): no epoch predicts the validation pictures better "
        "(loss %.3g at best) than %s does (%.3g), which is kept and predicted%s: give %s%s",
        len(groups),
        best_weights.n_groups,
        examples,
        lowest,
        "what the training began from" if has_start else "the mean response",
        before,
        "" if has_start else ", whatever the picture",
        ", or ".join(lower),
        ""
        if lowest > FAR_WORSE * before
        else ", unless the features tell nothing of these responses",
    )


def lower_rate(lr: float) -> str:
    """Return the advice to lower the learning rate."""
    return f"a lower lr (now {lr:g}): --params.lr {min(lr / 10, 1e-3):g}"


# With more groups than this, only their mean is written.
MAX_GROUPS = 500
COLUMNS = (
    *("epoch", "seconds", "learning_rate", "group", "vertices"),
    *("training_loss", "validation_loss", "right_verdicts"),
)


def write_log(path: Path, best_weights: BestWeights, names: NDArray) -> None:
    """Write the loss of each epoch and named group.

    Columns: epoch, from 1; its seconds, validation included; learning_rate at its end; group, or
    "all" for the mean over vertices; vertices in it; training_loss, the mean over the steps of the
    epoch, each before it was taken, of l1 in the first `l1_epochs`; validation_loss after the
    epoch, empty where no pictures were held out; right_verdicts, the share that critics had right
    of measured and made responses, where there are critics. A group that left the network has no
    further rows.
    """
    sizes = best_weights.sizes
    with replacing(path) as temporary, temporary.open("w", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(COLUMNS)
        for epoch, seconds, rate, right, train, held in best_weights.rows:
            epoch_columns = [epoch, f"{seconds:.4g}", f"{rate:.6g}"]
            present = np.flatnonzero(np.isfinite(train))
            total = sizes[present].sum()
            mean = [
                _plain((values[present] * sizes[present]).sum() / max(1, total))
                for values in (train, held)
            ]
            table.writerow([*epoch_columns, "all", total, *mean, _plain(right)])
            for group in present if best_weights.n_groups <= MAX_GROUPS else ():
                losses = _plain(train[group]), _plain(held[group])
                table.writerow([*epoch_columns, names[group], sizes[group], *losses, ""])


def _plain(loss: float) -> str:
    return f"{loss:.6g}" if np.isfinite(loss) else ""
