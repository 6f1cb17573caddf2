"""Lightning module of a training: steps, validation, and groups that stop on their own."""

import time
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from regress.layers.network import (
    Network,
    PartitionedNetwork,
    narrow,
    replace_state,
    select_vertices,
)
from regress.training.batches import Batch, Pictures
from regress.training.best_weights import BestWeights
from regress.training.config import Training
from regress.training.losses import Loss
from regress.training.optimisers import make_optimiser, make_schedule

# The network is made narrower when a quarter of its vertices has stopped: each time costs a copy
# of the weights, and each time the rest trains so much faster.
NARROW_SHARE = 0.75


class Judge(Protocol):
    """Interface of a subject's critics, which are trained with the network."""

    @property
    def rate(self) -> float:
        """Learning rate, as a multiple of the network's."""

    @property
    def accuracy(self) -> float:
        """Share of right verdicts since `begin`."""

    def begin(self) -> None:
        """Reset the count of right verdicts."""

    def __call__(self, features: Tensor, predicted: Tensor, measured: Tensor) -> Tensor:
        """Compute what is added to the loss."""


class Task(pl.LightningModule):
    """Trains a network on pictures of all subjects; both are narrowed as groups of vertices stop.

    The schedule is over `n_steps`. Validation predicts `block` pictures at once. `scale` is centre
    and scale of the features (n_features,). `critics` are a `Judge` for each subject.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        network: Network,
        pictures: Pictures,
        best_weights: BestWeights,
        settings: Training,
        n_steps: int,
        block: int,
        scale: tuple[NDArray[np.float32], NDArray[np.float32]],
        critics: nn.ModuleList | None = None,
    ) -> None:
        super().__init__()
        self.network, self.best_weights, self.critics = network, best_weights, critics
        self.settings, self._n_steps, self._block = settings, n_steps, block
        for name, values in zip(("centre", "scale"), scale, strict=True):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        self._judges = cast("list[Judge]", list(critics or ()))
        self._pictures, self._parts = pictures, PartitionedNetwork(network, pictures.widths)
        self._loss, self._first_loss = Loss(settings.loss), Loss("l1")
        self._train_sum: Tensor | None = None
        self._validation: Tensor | None = None
        self._start = 0.0

    def configure_optimizers(self) -> Any:
        """Make optimiser and schedule."""
        settings = self.settings
        rates = {f"network.{name}": share for name, share in self.network.rates.items()}
        rates |= {f"critics.{number}.": judge.rate for number, judge in enumerate(self._judges)}
        optimiser = make_optimiser(
            settings.optimiser,
            self.named_parameters(),
            settings.lr,
            settings.weight_decay,
            settings.momentum,
            rates,
        )
        schedule = make_schedule(settings.schedule, settings.warmup, self._n_steps)
        scheduler = {"scheduler": LambdaLR(optimiser, schedule), "interval": "step"}
        return {"optimizer": optimiser, "lr_scheduler": scheduler}

    def on_after_batch_transfer(self, batch: Batch, number: int) -> Batch:
        """Standardise features, on the device."""
        return [((rows.float() - self.centre) / self.scale, responses) for rows, responses in batch]

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Compute the loss of a batch."""
        if number == 0:
            self._begin_epoch()
        predicted = self._parts(*self._network_inputs(batch))
        if self.network.objective:
            losses = [(values.sum(), values.detach()) for values in predicted]
        else:
            is_first = self.best_weights.epoch < self.settings.l1_epochs
            loss = self._first_loss if is_first else self._loss
            parts = zip(predicted, batch, self._parts.members, strict=True)
            losses = [loss(p, responses, member) for p, (_, responses), member in parts]
        total = torch.stack([part_total for part_total, _ in losses]).sum()
        values = torch.cat([vertex_losses for _, vertex_losses in losses])
        if self._judges:
            for judge, p, (features, measured) in zip(self._judges, predicted, batch, strict=True):
                total = total + judge(features, p, measured)
            if not torch.isfinite(total):
                # The critics' gradient of one group's responses reaches all groups.
                values = values + torch.nan
        if not torch.isfinite(total):
            self.best_weights.stop_diverged(values, self.global_step + 1)
        self._train_sum = values if self._train_sum is None else self._train_sum.add_(values)
        return total

    def _begin_epoch(self) -> None:
        # Not in Lightning's hook, which is skipped when a training resumes. Dropout depends on seed
        # and epoch alone.
        entropy = [self.settings.random_state, self.best_weights.epoch, 1]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        self._train_sum = None
        for judge in self._judges:
            judge.begin()
        self._start = time.perf_counter()

    def validation_step(self, batch: Batch, _: int) -> None:
        """Compute the loss of the validation pictures, which are predicted block by block."""
        results = self._in_blocks(batch)
        if not self.network.objective:
            parts = zip(results, batch, self._parts.members, strict=True)
            results = [self._loss.values(p.float(), y, member)[0] for p, (_, y), member in parts]
        values = torch.cat(results)
        if not self.trainer.sanity_checking:
            self._validation = values
        elif self.best_weights.epoch == 0:
            # Lightning's check before the first step: the loss of the mean response. Lightning also
            # checks when a training resumes, where the best loss must stay.
            self.best_weights.best = self.best_weights.scores(values)

    def _network_inputs(self, batch: Batch) -> list[Sequence[Tensor]]:
        """Return the network's inputs: features, and responses if it computes its own loss."""
        inputs: list[Sequence[Tensor]] = list(zip(*batch, strict=True))
        return inputs[: 1 + self.network.objective]

    def _in_blocks(self, batch: Batch) -> list[Tensor]:
        """Predict the pictures of each part, or compute the network's own loss of its vertices."""
        count = max(-(-len(features) // self._block) for features, _ in batch)

        def split(tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
            return list(zip(*(torch.tensor_split(t, count) for t in tensors), strict=True))

        blocks = zip(*map(split, self._network_inputs(batch)), strict=True)
        per_part = list(zip(*[self._parts(*block) for block in blocks], strict=True))
        if not self.network.objective:
            return [torch.cat(outputs) for outputs in per_part]
        means = []
        for (features, _), losses in zip(batch, per_part, strict=True):
            sizes = [len(rows) for rows in torch.tensor_split(features, count)]
            means.append(sum(n * v for n, v in zip(sizes, losses, strict=True)) / len(features))
        return means

    def on_train_epoch_end(self) -> None:
        """Store better weights, stop groups, and remove stopped groups when they are many."""
        assert self._train_sum is not None
        best_weights, optimiser = self.best_weights, self.trainer.optimizers[0]
        accuracies = [judge.accuracy for judge in self._judges]
        best_weights.end_epoch(
            self.network,
            time.perf_counter() - self._start,
            float(optimiser.param_groups[0]["lr"]),
            float(np.mean(accuracies)) if accuracies else np.nan,
            self._train_sum / self.trainer.num_training_batches,
            self._validation,
        )
        active = best_weights.active_vertices()
        if not active.any():
            self.trainer.should_stop = True
            return
        share = float(active.double().mean())
        # A group whose weights are NaN would make the sum NaN at each step.
        # Critics judge all vertices, and were made for all.
        worth_it = share <= NARROW_SHARE or (share < 1 and best_weights.divergence.any())
        if worth_it and not self._judges:
            narrow(self.network, active.nonzero()[:, 0].to(self.device), optimiser)
            best_weights.vertices = best_weights.vertices[active]
            self._narrow_pictures()

    def _narrow_pictures(self) -> None:
        """Narrow pictures and parts to the vertices that the network has."""
        self._pictures.narrow(self.best_weights.vertices)
        self._parts = PartitionedNetwork(self.network, self._pictures.widths)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the best weights of each group to a checkpoint."""
        checkpoint["kept"] = self.best_weights.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the best weights, and narrow the network to its width at the checkpoint."""
        self.best_weights.load(checkpoint["kept"])
        replace_state(self.network, select_vertices(self.network, self.best_weights.vertices))
        self._narrow_pictures()
