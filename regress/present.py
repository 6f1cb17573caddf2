"""Which models of a subject are there already, and still of the data that are there now."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from base import say, sha256_files
from cache import CacheError, digest, read_meta
from challenge import Roi, Subject
from challenge.fsaverage import fsaverage_vertices
from regress.job import Job
from regress.layout import GROUPINGS
from regress.shared import is_there, remove_unused
from regress.split import Division, digest_pictures


def fitted_since(
    subject: Subject, span: Sequence[str], folder: Path, features: Sequence[Path]
) -> bool:
    """Say whether all models are there, and newer than all that they were fitted on.

    Only names and times of files are read, so that it costs nothing; it is as sure as `make` is.
    `Present.missing` reads them, and is sure.

    Parameters
    ----------
    subject : Subject
        Whose models.
    span : sequence of str
        The hemispheres.
    folder : Path
        `fits/<model>-<digest>`.
    features : sequence of Path
        The files of the feature spaces.

    Returns
    -------
    bool
        False where a file is missing, or older.
    """
    own = folder / f"subj{subject.name}"
    fits = [own / f"{h}.{roi.name}.h5" for h in span for roi in subject.regions(h)]
    return all(newer(fits, [*features, *subject.sources(span)]))


def newer(files: Sequence[Path], sources: Sequence[Path]) -> list[bool]:
    """Say which files are there and newer than all that they were made from.

    Parameters
    ----------
    files : sequence of Path
        The files.
    sources : sequence of Path
        What they were made from; with one that is not there, none is newer.

    Returns
    -------
    list of bool
        For each file.
    """
    newest = max(_time_of(path, math.inf) for path in sources)
    return [_time_of(path, -math.inf) > newest for path in files]


def _time_of(path: Path, without: float) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return without


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

    def join(self, everyone: Sequence["Present"], division: Division) -> None:
        """Let the models depend on the data of all subjects that are trained with this one.

        Parameters
        ----------
        everyone : sequence of Present
            Theirs, and this.
        division : Division
            What this subject's pictures are for.
        """
        if len(everyone) > 1:
            self._beside = everyone
            self._left_out = digest_pictures(division.unseen)

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
        files = [Path(str(self.job.subject.responses(h).filename)) for h in self.span]
        return dict(zip(self.span, sha256_files(files), strict=True))

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
        """Name the group of an ROI.

        Parameters
        ----------
        roi : Roi
            The region.

        Returns
        -------
        str
            For example "lh.V1v", or "streams".
        """
        return self._name(roi)

    def responses_digest(self) -> str:
        """Digest the responses of all hemispheres of the span.

        Returns
        -------
        str
            Changes with the files.
        """
        return digest(self._digests)

    def inputs(self, roi: Roi) -> dict[str, str]:
        """Digest the data that an ROI's model depends on; a change of them means a new fit.

        Parameters
        ----------
        roi : Roi
            The region.

        Returns
        -------
        dict of str to str
            Responses, pictures, vertices; where others choose or train with it, theirs too.
        """
        inputs = {
            "responses": self._digests[roi.hemisphere],
            "pictures": self.job.design.pictures_digest,
            "vertices": digest({"vertices": roi.vertices.tolist()}),
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
        """Name the groups, or all that are fitted as one, of which a model is not there.

        Returns
        -------
        set of str
            All that is to be fitted.
        """
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
        """List the ROIs to fit: those that are not there, and those that choose with them.

        Returns
        -------
        list of Roi
            In the order of the subject's.
        """
        absent = set().union(*(one.absent() for one in self._beside or (self,)))
        return [roi for roi in self.rois if self._whole(roi) in absent]

    def _meta(self, roi: Roi) -> dict[str, Any] | None:
        """Read what is said of an ROI's model; None where it is not there, or of other data."""
        path = self.job.path(roi)
        if not path.exists():
            return None
        try:
            meta = read_meta(path)
        except CacheError as error:
            say(f"{error}; it is fitted again")
            return None
        if "shared" in meta and not self._has(meta["shared"]):
            return None
        same = all(meta["inputs"].get(name) == value for name, value in self.inputs(roi).items())
        return meta if same else None

    def _has(self, shared: str) -> bool:
        # Asked once, and said once, though all ROIs refer to it.
        if shared not in self._shared:
            self._shared[shared] = is_there(self.job.folder, shared)
        return self._shared[shared]

    def remove_unused(self, everyone: Sequence["Present"]) -> None:
        """Remove weights that trainings of the same had shared, and no ROI refers to any more.

        Parameters
        ----------
        everyone : sequence of Present
            Of all subjects that are trained together.
        """
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
