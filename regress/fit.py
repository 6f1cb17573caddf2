"""All models of a subject: what is missing, fitted together, saved one file an ROI."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from base import progress, say
from challenge import Roi
from regress.encoder import Encoder
from regress.forms import shared_forms
from regress.job import Job
from regress.layout import lay_out, place, spans
from regress.present import Present
from regress.responses import Responses
from regress.saved import save_fit
from regress.split import fold_numbers, held_out

# Of what is in memory at once: responses of a hemisphere of the challenge, or as much of weights.
MEMORY = 1 << 30
# A trained model's weights, their best, their gradient and two moments.
COPIES = 5

Fitted = tuple[slice, Encoder]


def fit_subject(job: Job) -> int:
    """Fit every model of a subject that is not there yet.

    Parameters
    ----------
    job : Job
        What to fit.

    Returns
    -------
    int
        How many models were fitted.
    """
    pictures = job.design.training_pictures
    held = held_out(pictures, job.settings.heldout, job.settings.seed)
    _warn_of_leaks(job)
    fitted = 0
    with shared_forms():
        for span in spans(job.grouping or "roi"):
            present = Present(job, span)
            present.remove_others()
            missing = present.missing()
            label = f"subj{job.subject.name} {'+'.join(span)}"
            say(
                f"{label}: {len(present.rois) - len(missing)} models there already, "
                f"{len(missing)} to fit"
            )
            if missing:
                for hemisphere in span:
                    job.subject.check_finite(hemisphere, "train")
                _Span(job, present, missing, held, f"{label} {job.settings.model}").fit()
            fitted += len(missing)
    return fitted


def _warn_of_leaks(job: Job) -> None:
    both = set(job.design.training_pictures) & set(job.design.test_pictures)
    if both:
        say(
            f"warning: {len(both)} test pictures of subj{job.subject.name} are among its training "
            "pictures: scores on the test split will be inflated"
        )


class _Span:
    """The models of one or both hemispheres, that are fitted in one go."""

    def __init__(
        self,
        job: Job,
        present: Present,
        missing: Sequence[Roi],
        held: NDArray[np.bool_],
        label: str,
    ) -> None:
        self.job, self.present, self.held, self.label = job, present, held, label
        self.waiting = list(missing)
        self.layout = lay_out(missing, job.grouping)
        self.inside = [
            picture
            for picture, out in zip(job.design.training_pictures, held, strict=True)
            if not out
        ]

    def fit(self) -> None:
        """Fit batch after batch; save an ROI when all of it is fitted."""
        job, n_vertices = self.job, len(self.layout.vertices)
        heldout = np.empty((int(self.held.sum()), n_vertices), np.float32)
        fitted: list[Fitted] = []
        with progress(total=n_vertices, desc=self.label, unit="vertex") as bar:
            for columns in self.layout.batches(self._width()):
                model = self._fit_batch(columns, heldout)
                fitted.append((columns, model))
                self._save_what_is_done(fitted, heldout)
                bar.update(columns.stop - columns.start)
                for path in self._checkpoints(columns):
                    path.unlink()
        _warn_of_edges(job, self.label, [model for _, model in fitted])

    def _width(self) -> int:
        """Say how many columns fit into memory."""
        n_images, n_features = self.job.design.train.shape
        column = COPIES * n_features if self.job.estimator.streams else n_images
        return max(1, MEMORY // (4 * column))

    def _checkpoints(self, columns: slice) -> list[Path]:
        path = self.job.checkpoint("+".join(self.present.span), columns.start)
        return list(path.parent.glob(f"{path.stem}-*{path.suffix}"))

    def _fit_batch(self, columns: slice, heldout: NDArray[np.float32]) -> Encoder:
        """Fit without the held-out pictures, predict them, then fit again on all."""
        X, model = self.job.design.train, clone(self.job.estimator)
        responses = self._responses(columns)
        own = self._own(columns)
        known = model.get_params()
        model.set_params(**{name: value for name, value in own.items() if name in known})
        if model.streams:
            model.fit(X[~self.held], responses.pictures(~self.held))
            heldout[:, columns] = model.predict(X[self.held])
            return model.refit(X, responses)
        Y = responses.load()
        model.fit(X[~self.held], Y[~self.held])
        heldout[:, columns] = model.predict(X[self.held])
        return model.refit(X, Y)

    def _responses(self, columns: slice) -> Responses:
        job, layout = self.job, self.layout
        sources = [job.subject.responses(hemisphere) for hemisphere in self.present.span]
        starts = np.cumsum([0, *(source.shape[1] for source in sources)])
        which = layout.vertices[columns].copy()
        for hemisphere, start in zip(self.present.span, starts[:-1], strict=True):
            which[layout.hemispheres[columns] == hemisphere] += start
        return Responses(sources, which, digest=self.present.responses_digest())

    def _own(self, columns: slice) -> dict[str, object]:
        """Give the parameters that the job sets, of which a model takes those that it has."""
        job, layout, span = self.job, self.layout, "+".join(self.present.span)
        folds = fold_numbers(self.inside, job.settings.folds, job.settings.seed)
        groups = None if layout.groups is None else layout.groups[columns]
        share = job.estimator.get_params().get("validation", 0)
        own = {
            "cv": [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in set(folds)],
            "checkpoint": job.checkpoint(span, columns.start),
            "progress_bar": True,
            "log": job.log(span, columns.start),
            "validation": self._stopping(share) if share else 0,
        }
        if groups is None:
            return {**own, "scope": "vertex"}
        # Trainings are told the groups' names, for their logs.
        named = np.array(layout.names)[groups] if job.estimator.streams else groups
        return {**own, "scope": named}

    def _stopping(self, share: float) -> NDArray[np.bool_]:
        """Say which pictures stop a training; rows of one picture fall together."""
        n_folds = min(max(2, round(1 / share)), len(set(self.inside)))
        return fold_numbers(self.inside, n_folds, self.job.settings.seed) == 0

    def _save_what_is_done(self, fitted: Sequence[Fitted], heldout: NDArray[np.float32]) -> None:
        end = fitted[-1][0].stop
        waiting = []
        for roi in self.waiting:
            columns = self.layout.columns[place(roi)]
            if columns.max() >= end:
                waiting.append(roi)
                continue
            state = _state_of(fitted, columns)
            save_fit(self.job, roi, state, heldout[:, columns], self.held, self.present)
        self.waiting = waiting


def _state_of(fitted: Sequence[Fitted], columns: NDArray[np.int64]) -> dict[str, NDArray]:
    """Give the arrays of some columns, which several batches may hold."""
    state: dict[str, NDArray] = {}
    for batch, model in fitted:
        here = (columns >= batch.start) & (columns < batch.stop)
        if here.all():
            return model.state(columns - batch.start)
        if here.any():
            for name, values in model.state(columns[here] - batch.start).items():
                whole = np.empty((*values.shape[:-1], len(columns)), values.dtype)
                state.setdefault(name, whole)[..., here] = values
    return state


def _warn_of_edges(job: Job, label: str, models: Sequence[Encoder]) -> None:
    """Say when many predictable vertices want a penalty beyond the grid."""
    grid = job.estimator.get_params().get("alphas")
    if grid is None:
        return
    chosen = _joined(models)
    alphas, scores = chosen.get("best_alphas_"), chosen.get("cv_scores_")
    if alphas is None and "deltas_" in chosen:
        alphas = 1 / np.exp(chosen["deltas_"].astype(np.float64)).sum(0)
    if alphas is None or scores is None or not (scores > 0).any():
        return
    found = alphas[..., scores > 0]
    for edge, side in ((np.min(grid), "lowest"), (np.max(grid), "highest")):
        share = float(np.isclose(found, edge, rtol=1e-3).mean())
        if share > 0.1:
            say(
                f"warning: {label}: {share:.0%} of the predictable vertices chose the {side} alpha "
                f"({edge:g}): widen the grid, for example --params.alphas '[…]'"
            )


def _joined(models: Sequence[Encoder]) -> Mapping[str, NDArray]:
    names = ("best_alphas_", "deltas_", "cv_scores_")
    return {
        name: np.concatenate([getattr(model, name) for model in models], axis=-1)
        for name in names
        if hasattr(models[0], name)
    }
