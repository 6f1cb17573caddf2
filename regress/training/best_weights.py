"""Best weights of each group in a training, their epoch, and whether the group has stopped."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regress.layers.network import Network, axis_of

Bools = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class BestWeights:
    """Best weights of each group, and which groups are still trained.

    A group that stops keeps its best weights while others are trained on; its vertices are removed
    from the network when enough have stopped. Where weights are shared by all vertices, all groups
    stop together, by the mean loss of all vertices. A group is done after its limit of epochs or,
    without limits, after `patience` epochs without a better loss.

    Attributes
    ----------
    weights : dict of str to Tensor
        State of the network, with the best weights of each group.
    vertices : Tensor of int (n_left,)
        Vertices that the network still has.
    epochs : array of int (n_groups,)
        Epoch of each group's best weights; 0 is before the first step.
    stopped : array of bool (n_groups,)
        Groups that are trained no more.
    divergence : array of int (n_groups,)
        The step at which a group's loss became NaN or infinite; 0 where it never did.
    rows : list of (int, float, float, float, array, array)
        For each epoch: number, seconds, learning rate at its end, share of right verdicts of the
        critics, and the loss of each group on training and on validation pictures; NaN for none.
    """

    def __init__(
        self, network: Network, patience: int, limits: NDArray[np.int64] | None = None
    ) -> None:
        n_groups = network.n_groups
        self.together = bool(network.shared)
        self.member = network.member.clone()
        self.weights = {name: values.clone() for name, values in network.state_dict().items()}
        self.vertices = torch.arange(len(self.member))
        if self.together and limits is not None:
            limits = np.full_like(limits, limits.max())
        self.patience, self.limits = patience, limits
        self.best = np.full(n_groups, np.inf)
        self.epochs = np.zeros(n_groups, np.int64)
        self.stopped = np.zeros(n_groups, bool) if limits is None else limits == 0
        self.divergence = np.zeros(n_groups, np.int64)
        self.epoch = 0
        self.rows: list[tuple[int, float, float, float, Numbers, Numbers]] = []

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.best)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of vertices of each group."""
        return np.bincount(self.member.numpy(), minlength=self.n_groups)

    def means(self, values: Tensor) -> Numbers:
        """Average over the vertices of each group; NaN for groups that have left the network."""
        member = self._members().numpy()
        sums = np.bincount(member, values.double().cpu().numpy(), self.n_groups)
        count = np.bincount(member, minlength=self.n_groups)
        return np.where(count > 0, sums / np.maximum(count, 1), np.nan)

    def scores(self, values: Tensor) -> Numbers:
        """Return the loss by which each group stops: of all vertices where groups stop together."""
        if not self.together:
            return self.means(values)
        return np.full(self.n_groups, float(values.double().mean()))

    def stop_diverged(self, values: Tensor, step: int) -> None:
        """Stop the groups whose loss is NaN or infinite; they keep their best weights."""
        bad = ~torch.isfinite(values).cpu()
        groups = np.unique(self.member[self.vertices[bad]].numpy())
        if self.together and len(groups):
            groups = np.arange(self.n_groups)
        new = groups[~self.stopped[groups]]
        self.divergence[new], self.stopped[new] = step, True

    def end_epoch(
        self,
        network: Network,
        seconds: float,
        lr: float,
        accuracy: float,
        train: Tensor,
        held: Tensor | None,
    ) -> None:
        """Store weights that are better, and stop groups that are done.

        The losses of each vertex (n_left,) are those of the training pictures, and of the
        validation pictures, if there are any; the rest is for the log.
        """
        self.epoch += 1
        scores = self.scores(train if held is None else held)
        if self.limits is not None or held is None:
            better = ~self.stopped & np.isfinite(scores)
        else:
            better = ~self.stopped & (scores < self.best)
        self.best[better] = scores[better]
        self.epochs[better] = self.epoch
        self._store(network, better)
        if self.limits is not None:
            self.stopped |= self.epoch >= self.limits
        elif held is not None:
            self.stopped |= self.epoch - self.epochs >= self.patience
        none = np.full(self.n_groups, np.nan)
        losses = self.means(train), none if held is None else self.means(held)
        self.rows.append((self.epoch, seconds, lr, accuracy, *losses))

    def _store(self, network: Network, improved: Bools) -> None:
        """Store the weights of the groups that are better."""
        mask, groups = torch.from_numpy(improved), torch.unique(self._members())
        at = {
            "vertex": mask[self._members()].nonzero()[:, 0],
            "group": mask[groups].nonzero()[:, 0],
        }
        stored_at = {"vertex": self.vertices[at["vertex"]], "group": groups[at["group"]]}
        for name, values in network.state_dict().items():
            if name == "member":
                continue
            kind, axis = axis_of(network, name)
            new, stored = values.detach().cpu(), self.weights[name]
            is_complete = kind != "shared" and len(at[kind]) == stored.shape[axis]
            if is_complete or (kind == "shared" and improved.any()):
                stored.copy_(new)
            elif kind != "shared":
                stored.index_copy_(axis, stored_at[kind], new.index_select(axis, at[kind]))

    def _members(self) -> Tensor:
        """Return the group of each vertex that the network still has."""
        return self.member[self.vertices]

    def active_vertices(self) -> Tensor:
        """Return a mask of the network's vertices that are still trained."""
        active = torch.from_numpy(~self.stopped)
        return active[self._members()]

    def state(self) -> dict[str, Any]:
        """Return everything that changes during a training, for a checkpoint."""
        names = ("weights", "vertices", "best", "epochs", "stopped", "divergence", "epoch", "rows")
        return {name: getattr(self, name) for name in names}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        for name, value in state.items():
            setattr(self, name, value)
