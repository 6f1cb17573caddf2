"""The report: scores, maps and examples on one page, written again when something changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from base import provenance, replacing, say, sha256_files
from cache import digest
from evaluate.fits.inputs import Inputs
from evaluate.fits.sidecar import read_if_current, write_json
from evaluate.fits.study_rows import row_names
from evaluate.maps.ablation_values import ablation_files
from evaluate.report.content import gather_content
from evaluate.report.page import render_page
from evaluate.scoring.all_subjects import Settings
from evaluate.scoring.score_report import ScoreReport
from evaluate.tables.write_scores import score_inputs

# Packages that draw the page: when their code changes, the page is written again.
DRAWING = ("report", "maps")


def write_report(inputs: Inputs, settings: Settings, options: Mapping[str, Any]) -> None:
    """Score, and write OUT/report/index.html by the options of the command."""
    scores = score_inputs(inputs, settings, options["split"])
    key = _key(inputs, scores, options["outlines"])
    page = inputs.out / f"report{inputs.suffix}" / "index.html"
    sidecar = page.with_name("report.json")
    if read_if_current(page, sidecar, key) is not None:
        say(f"{page}: nothing has changed since it was made, nothing recomputed")
    else:
        text = render_page(gather_content(inputs, scores, options))
        with replacing(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
        record = {"key": key, "sha256": sha256_files([page])[0], "provenance": provenance()}
        write_json(sidecar, record)
    say(f"-> {page}: {page.stat().st_size / 1e6:.1f} MB, open it in any browser")


def _key(inputs: Inputs, report: ScoreReport, outlines: str) -> str:
    """Digest everything that the page depends on."""
    files = [file for s in inputs.subjects for file in ablation_files(inputs.out, s.name)]
    folders = [Path(__file__).parent.with_name(name) for name in DRAWING]
    code_files = sorted(f for folder in folders for f in folder.rglob("*.*") if f.suffix != ".pyc")
    return digest(
        {
            "kind": "report",
            "code": sha256_files(code_files),
            "without": [s.name for s in inputs.unfitted],
            "scores": [report.key, report.sha256],
            "ablations": dict(zip(map(str, files), sha256_files(files), strict=True)),
            "outlines": outlines,
            "rows": row_names(inputs.out),
        }
    )
