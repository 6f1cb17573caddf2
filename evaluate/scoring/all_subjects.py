"""Score every subject, with one hemisphere in memory at a time, and pool the scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from base import progress, provenance
from cache import CacheError, digest, read_meta
from cache.records import ScoresRecord
from challenge import HEMISPHERES, Subject
from evaluate.fits.hemisphere import load_hemisphere
from evaluate.fits.inputs import Inputs
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.fits.runs import fits_digest, label_fits
from evaluate.resampling import check_counts, intervals
from evaluate.scoring.ensemble import check_rule, compute_strengths
from evaluate.scoring.hemisphere_rows import HemisphereScores, Key, rows, score_hemisphere
from evaluate.scoring.hemisphere_scorer import Resampling, VertexMap, correct_p_values
from evaluate.scoring.member_selection import Member
from evaluate.scoring.predictions import gather_prediction
from evaluate.scoring.vertex_files import vertices_file, write_vertices
from evaluate.scoring.vertex_scores import Tally, pool


@dataclass(frozen=True)
class AllScores:
    """Scores of all fits and subjects."""

    tallies: dict[Key, Tally] = field(default_factory=dict)  # of parts, and pooled ("all")
    # The interval columns of scores.csv.
    intervals: dict[Key, dict[str, float | None]] = field(default_factory=dict)
    # By "subject hemisphere": vertices that only ROI classes cover which are not chosen, and the
    # part of each run in the ensemble.
    filled: dict[str, int] = field(default_factory=dict)
    members: dict[str, dict[str, Member]] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Settings of scoring; the seed draws resamples, permutations and the ensemble's halves."""

    roi_classes: Sequence[str] | None  # that combinations are made of; all by default
    ensemble: str  # the rule of its weights
    resampling: Resampling
    baseline: str | None = None  # the run, or "ensemble", with which the others are compared

    def validate(self) -> Settings:
        """Raise if the rule or a number is invalid; return the settings."""
        check_rule(self.ensemble)
        self.resampling.validate()
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the settings that the scores depend on, as JSON."""
        return {
            "ensemble": self.ensemble,
            "permutations": self.resampling.permutations,
            "resamples": self.resampling.resamples,
            "roi_classes": sorted(set(self.roi_classes or ())),
            "seed": self.resampling.seed,
        }


def score_all(inputs: Inputs, settings: Settings) -> AllScores:
    """Score every fit and the ensemble, and write a file of vertices for each run and subject."""
    scored = AllScores()
    check_resampling(inputs, settings.resampling)
    labels = label_fits(inputs.runs)
    n_hemispheres = len(inputs.subjects) * len(HEMISPHERES)
    with progress(desc="scoring", unit="hemisphere", total=n_hemispheres) as bar:
        for subject in inputs.subjects:
            maps: dict[str, dict[str, VertexMap]] = {}
            for name, hemisphere_scores in score_hemispheres(inputs, subject, settings):
                add_tallies(scored.tallies, hemisphere_scores.tallies, subject.name, name)
                scored.filled[f"{subject.name} {name}"] = hemisphere_scores.n_filled
                scored.members[f"{subject.name} {name}"] = hemisphere_scores.members
                for run, vertex_map in hemisphere_scores.maps.items():
                    maps.setdefault(run, {})[name] = vertex_map
                bar.update()
            _compute_intervals(scored, subject.name)
            for run, hemisphere_maps in maps.items():
                meta = _meta(inputs, subject, run, settings)
                # The ensemble of a single fit is that fit.
                name = inputs.pooled if run == ENSEMBLE else run
                key = Key(name, subject.name, "all", "all", "all")
                tallies = {key: scored.tallies[key]}
                [means] = rows(tallies, scored.intervals, inputs.split, labels)
                meta |= {"means": means, "provenance": provenance()}
                path = vertices_file(inputs.out, run, subject.name)
                write_vertices(path, correct_p_values(hemisphere_maps), meta)
    _compute_intervals(scored, "all")
    return scored


def check_resampling(inputs: Inputs, resampling: Resampling) -> None:
    """Check, before scoring, that the draws of every hemisphere fit the memory."""
    for subject, hemisphere in product(inputs.subjects, HEMISPHERES):
        n_vertices = subject.n_vertices(hemisphere)
        n_pictures = inputs.n_pictures[subject.name]
        check_counts(
            resampling.resamples, resampling.permutations, n_pictures, n_vertices, len(inputs.runs)
        )


def vertices_are_current(inputs: Inputs, settings: Settings) -> bool:
    """Return whether the files of vertices exist and were made from these inputs."""
    for subject in inputs.subjects:
        runs = [r.name for r in inputs.runs if subject.name in r.subjects]
        for run in (*runs, ENSEMBLE):
            try:
                stored_key = read_meta(vertices_file(inputs.out, run, subject.name)).get("key")
            except (CacheError, OSError):
                return False
            if stored_key != _meta(inputs, subject, run, settings)["key"]:
                return False
    return True


def score_hemispheres(
    inputs: Inputs, subject: Subject, settings: Settings
) -> Iterator[tuple[str, HemisphereScores]]:
    """Yield the name and the scores of each hemisphere that has fits."""
    for name in HEMISPHERES:
        digest_of_responses = inputs.responses[subject.name, name]
        hemisphere = load_hemisphere(subject, name, inputs.runs, digest_of_responses)
        if hemisphere is None:
            continue
        roi_classes, seed, rule = settings.roi_classes, settings.resampling.seed, settings.ensemble
        baseline = None
        if settings.baseline is not None:
            run = next((run for run in inputs.runs if run.name == settings.baseline), None)
            strengths = compute_strengths(hemisphere, seed, rule, roi_classes)
            baseline = gather_prediction(hemisphere, run, inputs.split, strengths, roi_classes)
        yield name, score_hemisphere(hemisphere, inputs.runs, inputs.split, roi_classes, seed,
                                     rule, settings.resampling, baseline)  # fmt: skip


def add_tallies(
    tallies: dict[Key, Tally],
    hemisphere_tallies: Mapping[tuple[str, str, str], Tally],
    subject: str,
    hemisphere: str,
) -> None:
    """Add a hemisphere's tallies to those of the hemisphere, of its subject and of all subjects."""
    for leaf, tally in hemisphere_tallies.items():
        for subject_name, side in product((subject, "all"), (hemisphere, "all")):
            fit, roi_class, roi = leaf
            key = Key(fit, subject_name, side, roi_class, roi)
            previous = tallies.get(key)
            tallies[key] = tally if previous is None else pool([previous, tally])


