"""The model card of a pack: whose responses, how many pictures, what scores, what use."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from base import plural, replacing
from evaluate import load_scores
from predict.combination import Combination

CARD = "model-card.md"


def write_card(
    path: Path, combinations: Sequence[Combination], out: Path, licence: str, dtype: str
) -> None:
    """Write the card of some subjects' encoders, with the scores in OUT where there are any."""
    lines = list(_lines([c.meta for c in combinations], out, licence, dtype))
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(metas: Sequence[dict[str, Any]], out: Path, licence: str, dtype: str) -> Iterator[str]:
    names = ", ".join(meta["subject"] for meta in metas)
    yield f"# Encoder of {plural(len(metas), 'subject')} ({names})"
    yield ""
    yield "Predicts fMRI responses of visual cortex to pictures. Load it with"
    yield '`roiridge.load_encoder("ENCODER.zip", subject="…")`; `roiridge predict` takes it as fit.'
    yield ""
    simulated = [meta["subject"] for meta in metas if meta["simulated"]]
    if simulated:
        yield f"- **Responses: SIMULATED** (subjects {', '.join(simulated)}): not of a brain."
    else:
        yield "- Responses: measured; each subject's are those of the folder it was fitted on."
    untrained = sorted({s for meta in metas for run in meta["runs"] for s in run["untrained"]})
    if untrained:
        yield f"- **Random weights** in {', '.join(untrained)}: untrained networks."
    for meta in metas:
        n_vertices = sum(meta["n_vertices"].values())
        yield (
            f"- Subject {meta['subject']}: {plural(meta['n_training'], 'training picture')}, of "
            f"which {meta['n_heldout']} were held out to weigh and score the fits; "
            f"{n_vertices} vertices, {plural(len(meta['rois']), 'ROI')}."
        )
    fits = list(dict.fromkeys(run["title"] for meta in metas for run in meta["runs"]))
    yield f"- Fits: {'; '.join(fits)}; combined by `{metas[0]['rule']}`."
    keys = {name: key for meta in metas for name, key in meta["spaces"].items()}
    yield f"- Feature spaces: {', '.join(f'{name} ({key})' for name, key in keys.items())}."
    yield f"- Coefficients: {dtype}."
    yield f"- Licence: {licence or 'not stated'}."
    yield ""
    yield "## Scores"
    yield ""
    yield from _score_lines(metas, out)
    yield ""
    yield "## Intended use"
    yield ""
    yield "In-silico experiments, choice of stimuli, teaching. A prediction is of a subject's mean"
    yield "response to a picture like the training pictures: `novelty` says how far a picture lies"
    yield "from them. It says nothing of a single trial, of another subject, or of health."


def _score_lines(metas: Sequence[dict[str, Any]], out: Path) -> Iterator[str]:
    path = out / "scores.csv"
    if not path.is_file():
        yield "None were computed (`make evaluate`)."
        return
    names = {run["name"] for meta in metas for run in meta["runs"]}
    scores = load_scores(path)
    overall = scores[(scores.roi_class == "all") & (scores.hemisphere == "all")]
    rows = overall[overall.fit.isin({*names, "ensemble"})]
    yield "| fit | subject | pictures | r | score | 95 % |"
    yield "|---|---|---|---|---|---|"
    for row in rows.itertuples():
        yield (
            f"| {row.label} | {row.subject} | {row.split} | {row.pearson_r:.3f} | {row.score:.2f} "
            f"| {row.score_low:.1f}–{row.score_high:.1f} |"
        )
    yield ""
    yield "score: mean over vertices of r² / noise ceiling, in percent. The ensemble is that of all"
    yield "fits that were scored."
