"""What is to be said at the end of a training that went wrong, and what to do about it."""

import logging

import numpy as np
from numpy.typing import NDArray

from regress.errors import RegressError
from regress.trained.kept import Kept

log = logging.getLogger("regress")

# Groups that are named one by one.
NAMED = 4
# A loss so many times that of the beginning is no matter of chance.
FAR = 1.5


def say_what_was_spoiled(kept: Kept, lr: float, n_batches: int) -> None:
    """Warn of groups whose loss became NaN or infinite.

    Parameters
    ----------
    kept : Kept
        At the end of the training.
    lr : float
        The learning rate.
    n_batches : int
        Steps of an epoch.

    Raises
    ------
    RegressError
        If one had learned nothing yet.
    """
    spoiled = np.flatnonzero(kept.spoiled)
    if not len(spoiled):
        return
    step = int(kept.spoiled[spoiled].min())
    where = f"at step {step}, in epoch {(step - 1) // n_batches + 1}"
    fix = f"give {lower_rate(lr)}"
    of = f"{len(spoiled)} of {kept.n_groups} groups"
    if not kept.epochs[spoiled].all():
        raise RegressError(
            f"the loss became NaN or infinite {where}, before anything was learned, in {of}: {fix}"
        )
    log.warning(
        "the loss of %s became NaN or infinite, first %s; they keep the weights of epoch %s: %s",
        of,
        where,
        " or ".join(str(epoch) for epoch in np.unique(kept.epochs[spoiled])[:NAMED]),
        fix,
    )


def say_what_was_not_learned(
    kept: Kept, names: NDArray, varying: NDArray[np.bool_], begun: bool, *lower: str
) -> None:
    """Warn of groups that no epoch made better than they were before the first step.

    Parameters
    ----------
    kept : Kept
        At the end of a training that was stopped by validation pictures.
    names : array (n_groups,)
        What the groups are called.
    varying : array of bool (n_groups,)
        Groups in which there is anything to learn.
    begun : bool
        Whether they began from another training; else from the mean response.
    *lower : str
        What may be lowered, in words.
    """
    worse = (kept.epochs == 0) & np.isfinite(kept.best) & (kept.spoiled == 0) & varying
    if not worse.any() or not kept.rows:
        return
    groups = np.asarray(names)[worse]
    losses = np.array([held for *_, held in kept.rows])
    sizes = np.bincount(kept.member.numpy(), minlength=kept.n_groups).astype(np.float64)
    # Both figures are means over the same vertices: those that stop together, or of these groups.
    if kept.together:
        here = np.unique(kept.member[kept.vertices].numpy())
        losses = np.average(losses[:, here], axis=1, weights=sizes[here])[:, None]
        weights, before = np.ones(1), kept.best[worse][0]
    else:
        losses, weights = losses[:, worse], sizes[worse]
        before = np.average(kept.best[worse], weights=weights)
    lowest = np.average(np.where(np.isfinite(losses), losses, np.inf).min(0), weights=weights)
    some = ", ".join(map(str, groups[:NAMED])) + (", …" if len(groups) > NAMED else "")
    log.warning(
        "%d of %d groups learned nothing (%s): no epoch predicts the validation pictures better "
        "(loss %.3g at best) than %s does (%.3g), which is kept and predicted%s: give %s%s",
        len(groups),
        kept.n_groups,
        some,
        lowest,
        "what the training began from" if begun else "the mean response",
        before,
        "" if begun else ", whatever the picture",
        ", or ".join(lower),
        "" if lowest > FAR * before else ", unless the features tell nothing of these responses",
    )


def lower_rate(lr: float) -> str:
    """Advise to learn more slowly.

    Parameters
    ----------
    lr : float
        The learning rate.

    Returns
    -------
    str
        In words, with the option.
    """
    return f"a lower lr (now {lr:g}): --params.lr {min(lr / 10, 1e-3):g}"
