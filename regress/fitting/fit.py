"""Fit and save the missing models of one subject, or of several subjects trained together."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from base import progress, say, taking_turns
from challenge import Roi
from challenge.dataset import check_values
from regress.data.picture_splits import Division, divide, fold_numbers, stopping
from regress.data.vertex_columns import batches, spans
from regress.encoding_model import Encoder
from regress.fitting.grid_edges import warn_of_edges
from regress.fitting.settings import Job
from regress.fitting.subject_fit import Rows, SubjectFit
from regress.fitting.up_to_date import ModelFiles
from regress.solvers.forms import shared_forms

if TYPE_CHECKING:
    from regress.fitting.warm_start import Start

# Upper bound, in bytes, on the responses or weights of one batch of vertices.
MEMORY = 1 << 30
# Arrays of a training as large as its weights: weights, best weights, gradient and two moments.
COPIES = 5


def fit_subjects(
    jobs: Sequence[Job],
    start: "Start | None" = None,
    tests: Collection[str] = (),
    selection: Iterable[tuple[str, ...]] | None = None,
) -> int:
    """Fit the missing models of subjects that are trained together; return how many.

    Parameters
    ----------
    jobs : sequence of Job
        One job per subject, all with the same settings.
    tests : collection of str
        The sha256 of the test pictures of all subjects. Where several subjects are fitted together,
        none is fitted on these: a test picture of one subject would otherwise teach another.
    selection : iterable of tuple of str, optional
        The spans of hemispheres to fit, all of `spans` by default.
    """
    divisions = [_divide_pictures(job, tests if len(jobs) > 1 else ()) for job in jobs]
    if start is not None:
        start.check_pictures(jobs, divisions, set(tests))
    fitted = 0
    if selection is None:
        selection = spans(jobs[0].grouping or "roi")
    with ExitStack() as stack:
        stack.enter_context(shared_forms())
        for span in stack.enter_context(closing(taking_turns(selection, jobs[0].claim))):
            all_files = [ModelFiles(job, span) for job in jobs]
            for files, division in zip(all_files, divisions, strict=True):
                files.join(all_files, division.unseen)
                files.remove_stale()
            all_files[0].remove_unused(all_files)
            missing = [files.missing() for files in all_files]
            n_missing, n_rois = sum(map(len, missing)), sum(len(f.rois) for f in all_files)
            label = f"{jobs[0].subject_label} {'+'.join(span)}"
            changed = any(files.code_changed for files in all_files)
            reason = f": the code of {jobs[0].settings.model} changed" if changed else ""
            say(f"{label}: {n_rois - n_missing} models there already, {n_missing} to fit{reason}")
            if 0 < n_missing < n_rois:
                say(
                    f"{label}: sums are rounded in another order when fewer vertices are fitted at "
                    "once: the last digits may differ from those of a fit of all vertices; to "
                    f"avoid that, remove {jobs[0].folder} and fit again"
                )
            if n_missing:
                if not fitted:
                    # All hemispheres, so that a fault in a later one is reported before any work.
                    check_values([job.subject for job in jobs])
                for span_fit in _span_fits(jobs, all_files, missing, divisions, start):
                    span_fit.fit()
                all_files[0].remove_unused(all_files)
            fitted += n_missing
    return fitted


def _span_fits(
    jobs: Sequence[Job],
    all_files: Sequence[ModelFiles],
    missing: Sequence[Sequence[Roi]],
    divisions: Sequence[Division],
    start: "Start | None",
) -> Iterator["_SpanFit"]:
    """Yield the fits of one span; groups that the start lacks are trained from scratch."""
    groups = {f.group(roi) for f, rois in zip(all_files, missing, strict=True) for roi in rois}
    warm_groups = groups & start.groups if start is not None else set()
    if warm_groups and jobs[0].estimator.together:
        warm_groups = groups
    first = 0
    for names, initial in ((warm_groups, start), (groups - warm_groups, None)):
        if not names:
            continue
        absent = names - start.groups if start is not None else ()
        if absent:
            say(f"--start has no group {', '.join(sorted(absent))}: trained from the beginning")
        fits = []
        for job, files, rois, division in zip(jobs, all_files, missing, divisions, strict=True):
            selected = [roi for roi in rois if files.group(roi) in names]
            fits.append(SubjectFit(job, files, selected, division))
        span_fit = _SpanFit(fits, initial, first)
        yield span_fit
        first = span_fit.first


def _divide_pictures(job: Job, tests: Collection[str]) -> Division:
    """Divide a subject's pictures, and warn of pictures that are shared between splits."""
    design, settings, name = job.design, job.settings, job.subject.name
    pictures = set(design.training_pictures)
    overlap = pictures & set(design.test_pictures)
    if overlap:
        say(
            f"warning: {len(overlap)} test pictures of subj{name} are among its training "
            "pictures: scores on the test split will be inflated"
        )
    unseen = pictures.intersection(tests)
    if unseen:
        say(
            f"{len(unseen)} training pictures of subj{name} are left out: they are test "
            "pictures of a subject, and subjects share trained weights"
        )
    share, seed = settings.heldout, settings.seed
    return divide(design.training_pictures, share, seed, settings.images, unseen)


