"""A fit that another training begins from: what of it is taken, and what is refused."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import say
from cache import digest, read_artifact, read_meta
from regress.data.picture_splits import Division, digest_pictures
from regress.data.vertex_columns import place
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fitting.fit_files import BESIDE, load_fit
from regress.fitting.settings import Job, Settings
from regress.fitting.shared_weights import load_shared
from regress.fitting.subject_fit import Member
from regress.layers.network import axis_of
from regress.layers.weights import INSIDE
from regress.training import TrainedModel

Rows = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class Start:
    """The fit of one or more subjects, whose weights another training begins from.

    What a network holds for a group is taken from any file of the group; what it holds for a vertex
    where subject and vertices are the same.

    Parameters
    ----------
    folder : Path
        `fits/<model>-<digest>`; or that of one subject in it, where each was fitted alone.

    Raises
    ------
    RegressError
        If it holds no fits, or those of several subjects who were fitted alone.

    Attributes
    ----------
    n_tested : dict of str to int
        Of each subject of the new training, how many of its test pictures it was trained on, if
        any; known from `check_pictures`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.parent if folder.name.startswith("subj") else folder
        paths = sorted(self.folder.glob("subj*/[!.]*.h5"))
        metas = {path: read_meta(path) for path in paths}
        if not paths or any(meta.get("kind") != "fit" for meta in metas.values()):
            beside = sorted(str(path) for path in self.folder.parent.glob("*-*/"))
            raise RegressError(
                f"--start {folder}: expected the folder of a fit, such as derivatives/fits/mlp-…; "
                f"beside it there are: {', '.join(beside) or 'none'}"
            )
        alone = not metas[paths[0]]["settings"].get("subjects")
        if alone and self.folder != folder:
            metas = {path: meta for path, meta in metas.items() if path.parent == folder}
        subjects = sorted({path.parent.name for path in metas})
        if alone and len(subjects) != 1:
            raise self._amiss(
                f"holds {', '.join(subjects) or 'no such subject'}, each fitted alone",
                f"one of them: --start {self.folder / paths[0].parent.name}",
            )
        self._metas, self._about = metas, next(iter(metas.values()))
        # Any file of a group holds all of its network.
        self._of_group = {meta["group"]: path for path, meta in self._metas.items()}
        self.n_tested: dict[str, int] = {}

    @property
    def groups(self) -> set[str]:
        """The groups whose networks it has."""
        return set(self._of_group)

    @property
    def digest(self) -> str:
        """A digest of what was fitted on what; the same for the same fit on any machine."""
        return digest(
            {
                str(path.relative_to(self.folder)): [meta["digest"], meta["inputs"]]
                for path, meta in self._metas.items()
            }
        )

    def check_settings(
        self, settings: Settings, estimator: Encoder, keys: Mapping[str, str]
    ) -> None:
        """Refuse a start of another model, or on other features."""
        about, own = self._about, self._about["settings"]
        if about["model"] != settings.model:
            raise self._amiss(f"is a fit of {about['model']}", f"one of {settings.model}")
        if own.get("start"):
            raise self._amiss("began from another fit itself", "the one that it began from")
        if list(about["keys"].values()) != list(keys.values()):
            there = " ".join(about["keys"])
            why = " of other keys" if list(about["keys"]) == list(keys) else ""
            raise self._amiss(
                f"is on --spaces {there}{why}", f"one on {' '.join(keys)}, as they are now"
            )
        group_by = own.get("group_by", "roi")
        if group_by != settings.group_by:
            raise self._amiss(
                f"has --group_by {group_by}", f"{settings.group_by}, or give the same"
            )
        assert isinstance(estimator, TrainedModel)
        made, _ = self._loaded(next(iter(self._metas)))
        wanted = estimator.network_parameters()
        for name, value in made.network_parameters().items():
            if value != wanted[name]:
                raise self._amiss(
                    f"has {name} {value}, not {wanted[name]}", f"the same: --params.{name} {value}"
                )
        if made.inside_ is None:
            raise self._amiss(
                f"of {settings.model} holds weights of single vertices only, which no other "
                "subject can begin from",
                "a fit of a model whose vertices share a network, such as mlp",
            )

    def check_pictures(
        self, jobs: Sequence[Job], divisions: Sequence[Division], tests: set[str]
    ) -> None:
        """Refuse a start that was trained on pictures which now are to judge."""
        inside, whole = self._trained_on(tests)
        for job, division in zip(jobs, divisions, strict=True):
            name, names = job.subject.name, np.array(job.design.training_pictures)
            seen = inside & set(names[division.held].tolist())
            if seen:
                own = self._about["settings"]
                raise self._amiss(
                    f"was trained on {len(seen)} pictures that are held out for subj{name}",
                    f"the same held-out pictures: --seed {own['seed']} --heldout {own['heldout']}",
                )
            tested = whole & set(job.design.test_pictures)
            if tested:
                self.n_tested[name] = len(tested)
                say(
                    f"warning: --start was trained on {len(tested)} test pictures of subj{name}: "
                    "scores on the test split will be inflated, those on held-out pictures not"
                )

    def of(self, members: Sequence[Member], batch: Sequence[Rows]) -> Arrays:
        """Give the weights that a batch of columns begins with."""
        told = [member.told(columns) for member, columns in zip(members, batch, strict=True)]
        groups = np.unique(np.concatenate([one["scope"] for one in told]))
        known = np.array([str(group) in self._of_group for group in groups])
        files = [self._of_group[str(group)] for group in groups[known]]
        model, whole = self._loaded(files[0])
        pieces = [whole, *(self._piece(path, model) for path in files[1:])]
        weights: Arrays = {}
        for name, values in whole.items():
            kind, axis = _axis(model, name)
            if kind == "group":
                there = np.concatenate([piece[name] for piece in pieces], axis)
                weights[name] = _spread(there, known, axis)
            elif kind in ("all", "shared"):
                weights[name] = values
        n_vertices = sum(map(len, batch))
        weights["known"] = np.zeros(n_vertices, bool)
        weights["known_groups"] = known
        first = 0
        for member, columns in zip(members, batch, strict=True):
            where = np.full(len(member.layout.vertices), -1)
            where[columns] = first + np.arange(len(columns))
            first += len(columns)
            self._add_vertices(weights, model, member, where)
        return weights

    def _add_vertices(
        self, weights: Arrays, model: TrainedModel, member: Member, where: Rows
    ) -> None:
        """Put the weights of a subject's vertices where they stand, if it is in the fit."""
        n_vertices = len(weights["known"])
        for roi in member.rois:
            path = self.folder / member.job.path(roi).relative_to(member.job.folder)
            at = where[member.layout.columns[place(roi)]]
            if path not in self._metas or (at < 0).any():
                continue
            state = self._own(path)
            if not np.array_equal(state["vertices"], roi.vertices):
                continue
            for name, values in state.items():
                if name in BESIDE:
                    continue
                kind, axis = _axis(model, name)
                if kind == "vertex":
                    shape = [*values.shape[:axis], n_vertices, *values.shape[axis + 1 :]]
                    whole = weights.setdefault(name, np.zeros(shape, values.dtype))
                    np.moveaxis(whole, axis, 0)[at] = np.moveaxis(values, axis, 0)
            weights["known"][at] = True

    def _piece(self, path: Path, model: TrainedModel) -> Arrays:
        """Read what a file says of its group, which its ROIs share if it was trained alone."""
        arrays, meta = read_artifact(path)
        if "shared" in meta and not model.network_.shared:
            arrays |= load_shared(path, meta["shared"])
        return arrays

    def _own(self, path: Path) -> Arrays:
        """Read what an ROI's file holds itself, without what it shares."""
        return read_artifact(path)[0]

    def _loaded(self, path: Path) -> tuple[TrainedModel, Arrays]:
        model, _ = load_fit(path)
        assert isinstance(model, TrainedModel)
        return model, model.state()

    def _trained_on(self, tests: set[str]) -> tuple[set[str], set[str]]:
        """Name the pictures of `fit`, and those of `refit`."""
        whole: set[str] = set()
        inside: set[str] = set()
        # Any file of a subject tells its pictures.
        files = {meta["subject"]: path for path, meta in self._metas.items()}
        for path in files.values():
            arrays = read_artifact(path, ["training_pictures", "heldout_rows"])[0]
            pictures = arrays["training_pictures"].astype(str)
            own = set(pictures.tolist())
            if self._metas[path]["inputs"].get("left_out") == digest_pictures(own & tests):
                own -= tests
            whole |= own
            inside |= own - set(pictures[arrays["heldout_rows"]].tolist())
        return inside, whole

    def _amiss(self, found: str, expected: str) -> RegressError:
        return RegressError(f"--start {self.folder}: {found}; expected {expected}")


def _axis(model: TrainedModel, name: str) -> tuple[str, int]:
    """Say what an array of a state counts, and along which axis: "all" where it is of all."""
    plain = name.removeprefix(INSIDE)
    if plain in ("centre_", "scale_"):
        return "all", 0
    if plain in ("epochs_", "member"):
        return "none", 0
    return axis_of(model.network_, plain)


def _spread(values: NDArray, known: NDArray[np.bool_], axis: int) -> NDArray:
    """Put the groups that a start has where they stand among all."""
    if known.all():
        return values
    whole = np.zeros((*values.shape[:axis], len(known), *values.shape[axis + 1 :]), values.dtype)
    np.moveaxis(whole, axis, 0)[known] = np.moveaxis(values, axis, 0)
    return whole
