"""Which models of a subject are there already, and still of the data that are there now."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from base import say
from cache import CacheError, digest, read_meta
from challenge import Roi, response_digests, vertices_digest
from challenge.fsaverage import fsaverage_vertices
from regress.data.picture_splits import digest_pictures
from regress.data.vertex_columns import GROUPINGS
from regress.fitting.settings import Job
from regress.fitting.shared_weights import is_there, remove_unused
from regress.model_code import model_code

# The field of `inputs` that tells the code of the model.
CODE = "code"


class Present:
    """The models of the hemispheres that are fitted in one go.

    Parameters
    ----------
    job : Job
        What is to be fitted.
    span : tuple of str
        The hemispheres.
    """

    def __init__(self, job: Job, span: tuple[str, ...]) -> None:
        self.job, self.span = job, span
        self.rois = [roi for h in span for roi in job.subject.regions(h)]
        self._name = GROUPINGS[job.grouping or "roi"]
        parameters = job.estimator.get_params()
        self._together = job.estimator.together
        placing = ("discriminators", "common_readout")
        self._placed = any(map(parameters.get, placing)) or "positions" in parameters
        self._beside: Sequence[Present] = ()
        self._left_out = ""
        self._shared: dict[str, bool] = {}
        self._metas: dict[Path, dict[str, Any] | None] = {}

    def join(self, everyone: Sequence["Present"], unseen: Collection[str]) -> None:
        """Let the models depend on the data of all subjects that are trained with this one.

        Parameters
        ----------
        unseen : collection of str
            The sha256 of training pictures of this subject that are left out.
        """
        if len(everyone) > 1:
            self._beside = everyone
            self._left_out = digest_pictures(unseen)

    @property
    def training(self) -> str:
        """Who is trained in one go, as in names of files: "subj01.lh", or "subj01+02.lh+rh"."""
        return f"{self.job.whom}.{'+'.join(self.span)}"

    @cached_property
    def _sources(self) -> dict[str, str]:
        return self.job.estimator.sources()

    @cached_property
    def _digests(self) -> dict[str, str]:
        """Digest the responses; a change of them means a new fit."""
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
            groups[self._whole(roi)].append(roi)
        return groups

    def _whole(self, roi: Roi) -> str:
        """Name what an ROI is fitted with: its group, or all, where all are fitted as one."""
        return "+".join(self.span) if self._together else self._name(roi)

    @cached_property
    def _places(self) -> str:
        """Digest where on fsaverage the vertices lie."""
        subject = self.job.subject
        return digest({h: fsaverage_vertices(subject, h).tolist() for h in self.span})

    def group(self, roi: Roi) -> str:
        """Name the group of an ROI."""
        return self._name(roi)

    def responses_digest(self) -> str:
        """Digest the responses of all hemispheres of the span."""
        return digest(self._digests)

    def inputs(self, roi: Roi) -> dict[str, str]:
        """Digest the data that an ROI's model depends on; a change of them means a new fit.

        Returns
        -------
        dict of str to str
            Responses, pictures, vertices, and the code of the model; where others choose or train
            with it, their data too.
        """
        inputs = {
            "responses": self._digests[roi.hemisphere],
            "pictures": self.job.design.pictures_digest,
            "vertices": vertices_digest(roi.vertices),
            CODE: self._code,
        }
        inputs |= self._sources
        if self._placed:
            inputs["places"] = self._places
        name = self._whole(roi)
        if len(self._groups[name]) > 1:
            inputs["group"] = self._of_groups[name]
        if self._beside:
            inputs["left_out"] = self._left_out
            # The pictures of a subject who lacks the group are part of the features' scale.
            inputs["subjects"] = digest(
                {
                    other.job.subject.name: [
                        other.job.design.pictures_digest,
                        other._left_out,
                        other._of_groups.get(name, ""),
                    ]
                    for other in self._beside
                }
            )
        return inputs

    @cached_property
    def _of_groups(self) -> dict[str, str]:
        return {
            name: digest(
                {
                    f"{roi.hemisphere}.{roi.name}": [
                        self._digests[roi.hemisphere],
                        roi.vertices.tolist(),
                    ]
                    for roi in members
                }
            )
            for name, members in self._groups.items()
        }

    def absent(self) -> set[str]:
        """Name the groups, or all that are fitted as one, of which a model is not there."""
        metas: dict[str, list[dict[str, Any] | None]] = defaultdict(list)
        for roi in self.rois:
            metas[self._whole(roi)].append(self._meta(roi))
        # A process that was killed while it replaced files may have left those of two trainings.
        return {
            name
            for name, own in metas.items()
            if None in own or len({one.get("shared") for one in own if one}) > 1
        }

    def missing(self) -> list[Roi]:
        """List the ROIs to fit: those that are not there, and those that choose with them."""
        absent = set().union(*(one.absent() for one in self._beside or (self,)))
        return [roi for roi in self.rois if self._whole(roi) in absent]

    @property
    def code_changed(self) -> bool:
        """Whether models are there that another code of the same plug-in fitted."""
        kept = [self._read(self.job.path(roi)) for roi in self.rois]
        return any(meta and _inputs(meta).get(CODE, self._code) != self._code for meta in kept)

    def _meta(self, roi: Roi) -> dict[str, Any] | None:
        """Read what is said of an ROI's model; None where it is not there, or of other data."""
        meta = self._read(self.job.path(roi))
        if meta is None or ("shared" in meta and not self._has(meta["shared"])):
            return None
        # Earlier revisions did not write which code fitted a model.
        kept = {CODE: self._code} | _inputs(meta)
        return meta if self.inputs(roi).items() <= kept.items() else None

    def _read(self, path: Path) -> dict[str, Any] | None:
        """Read, once, what is said of a model; None where it is not there, or damaged."""
        if path not in self._metas:
            self._metas[path] = None
            try:
                self._metas[path] = read_meta(path) if path.exists() else None
            except CacheError as error:
                say(f"{error}; it is fitted again")
        return self._metas[path]

    def _has(self, shared: str) -> bool:
        # Asked once, and said once, though all ROIs refer to it.
        if shared not in self._shared:
            self._shared[shared] = is_there(self.job.folder, shared)
        return self._shared[shared]

    def remove_unused(self, everyone: Sequence["Present"]) -> None:
        """Remove weights that trainings of the same had shared, and no ROI refers to any more."""
        fits = [one.job.path(roi) for one in everyone for roi in one.rois]
        remove_unused(self.job.folder, self.training, [path for path in fits if path.exists()])

    def remove_others(self) -> None:
        """Remove models of ROIs that the masks no longer have, and what killed writers left."""
        folder = self.job.folder / f"subj{self.job.subject.name}"
        expected = {self.job.path(roi) for roi in self.rois}
        for hemisphere in self.span:
            for path in sorted(folder.glob(f"{hemisphere}.*.h5")):
                if path not in expected:
                    say(f"{path}: the masks have no such ROI any more; removed")
                    path.unlink()
            for path in folder.glob(f".{hemisphere}.*.h5"):
                # An hour old, it is not being written by another process.
                if time.time() - path.stat().st_mtime > 3600:
                    path.unlink()


def _inputs(meta: Mapping[str, Any]) -> dict[str, Any]:
    inputs = meta.get("inputs")
    return inputs if isinstance(inputs, dict) else {}