def batch_width(estimator: Encoder, n_images: int, n_features: int) -> int:
    """Return how many vertices are fitted at once, where groups need not stay together."""
    column = COPIES * n_features if estimator.streams else n_images
    return max(1, MEMORY // (4 * column))


class _SpanFit:
    """The fit of one span of hemispheres, of one subject or several, batch after batch."""

    def __init__(
        self, subject_fits: Sequence[SubjectFit], start: "Start | None" = None, first: int = 0
    ) -> None:
        self.subject_fits, self.start, self.first = subject_fits, start, first
        self.job, self.span = subject_fits[0].job, "+".join(subject_fits[0].files.span)
        self.label = f"{self.job.subject_label} {self.span} {self.job.settings.model}"
        if start is not None:
            for subject_fit in subject_fits:
                subject_fit.n_tested = start.n_tested.get(subject_fit.job.subject.name, 0)

    def fit(self) -> None:
        """Fit all batches; save each ROI as soon as its last vertex is fitted."""
        layouts = [subject_fit.layout for subject_fit in self.subject_fits]
        models = []
        n_columns = sum(len(layout.vertices) for layout in layouts)
        with progress(total=n_columns, desc=self.label, unit="vertex") as bar:
            for batch in batches(layouts, self._width()):
                model, starts = self._fit_batch(batch), _starts(batch)
                for subject_fit, columns, start in zip(
                    self.subject_fits, batch, starts, strict=False
                ):
                    subject_fit.add_batch(model, columns, start)
                if not model.streams:
                    models.append(model)
                for path in self._checkpoints():
                    path.unlink()
                self.first += starts[-1]
                bar.update(starts[-1])
        if len(self.subject_fits) > 1 and getattr(model, "inside_", None) is None:
            say(f"{self.label}: the subjects share no weights, each is trained as if alone")
        warn_of_edges(self.job, self.label, models)

    def _width(self) -> int:
        """Return how many columns fit into memory."""
        if self.job.estimator.together:
            return sum(len(subject_fit.layout.vertices) for subject_fit in self.subject_fits)
        return batch_width(self.job.estimator, *self.job.design.train.shape)

    def _checkpoints(self) -> list[Path]:
        path = self.job.checkpoint(self.span, self.first)
        return list(path.parent.glob(f"{path.stem}-*{path.suffix}"))

    def make_model(self, batch: Sequence[Rows]) -> Encoder:
        """Return an unfitted model of a batch of columns, with the parameters that the job sets."""
        model: Encoder = clone(self.job.estimator)
        defaults = model.get_params()
        parameters = self._job_parameters(batch)
        model.set_params(**{name: value for name, value in parameters.items() if name in defaults})
        return model

    def _fit_batch(self, batch: Sequence[Rows]) -> Encoder:
        """Fit without the held-out pictures, predict them, then fit again on all."""
        model = self.make_model(batch)
        divisions = [subject_fit.division for subject_fit in self.subject_fits]
        model.fit(*self._data(batch, [division.inside for division in divisions]))
        starts = _starts(batch)
        for subject_fit, columns, start in zip(self.subject_fits, batch, starts, strict=False):
            if len(columns):
                encoder = self._encoder_of_subject(model, start, len(columns))
                X = subject_fit.job.design.train[subject_fit.division.held]
                subject_fit.heldout[:, columns] = encoder.predict(X)
        return model.refit(*self._data(batch, [division.whole for division in divisions]))

    def _encoder_of_subject(self, model: Encoder, start: int, width: int) -> Encoder:
        """Return the model of one subject's columns alone, since only they see its pictures."""
        if len(self.subject_fits) == 1:
            return model
        return clone(self.job.estimator).restore(model.state(np.arange(start, start + width)))

    def _data(
        self, batch: Sequence[Rows], masks: Sequence[NDArray[np.bool_]]
    ) -> tuple[NDArray[np.float32 | np.uint8], object]:
        """Return features and responses of the pictures that each subject's mask selects."""
        X, responses = [], []
        for subject_fit, columns, mask in zip(self.subject_fits, batch, masks, strict=True):
            X.append(subject_fit.job.design.train[mask])
            responses.append(subject_fit.responses(columns).pictures(mask))
        if len(self.subject_fits) > 1:
            from regress.data.several_subjects import Joint

            return np.concatenate(X), Joint(responses)
        return X[0], responses[0] if self.job.estimator.streams else responses[0].load()

    def _job_parameters(self, batch: Sequence[Rows]) -> dict[str, object]:
        """Return the parameters that the job sets; a model takes those that it has."""
        job, defaults = self.job, self.job.estimator.get_params()
        parameters: dict[str, object] = {
            "checkpoint": job.checkpoint(self.span, self.first),
            "progress_bar": True,
            "log": job.log(self.span, self.first),
            "scope": "vertex",
        }
        inside = [fit.pictures(fit.division.inside) for fit in self.subject_fits]
        if "cv" in defaults:
            folds = fold_numbers(inside[0], job.settings.folds, job.settings.seed)
            parameters["cv"] = [
                (np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in set(folds)
            ]
        if defaults.get("validation"):
            share, seed = defaults["validation"], job.settings.seed
            masks = [stopping(pictures, share, seed) for pictures in inside]
            parameters["validation"] = np.concatenate(masks)
        pairs = list(zip(self.subject_fits, batch, strict=True))
        tables = [subject_fit.vertex_parameters(columns) for subject_fit, columns in pairs]
        for name in tables[0]:
            parameters[name] = np.concatenate([table[name] for table in tables])
        if defaults.get("discriminators"):
            parameters["sheet"] = [subject_fit.sheet(columns) for subject_fit, columns in pairs]
        if self.start is not None:
            return parameters | {"start": self.start.load_weights(self.subject_fits, batch)}
        return parameters | {"freeze": False}


def _starts(batch: Sequence[Rows]) -> list[int]:
    """Return where each subject's columns begin in a batch's model, and where the last end."""
    return np.cumsum([0, *map(len, batch)]).tolist()
