"""Start a training from another fit: check that it may, and load its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import say
from cache import digest, read_artifact, read_meta
from regress.data.picture_splits import Division, digest_pictures
from regress.data.vertex_columns import roi_key
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fitting.fit_files import NON_MODEL_ARRAYS, load_fit
from regress.fitting.settings import Job, Settings
from regress.fitting.shared_weights import load_shared
from regress.fitting.subject_fit import SubjectFit
from regress.layers.network import axis_of
from regress.layers.weights import INSIDE
from regress.training import TrainedModel

Rows = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class Start:
    """A fit of one or more subjects from whose weights another training begins.

    Weights of a group come from any file of the group; weights of a vertex only from a fit of the
    same subject and vertices.

    Parameters
    ----------
    folder : Path
        `fits/<model>-<digest>`, or the subject's folder in it where each subject was fitted alone.

    Attributes
    ----------
    n_tested : dict of str to int
        For each subject of the new training, how many of its test pictures this fit was trained on;
        set by `check_pictures`.

    Raises
    ------
    RegressError
        If the folder holds no fits, or fits of several subjects that were fitted alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.parent if folder.name.startswith("subj") else folder
        paths = sorted(self.folder.glob("subj*/[!.]*.h5"))
        metas = {path: read_meta(path) for path in paths}
        if not paths or any(meta.get("kind") != "fit" for meta in metas.values()):
            siblings = sorted(str(path) for path in self.folder.parent.glob("*-*/"))
            raise RegressError(
                f"--start {folder}: expected the folder of a fit, such as derivatives/fits/mlp-…; "
                f"beside it there are: {', '.join(siblings) or 'none'}"
            )
        alone = not metas[paths[0]]["settings"].get("subjects")
        if alone and self.folder != folder:
            metas = {path: meta for path, meta in metas.items() if path.parent == folder}
        subjects = sorted({path.parent.name for path in metas})
        if alone and len(subjects) != 1:
            raise self._error(
                f"holds {', '.join(subjects) or 'no such subject'}, each fitted alone",
                f"one of them: --start {self.folder / paths[0].parent.name}",
            )
        self._metas, self._first_meta = metas, next(iter(metas.values()))
        # Any file of a group holds all of its network.
        self._group_files = {meta["group"]: path for path, meta in self._metas.items()}
        self.n_tested: dict[str, int] = {}

    @property
    def groups(self) -> set[str]:
        """The groups of vertices whose networks the fit holds."""
        return set(self._group_files)

    @property
    def digest(self) -> str:
        """A digest of the fit's settings and inputs; the same on any machine."""
        return digest(
            {
                str(path.relative_to(self.folder)): [meta["digest"], meta["inputs"]]
                for path, meta in self._metas.items()
            }
        )

    def check_settings(
        self, settings: Settings, estimator: Encoder, keys: Mapping[str, str]
    ) -> None:
        """Refuse to start from another model or other features."""
        meta, previous = self._first_meta, self._first_meta["settings"]
        if meta["model"] != settings.model:
            raise self._error(f"is a fit of {meta['model']}", f"one of {settings.model}")
        if previous.get("start"):
            raise self._error("began from another fit itself", "the one that it began from")
        if list(meta["keys"].values()) != list(keys.values()):
            names = " ".join(meta["keys"])
            changed = ", which have changed since" if list(meta["keys"]) == list(keys) else ""
            raise self._error(
                f"was fitted on --spaces {names}{changed}", f"a fit on --spaces {' '.join(keys)}"
            )
        group_by = previous.get("group_by", "roi")
        if group_by != settings.group_by:
            raise self._error(
                f"has --group_by {group_by}", f"{settings.group_by}: give both the same"
            )
        assert isinstance(estimator, TrainedModel)
        model, _ = self._load_model(next(iter(self._metas)))
        expected = estimator.network_parameters()
        for name, value in model.network_parameters().items():
            if value != expected[name]:
                raise self._error(
                    f"has {name} {value}, not {expected[name]}",
                    f"the same: --params.{name} {value}",
                )
        if model.inside_ is None:
            raise self._error(
                f"of {settings.model} holds weights of single vertices only, which no other "
                "subject can begin from",
                "a fit of a model whose vertices share a network, such as mlp",
            )

    def check_pictures(
        self, jobs: Sequence[Job], divisions: Sequence[Division], tests: set[str]
    ) -> None:
        """Refuse to start from a fit that was trained on held-out pictures; warn of test ones."""
        inside, whole = self._training_pictures(tests)
        for job, division in zip(jobs, divisions, strict=True):
            name, names = job.subject.name, np.array(job.design.training_pictures)
            overlap = inside & set(names[division.held].tolist())
            if overlap:
                seed, share = (self._first_meta["settings"][n] for n in ("seed", "heldout"))
                raise self._error(
                    f"was trained on {len(overlap)} pictures that are held out for subj{name}",
                    f"the same held-out pictures: --seed {seed} --heldout {share}",
                )
            tested = whole & set(job.design.test_pictures)
            if tested:
                self.n_tested[name] = len(tested)
                say(
                    f"warning: --start was trained on {len(tested)} test pictures of subj{name}: "
                    "scores on the test split will be inflated, those on held-out pictures not"
                )

    def load_weights(self, subject_fits: Sequence[SubjectFit], batch: Sequence[Rows]) -> Arrays:
        """Load the weights that a batch of columns begins with, as the parameter `start` of models.

        The masks `known` (n_vertices,) and `known_groups` (n_groups,) select those with weights.
        """
        pairs = list(zip(subject_fits, batch, strict=True))
        scopes = [subject_fit.vertex_parameters(columns)["scope"] for subject_fit, columns in pairs]
        groups = np.unique(np.concatenate(scopes))
        group_mask = np.array([str(group) in self._group_files for group in groups])
        files = [self._group_files[str(group)] for group in groups[group_mask]]
        model, first_state = self._load_model(files[0])
        states = [first_state, *(self._load_group(path, model) for path in files[1:])]
        weights: Arrays = {}
        for name, values in first_state.items():
            kind, axis = _axis(model, name)
            if kind == "group":
                joined = np.concatenate([state[name] for state in states], axis)
                weights[name] = _expand_groups(joined, group_mask, axis)
            elif kind in ("all", "shared"):
                weights[name] = values
        n_vertices = sum(map(len, batch))
        weights["known"] = np.zeros(n_vertices, bool)
        weights["known_groups"] = group_mask
        first = 0
        for subject_fit, columns in pairs:
            positions = np.full(len(subject_fit.layout.vertices), -1)
            positions[columns] = first + np.arange(len(columns))
            first += len(columns)
            self._add_vertices(weights, model, subject_fit, positions)
        return weights

    def _add_vertices(
        self, weights: Arrays, model: TrainedModel, subject_fit: SubjectFit, positions: Rows
    ) -> None:
        """Add the weights of a subject's vertices to those of a batch, if the fit has them."""
        n_vertices = len(weights["known"])
        for roi in subject_fit.rois:
            path = self.folder / subject_fit.job.path(roi).relative_to(subject_fit.job.folder)
            at = positions[subject_fit.layout.columns[roi_key(roi)]]
            if path not in self._metas or (at < 0).any():
                continue
            # The arrays of the file itself, without those that it shares with other ROIs.
            state, _ = read_artifact(path)
            if not np.array_equal(state["vertices"], roi.vertices):
                continue
            for name, values in state.items():
                if name in NON_MODEL_ARRAYS:
                    continue
                kind, axis = _axis(model, name)
                if kind == "vertex":
                    shape = [*values.shape[:axis], n_vertices, *values.shape[axis + 1 :]]
                    whole = weights.setdefault(name, np.zeros(shape, values.dtype))
                    np.moveaxis(whole, axis, 0)[at] = np.moveaxis(values, axis, 0)
            weights["known"][at] = True

    def _load_group(self, path: Path, model: TrainedModel) -> Arrays:
        """Load a group's arrays from the file of an ROI, and from the file that its ROIs share."""
        arrays, meta = read_artifact(path)
        if "shared" in meta and not model.network_.shared:
            arrays |= load_shared(path, meta["shared"])
        return arrays

    def _load_model(self, path: Path) -> tuple[TrainedModel, Arrays]:
        model, _ = load_fit(path)
        assert isinstance(model, TrainedModel)
        return model, model.state()

    def _training_pictures(self, tests: set[str]) -> tuple[set[str], set[str]]:
        """Return the pictures that `fit` was trained on, and those of `refit`."""
        whole: set[str] = set()
        inside: set[str] = set()
        # All files of a subject have the same pictures.
        files = {meta["subject"]: path for path, meta in self._metas.items()}
        for path in files.values():
            arrays = read_artifact(path, ["training_pictures", "heldout_rows"])[0]
            pictures = arrays["training_pictures"].astype(str)
            names = set(pictures.tolist())
            if self._metas[path]["inputs"].get("left_out") == digest_pictures(names & tests):
                names -= tests
            whole |= names
            inside |= names - set(pictures[arrays["heldout_rows"]].tolist())
        return inside, whole

    def _error(self, fault: str, expected: str) -> RegressError:
        return RegressError(f"--start {self.folder}: {fault}; expected {expected}")


def _axis(model: TrainedModel, name: str) -> tuple[str, int]:
    """Return what an array of a state has one entry per ("group", "vertex" …), and on which axis.

    "all" and "shared" arrays belong to the whole network; "none" are arrays not to begin from.
    """
    plain = name.removeprefix(INSIDE)
    if plain in ("centre_", "scale_"):
        return "all", 0
    if plain in ("epochs_", "member"):
        return "none", 0
    return axis_of(model.network_, plain)


def _expand_groups(values: NDArray, mask: NDArray[np.bool_], axis: int) -> NDArray:
    """Expand an array to all groups, with 0 for those outside the mask."""
    if mask.all():
        return values
    whole = np.zeros((*values.shape[:axis], len(mask), *values.shape[axis + 1 :]), values.dtype)
    np.moveaxis(whole, axis, 0)[mask] = np.moveaxis(values, axis, 0)
    return whole
