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
from regress.training.config import Recipe
from regress.training.losses import Loss
from regress.training.optimisers import make_optimiser, rate

# The network is made narrower when a quarter of its vertices has stopped: each time costs a copy
# of the weights, and each time the rest trains so much faster.
WORTH = 0.75


class Judge(Protocol):
    """Interface of critics, which are trained with the network."""

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
    """Trains a network on some pictures.

    Parameters
    ----------
    network : Network
        Network of all vertices; narrowed as groups stop.
    pictures : Pictures
        Pictures of all subjects; narrowed with the network.
    best_weights : BestWeights
        Stores the best weights of each group.
    recipe : Recipe
        Settings of the training.
    n_steps : int
        Number of steps of the whole training, for the schedule.
    scale : (array of float32 (n_features,), array of float32 (n_features,))
        Centre and scale of the features.
    critics : ModuleList, optional
        A `Judge` for each subject that has vertices, trained with the network.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        network: Network,
        pictures: Pictures,
        best_weights: BestWeights,
        recipe: Recipe,
        n_steps: int,
        scale: tuple[NDArray[np.float32], NDArray[np.float32]],
        critics: nn.ModuleList | None = None,
    ) -> None:
        super().__init__()
        self.network, self.best_weights, self.recipe, self.critics = (
            network,
            best_weights,
            recipe,
            critics,
        )
        for name, values in zip(("centre", "scale"), scale, strict=True):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        self._judges = cast("list[Judge]", list(critics or ()))
        self._pictures, self._divided = pictures, PartitionedNetwork(network, pictures.widths)
        self._loss, self._first, self._n_steps = Loss(recipe.loss), Loss("l1"), n_steps
        self._sum: Tensor | None = None
        self._held: Tensor | None = None
        self._start = 0.0

    def configure_optimizers(self) -> Any:
        """Make optimiser and schedule."""
        recipe = self.recipe
        optimiser = make_optimiser(
            recipe.optimiser,
            self.named_parameters(),
            recipe.lr,
            recipe.weight_decay,
            recipe.momentum,
            {f"network.{name}": share for name, share in self.network.rates.items()}
            | {f"critics.{number}.": judge.rate for number, judge in enumerate(self._judges)},
        )
        schedule = LambdaLR(optimiser, rate(recipe.schedule, recipe.warmup, self._n_steps))
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_after_batch_transfer(self, batch: Batch, number: int) -> Batch:
        """Standardise features, on the device."""
        return [((rows.float() - self.centre) / self.scale, responses) for rows, responses in batch]

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Compute the loss of a batch."""
        if number == 0:
            self._begin_epoch()
        predicted = self._divided(*self._network_inputs(batch))
        loss = self._first if self.best_weights.epoch < self.recipe.l1_epochs else self._loss
        parts = zip(predicted, batch, self._divided.members, strict=True)
        if self.network.objective:
            losses = [(values.sum(), values.detach()) for values in predicted]
        else:
            losses = [loss(p, responses, member) for p, (_, responses), member in parts]
        total = torch.stack([summed for summed, _ in losses]).sum()
        values = torch.cat([vertex_losses for _, vertex_losses in losses])
        if self._judges:
            for judge, p, (features, measured) in zip(self._judges, predicted, batch, strict=True):
                total = total + judge(features, p, measured)
            if not torch.isfinite(total):
                # The critics' gradient of one group's responses reaches all groups.
                values = values + torch.nan
        if not torch.isfinite(total):
            self.best_weights.spoil(values, self.global_step + 1)
        self._sum = values if self._sum is None else self._sum.add_(values)
        return total

    def _begin_epoch(self) -> None:
        # Not in Lightning's hook, which is skipped when a training resumes. Dropout depends on seed
        # and epoch alone.
        seeds = np.random.SeedSequence([self.recipe.seed, self.best_weights.epoch, 1])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        self._sum = None
        for judge in self._judges:
            judge.begin()
        self._start = time.perf_counter()

    def validation_step(self, batch: Batch, _: int) -> None:
        """Compute the loss of the validation pictures, which are predicted block by block."""
        results = self._in_blocks(batch)
        if not self.network.objective:
            parts = zip(results, batch, self._divided.members, strict=True)
            results = [self._loss.values(p.float(), y, member)[0] for p, (_, y), member in parts]
        values = torch.cat(results)
        if not self.trainer.sanity_checking:
            self._held = values
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
        count = max(-(-len(features) // self.recipe.block) for features, _ in batch)
        blocks = [
            zip(*(torch.tensor_split(tensor, count) for tensor in inputs), strict=True)
            for inputs in self._network_inputs(batch)
        ]
        per_part = list(
            zip(*(self._divided(*block) for block in zip(*blocks, strict=True)), strict=True)
        )
        if not self.network.objective:
            return [torch.cat(outputs) for outputs in per_part]
        means = []
        for (features, _), losses in zip(batch, per_part, strict=True):
            sizes = [len(rows) for rows in torch.tensor_split(features, count)]
            means.append(sum(n * v for n, v in zip(sizes, losses, strict=True)) / len(features))
        return means

    def on_train_epoch_end(self) -> None:
        """Store better weights, stop groups, and remove stopped groups when they are many."""
        assert self._sum is not None
        optimiser = self.trainer.optimizers[0]
        train = self._sum / self.trainer.num_training_batches
        right = [judge.accuracy for judge in self._judges]
        at = (
            time.perf_counter() - self._start,
            float(optimiser.param_groups[0]["lr"]),
            float(np.mean(right)) if right else np.nan,
        )
        self.best_weights.end_epoch(self.network, at, train, self._held)
        needed = self.best_weights.needed()
        if not needed.any():
            self.trainer.should_stop = True
            return
        left = float(needed.double().mean())
        # A group whose weights are NaN would make the sum NaN at each step.
        # Critics judge all vertices, and were made for all.
        narrower = left <= WORTH or (left < 1 and self.best_weights.spoiled.any())
        if narrower and not self._judges:
            narrow(self.network, needed.nonzero()[:, 0].to(self.device), optimiser)
            self.best_weights.vertices = self.best_weights.vertices[needed]
            self._follow()

    def _follow(self) -> None:
        """Narrow pictures and parts to the vertices that the network has."""
        self._pictures.narrow(self.best_weights.vertices)
        self._divided = PartitionedNetwork(self.network, self._pictures.widths)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the best weights of each group to a checkpoint."""
        checkpoint["kept"] = self.best_weights.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the best weights, and narrow the network to its width at the checkpoint."""
        self.best_weights.load(checkpoint["kept"])
        replace_state(self.network, select_vertices(self.network, self.best_weights.vertices))
        self._follow()