def _compute_intervals(scored: AllScores, subject: str) -> None:
    """Compute the intervals of a subject's means, and free the draws."""
    for key, tally in scored.tallies.items():
        if key.subject == subject:
            scored.intervals[key] = intervals(tally.draws)
            scored.tallies[key] = replace(tally, draws=None)


def _meta(inputs: Inputs, subject: Subject, run: str, settings: Settings) -> ScoresRecord:
    """Return the record of a file of vertices, without the means and provenance."""
    runs = [r for r in inputs.runs if run in (r.name, ENSEMBLE)]
    label = label_fits(inputs.runs)[run]
    vertices_digest = inputs.vertices_digest(run, subject.name)
    made_from = {"kind": "vertices", "schema": 3, "inputs": vertices_digest}
    return {
        "kind": "vertices",
        "run": run,
        "model": label.model,
        "spaces": label.spaces,
        "subject": subject.name,
        "split": inputs.split,
        "n_pictures": inputs.n_pictures[subject.name],
        "fits": fits_digest([model for r in runs for model in r.models_of(subject.name)]),
        "inputs": vertices_digest,
        "simulated": subject.simulated,
        "untrained": sorted({space for r in runs for space in r.untrained}),
        "permutations": settings.resampling.permutations,
        "seed": settings.resampling.seed,
        "key": digest({**made_from, "settings": settings.as_json()}),
    }
