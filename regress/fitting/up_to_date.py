"""The files of fitted models: which exist, and still match the data and the code."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from base import say
from cache import CacheError, digest, read_meta
from challenge import Roi, response_digests, vertices_digest
from regress.data.picture_splits import digest_pictures
from regress.data.vertex_columns import GROUPINGS
from regress.fitting.settings import Job
from regress.fitting.shared_weights import remove_unused, shared_exists
from regress.model_code import model_code

# The field of `inputs` that holds the digest of the model's code.
CODE = "code"


class ModelFiles:
    """The files of one subject's models of a span of hemispheres.

    Parameters
    ----------
    job : Job
        Subject, features, settings and folder.
    span : tuple of str
        The hemispheres that are fitted together.
    """

    def __init__(self, job: Job, span: tuple[str, ...]) -> None:
        self.job, self.span = job, span
        self.rois = [roi for h in span for roi in job.subject.regions(h)]
        self._group_name = GROUPINGS[job.grouping or "roi"]
        parameters = job.estimator.get_params()
        self._together = job.estimator.together
        switches = ("discriminators", "common_readout")
        self._uses_positions = any(map(parameters.get, switches)) or "positions" in parameters
        self._joint_files: Sequence[ModelFiles] = ()
        self._left_out = ""
        self._shared: dict[str, bool] = {}
        self._metas: dict[Path, dict[str, Any] | None] = {}

    def join(self, all_files: Sequence["ModelFiles"], unseen: Collection[str]) -> None:
        """Make the models depend on the data of all subjects that are trained together.

        Parameters
        ----------
        all_files : sequence of ModelFiles
            The files of all these subjects, including this one.
        unseen : collection of str
            The sha256 of training pictures of this subject that are left out.
        """
        if len(all_files) > 1:
            self._joint_files = all_files
            self._left_out = digest_pictures(unseen)

    @property
    def training(self) -> str:
        """The training's name in names of files: "subj01.lh", or "subj01+02.lh+rh"."""
        return f"{self.job.subject_label}.{'+'.join(self.span)}"

    @cached_property
    def _sources(self) -> dict[str, str]:
        return self.job.estimator.sources()

    @cached_property
    def _response_digests(self) -> dict[str, str]:
        """Return a digest of each hemisphere's responses; a change of them means a new fit."""
        subject = self.job.subject
        digests = response_digests([subject], "train", self.span)
        return {h: digests[subject.name, h] for h in self.span}

    @cached_property
    def _code(self) -> str:
        return model_code(self.job.estimator)

    @cached_property
    def _groups(self) -> Mapping[str, list[Roi]]:
        groups: dict[str, list[Roi]] = defaultdict(list)
        for roi in self.rois:
            groups[self._training_group(roi)].append(roi)
        return groups

    def _training_group(self, roi: Roi) -> str:
        """Name the part that is fitted as one with an ROI: its group, or the whole span."""
        return "+".join(self.span) if self._together else self._group_name(roi)

    @cached_property
    def _positions_digest(self) -> str:
        """Return a digest of the positions on fsaverage of all vertices."""
        from challenge.fsaverage import fsaverage_vertices

        subject = self.job.subject
        return digest({h: fsaverage_vertices(subject, h).tolist() for h in self.span})

    def group(self, roi: Roi) -> str:
        """Return the name of an ROI's group."""
        return self._group_name(roi)

    def responses_digest(self) -> str:
        """Return a digest of the responses of all hemispheres of the span."""
        return digest(self._response_digests)

    def inputs(self, roi: Roi) -> dict[str, str]:
        """Return digests of all that an ROI's model depends on; a change of one means a new fit.

        They are of responses, pictures, vertices and code, and of the other ROIs of the group and
        the other subjects of the training, where there are any.
        """
        inputs = {
            "responses": self._response_digests[roi.hemisphere],
            "pictures": self.job.design.pictures_digest,
            "vertices": vertices_digest(roi.vertices),
            CODE: self._code,
        }
        inputs |= self._sources
        if self._uses_positions:
            inputs["places"] = self._positions_digest
        name = self._training_group(roi)
        if len(self._groups[name]) > 1:
            inputs["group"] = self._group_digests[name]
        if self._joint_files:
            inputs["left_out"] = self._left_out
            # A subject without the group counts too: its pictures are part of the features' scale.
            inputs["subjects"] = digest(
                {
                    files.job.subject.name: [
                        files.job.design.pictures_digest,
                        files._left_out,
                        files._group_digests.get(name, ""),
                    ]
                    for files in self._joint_files
                }
            )
        return inputs

    @cached_property
    def _group_digests(self) -> dict[str, str]:
        digests = {}
        for name, members in self._groups.items():
            contents = {}
            for roi in members:
                measured = self._response_digests[roi.hemisphere]
                contents[f"{roi.hemisphere}.{roi.name}"] = [measured, roi.vertices.tolist()]
            digests[name] = digest(contents)
        return digests

    def absent(self) -> set[str]:
        """Name the groups, or the whole span if fitted as one, of which a model is missing."""
        metas: dict[str, list[dict[str, Any] | None]] = defaultdict(list)
        for roi in self.rois:
            metas[self._training_group(roi)].append(self._meta(roi))
        # A process killed while it replaced files may have left files of two trainings.
        return {name for name, group in metas.items() if None in group or _n_trainings(group) > 1}

    def missing(self) -> list[Roi]:
        """List the ROIs to fit: all ROIs of each group of which a model is missing."""
        absent = set().union(*(files.absent() for files in self._joint_files or (self,)))
        return [roi for roi in self.rois if self._training_group(roi) in absent]

    @property
    def code_changed(self) -> bool:
        """Whether another version of the plug-in's code fitted some of the models."""
        metas = [self._read(self.job.path(roi)) for roi in self.rois]
        return any(meta and _inputs(meta).get(CODE, self._code) != self._code for meta in metas)

    def _meta(self, roi: Roi) -> dict[str, Any] | None:
        """Return the metadata of an ROI's model; None if it is missing or of other inputs."""
        meta = self._read(self.job.path(roi))
        if meta is None or ("shared" in meta and not self._shared_exists(meta["shared"])):
            return None
        # Earlier revisions did not save the digest of the code.
        saved = {CODE: self._code} | _inputs(meta)
        return meta if self.inputs(roi).items() <= saved.items() else None

    def _read(self, path: Path) -> dict[str, Any] | None:
        """Read the metadata of a file once; None if it is missing or damaged."""
        if path not in self._metas:
            self._metas[path] = None
            try:
                self._metas[path] = read_meta(path) if path.exists() else None
            except CacheError as error:
                say(f"{error}; it is fitted again")
        return self._metas[path]

    def _shared_exists(self, shared: str) -> bool:
        # All ROIs refer to the same file: a fault in it is reported once.
        if shared not in self._shared:
            self._shared[shared] = shared_exists(self.job.folder, shared)
        return self._shared[shared]

    def remove_unused(self, all_files: Sequence["ModelFiles"]) -> None:
        """Remove shared weights of earlier trainings to which no ROI refers any more."""
        paths = [files.job.path(roi) for files in all_files for roi in files.rois]
        remove_unused(self.job.folder, self.training, [path for path in paths if path.exists()])

    def remove_stale(self) -> None:
        """Remove models of ROIs that no mask has any more, and files of killed writers."""
        folder = self.job.folder / f"subj{self.job.subject.name}"
        expected = {self.job.path(roi) for roi in self.rois}
        for hemisphere in self.span:
            for path in sorted(folder.glob(f"{hemisphere}.*.h5")):
                if path not in expected:
                    say(f"{path}: the masks have no such ROI any more; removed")
                    path.unlink()
            for path in folder.glob(f".{hemisphere}.*.h5"):
                # A file that is an hour old is not being written by another process.
                if time.time() - path.stat().st_mtime > 3600:
                    path.unlink()


def _n_trainings(metas: Sequence[Mapping[str, Any] | None]) -> int:
    """Return the number of trainings whose shared weights some models refer to."""
    return len({meta.get("shared") for meta in metas if meta})


def _inputs(meta: Mapping[str, Any]) -> dict[str, Any]:
    inputs = meta.get("inputs")
    return inputs if isinstance(inputs, dict) else {}
