"""All models of a subject, or of several that share: what is missing, fitted together, saved."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from base import progress, say, taking_turns
from challenge import Roi
from challenge.inputs import check_values
from regress.data.picture_splits import Division, divide, fold_numbers, stopping
from regress.data.several_subjects import Joint, batches
from regress.data.vertex_columns import spans
from regress.encoding_model import Encoder
from regress.fitting.grid_edges import warn_of_edges
from regress.fitting.settings import Job
from regress.fitting.subject_fit import Member, Rows
from regress.fitting.up_to_date import Present
from regress.solvers.forms import shared_forms

if TYPE_CHECKING:
    from regress.fitting.warm_start import Start

# Of what is in memory at once: responses of a hemisphere of the challenge, or as much of weights.
MEMORY = 1 << 30
# A trained model's weights, their best, their gradient and two moments.
COPIES = 5


def fit_subject(job: Job, start: "Start | None" = None) -> int:
    """Fit every model of a subject that is not there yet."""
    return fit_subjects([job], start)


def fit_subjects(
    jobs: Sequence[Job],
    start: "Start | None" = None,
    tests: Collection[str] = (),
    those: Iterable[tuple[str, ...]] | None = None,
) -> int:
    """Fit every model that is not there yet, of subjects who share what belongs to groups.

    Parameters
    ----------
    jobs : sequence of Job
        What to fit: of each subject, with the same settings.
    tests : collection of str
        The sha256 of test pictures, of these subjects and others. Where several subjects are fitted
        together, none is fitted on one of them: what tests one would teach another.
    those : iterable of tuple of str, optional
        Only these of `spans`, as they come; all by default.
    """
    divisions = [_divided(job, tests if len(jobs) > 1 else ()) for job in jobs]
    if start is not None:
        start.check_pictures(jobs, divisions, set(tests))
    fitted = 0
    asked = spans(jobs[0].grouping or "roi") if those is None else those
    with ExitStack() as stack:
        stack.enter_context(shared_forms())
        for span in stack.enter_context(closing(taking_turns(asked, jobs[0].claim))):
            presents = [Present(job, span) for job in jobs]
            for present, division in zip(presents, divisions, strict=True):
                present.join(presents, division.unseen)
                present.remove_others()
            presents[0].remove_unused(presents)
            missing = [present.missing() for present in presents]
            n_missing, n_rois = sum(map(len, missing)), sum(len(p.rois) for p in presents)
            label = f"{jobs[0].whom} {'+'.join(span)}"
            changed = any(present.code_changed for present in presents)
            why = f": the code of {jobs[0].settings.model} changed" if changed else ""
            say(f"{label}: {n_rois - n_missing} models there already, {n_missing} to fit{why}")
            if 0 < n_missing < n_rois:
                say(
                    f"{label}: sums are rounded in another order when fewer vertices are fitted at "
                    "once: the last digits may differ from those of a fit of all; for those, "
                    f"remove {jobs[0].folder} and fit again"
                )
            if n_missing:
                if not fitted:
                    # All hemispheres: what is wrong with a later one is said before any work.
                    check_values([job.subject for job in jobs])
                _fit_span(jobs, presents, missing, divisions, start)
                presents[0].remove_unused(presents)
            fitted += n_missing
    return fitted


def _fit_span(
    jobs: Sequence[Job],
    presents: Sequence[Present],
    missing: Sequence[Sequence[Roi]],
    divisions: Sequence[Division],
    start: "Start | None",
) -> None:
    """Fit the models of one or both hemispheres; groups that a start lacks begin without it."""
    groups = {
        present.group(roi) for present, rois in zip(presents, missing, strict=True) for roi in rois
    }
    begun = groups & start.groups if start is not None else set()
    if begun and jobs[0].estimator.together:
        begun = groups
    first = 0
    for those, given in ((begun, start), (groups - begun, None)):
        rois = [
            [r for r in own if p.group(r) in those]
            for p, own in zip(presents, missing, strict=True)
        ]
        if not those:
            continue
        lacking = those - start.groups if start is not None else ()
        if lacking:
            say(f"--start has no group {', '.join(sorted(lacking))}: trained from the beginning")
        members = [Member(*of) for of in zip(jobs, presents, rois, divisions, strict=True)]
        span = _Span(members, given, first)
        span.fit()
        first = span.first


def _divided(job: Job, tests: Collection[str]) -> Division:
    """Divide a subject's pictures; say what of them is unusual."""
    design, settings, name = job.design, job.settings, job.subject.name
    pictures = set(design.training_pictures)
    both = pictures & set(design.test_pictures)
    if both:
        say(
            f"warning: {len(both)} test pictures of subj{name} are among its training "
            "pictures: scores on the test split will be inflated"
        )
    unseen = pictures.intersection(tests)
    if unseen:
        say(
            f"{len(unseen)} training pictures of subj{name} are left out: they test a subject, "
            "and subjects share what is trained"
        )
    share, seed = settings.heldout, settings.seed
    return divide(design.training_pictures, share, seed, settings.images, unseen)


class _Span:
    """The models of one or both hemispheres, of one subject or several, fitted in one go."""

    def __init__(
        self, members: Sequence[Member], start: "Start | None" = None, first: int = 0
    ) -> None:
        self.members, self.start, self.first = members, start, first
        self.job, self.span = members[0].job, "+".join(members[0].present.span)
        self.label = f"{self.job.whom} {self.span} {self.job.settings.model}"
        if start is not None:
            for member in members:
                member.n_tested = start.n_tested.get(member.job.subject.name, 0)

    def fit(self) -> None:
        """Fit batch after batch; save an ROI when all of it is fitted."""
        layouts = [member.layout for member in self.members]
        models = []
        n_columns = sum(len(layout.vertices) for layout in layouts)
        with progress(total=n_columns, desc=self.label, unit="vertex") as bar:
            for batch in batches(layouts, self._width()):
                model, starts = self._fit_batch(batch), _starts(batch)
                for member, columns, start in zip(self.members, batch, starts, strict=False):
                    member.take(model, columns, start)
                if not model.streams:
                    models.append(model)
                for path in self._checkpoints():
                    path.unlink()
                self.first += starts[-1]
                bar.update(starts[-1])
        if len(self.members) > 1 and getattr(model, "inside_", None) is None:
            say(f"{self.label}: nothing in it is shared by subjects, each is trained as alone")
        warn_of_edges(self.job, self.label, models)

    def _width(self) -> int:
        """Say how many columns fit into memory."""
        if self.job.estimator.together:
            return sum(len(member.layout.vertices) for member in self.members)
        n_images, n_features = self.job.design.train.shape
        column = COPIES * n_features if self.job.estimator.streams else n_images
        return max(1, MEMORY // (4 * column))

    def _checkpoints(self) -> list[Path]:
        path = self.job.checkpoint(self.span, self.first)
        return list(path.parent.glob(f"{path.stem}-*{path.suffix}"))

    def _fit_batch(self, batch: Sequence[Rows]) -> Encoder:
        """Fit without the held-out pictures, predict them, then fit again on all."""
        model = clone(self.job.estimator)
        known = model.get_params()
        own = self._own(batch)
        model.set_params(**{name: value for name, value in own.items() if name in known})
        divisions = [member.division for member in self.members]
        model.fit(*self._data(batch, [division.inside for division in divisions]))
        for member, columns, start in zip(self.members, batch, _starts(batch), strict=False):
            if len(columns):
                judged = self._of(model, start, len(columns))
                X = member.job.design.train[member.division.held]
                member.heldout[:, columns] = judged.predict(X)
        return model.refit(*self._data(batch, [division.whole for division in divisions]))

    def _of(self, model: Encoder, start: int, width: int) -> Encoder:
        """Give the model of one subject's columns, which are those of its pictures."""
        if len(self.members) == 1:
            return model
        return clone(self.job.estimator).restore(model.state(np.arange(start, start + width)))

    def _data(
        self, batch: Sequence[Rows], rows: Sequence[NDArray[np.bool_]]
    ) -> tuple[NDArray[np.float32 | np.uint8], object]:
        """Give features and responses of some pictures of each subject."""
        X = [member.job.design.train[of] for member, of in zip(self.members, rows, strict=True)]
        responses = [
            member.responses(columns).pictures(of)
            for member, columns, of in zip(self.members, batch, rows, strict=True)
        ]
        if len(self.members) > 1:
            return np.concatenate(X), Joint(responses)
        return X[0], responses[0] if self.job.estimator.streams else responses[0].load()

    def _own(self, batch: Sequence[Rows]) -> dict[str, object]:
        """Give the parameters that the job sets, of which a model takes those that it has."""
        job, parameters = self.job, self.job.estimator.get_params()
        own: dict[str, object] = {
            "checkpoint": job.checkpoint(self.span, self.first),
            "progress_bar": True,
            "log": job.log(self.span, self.first),
            "scope": "vertex",
        }
        inside = [member.pictures(member.division.inside) for member in self.members]
        if "cv" in parameters:
            folds = fold_numbers(inside[0], job.settings.folds, job.settings.seed)
            own["cv"] = [
                (np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in set(folds)
            ]
        if parameters.get("validation"):
            share, seed = parameters["validation"], job.settings.seed
            own["validation"] = np.concatenate([stopping(one, share, seed) for one in inside])
        told = [member.told(columns) for member, columns in zip(self.members, batch, strict=True)]
        own |= {name: np.concatenate([one[name] for one in told]) for name in told[0]}
        if parameters.get("discriminators"):
            members = zip(self.members, batch, strict=True)
            own["sheet"] = [member.sheet(columns) for member, columns in members]
        if self.start is not None:
            return own | {"start": self.start.of(self.members, batch)}
        return own | {"freeze": False}


def _starts(batch: Sequence[Rows]) -> list[int]:
    """Say where each subject's columns begin in a batch's model, and where the last end."""
    return np.cumsum([0, *map(len, batch)]).tolist()
