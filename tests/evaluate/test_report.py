"""The report's content: what its numbers are, what it says of trouble, that it is made once."""

import json
import re
import shutil
from base64 import b64decode
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from base import RoiridgeError
from cache import read_artifact, write_artifact
from challenge import find_subjects
from evaluate.commands.maps import maps
from evaluate.commands.report import report
from evaluate.fits.caveats import Caveats
from evaluate.fits.inputs import gather
from evaluate.maps.shown_subjects import gather_subjects
from evaluate.maps.surface import load_mesh
from evaluate.report.charts import against_ceiling
from evaluate.report.spaces import winners
from evaluate.report.tables import format_triple, table_data
from evaluate.scoring.score_report import ScoreReport
from tests.builders.fits import write_fits

RUN = "ridge-0123456789abcdef"
RUNS = (RUN, f"ridge-{'c' * 16}")


class _Texts(HTMLParser):
    """Collects the page's text and the address of everything that it refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.addresses, self._within = "", [], ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.addresses += [v or "" for name, v in attrs if name in {"src", "href", "xlink:href"}]

    def handle_data(self, data: str) -> None:
        if self._within not in {"script", "style"}:
            self.text += data


def read_page(out: Path, suffix: str = "") -> _Texts:
    parser = _Texts()
    parser.feed((out / f"report{suffix}" / "index.html").read_text("utf-8"))
    parser.text = re.sub(r"\s+", " ", parser.text)
    return parser


def data_of(out: Path, name: str) -> Any:
    page = (out / "report" / "index.html").read_text("utf-8")
    found = re.search(rf'<script type="application/json" id="data-{name}">(.*?)</script>', page)
    assert found
    return json.loads(found[1])


@pytest.mark.slow
def test_the_page_is_one_file_that_refers_to_nothing_else(reported: tuple[Path, str]) -> None:
    out, printed = reported
    page = out / "report" / "index.html"
    assert f"-> {page}" in printed
    assert {one.name for one in page.parent.iterdir()} == {"index.html", "report.json"}
    addresses = read_page(out).addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    text = page.read_text("utf-8")
    assert "http" not in re.sub(r'http://www\.w3\.org/[\w/]+|"http-equiv|http-equiv', "", text)
    assert page.stat().st_size < 25e6
    assert "nan" not in re.sub(r"base64,[\w+/=]+", "", read_page(out).text).lower().split()


def test_the_page_says_what_must_be_known(reported: tuple[Path, str], simulated: Path) -> None:
    out, _ = reported
    text = read_page(out).text
    for words in (
        "SIMULATED responses, subjects 01, 02",
        "UNTRAINED networks, random weights: clip",
        "ridge-cccccc (UNTRAINED clip)",
        "mTL-faces of every subject",
        "their noise ceiling is 0: in no mean",
        f"evaluate report --data {simulated} --out {out} --subject all --split auto",
        "python -m regress --spaces clip",
        "subject 02: 123 of 123 vertices are on fsaverage5",
        "seed = 0",
        "ridge on each space alone, test pictures",
        "himalaya",
    ):
        assert words in text, words


def test_the_table_is_that_of_scores_csv(reported: tuple[Path, str]) -> None:
    out, _ = reported
    table = data_of(out, "table")
    frame = pd.read_csv(out / "scores.csv", dtype={"subject": str})
    assert table["models"] == [
        "ridge-012345 (alexnet)",
        "ridge-cccccc (UNTRAINED clip)",
        "ensemble",
    ]
    spaces = ["alexnet", "clip", "alexnet+clip"]
    assert len(table["cells"]) == 9
    for row in frame.to_dict("records"):
        cells = table["cells"][f"{row['subject']} {row['hemisphere']}"]
        cell = cells[f"{row['roi_class']} {row['roi']}"][str(spaces.index(row["spaces"]))]
        assert cell["n"] == row["n_vertices"] - row["n_excluded"]
        for name, places in (("score", 2), ("pearson_r", 3)):
            expected = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
            found = [np.nan if value is None else value for value in cell[name]]
            np.testing.assert_allclose(found, expected, atol=0.51 * 10**-places)


def test_every_model_has_a_map_of_its_correlation(
    reported: tuple[Path, str], simulated: Path
) -> None:
    out, _ = reported
    page = (out / "report" / "index.html").read_text("utf-8")
    panels = re.findall(
        r'<figure class="multiple" data-subject="(\w+)"><img src="data:image/png;base64,([\w+/=]+)"'
        r' width="(\d+)".*?<strong>(.*?)</strong><br>mean r (.*?)<',
        page,
    )
    assert {panel[0] for panel in panels} == {"mean", "01", "02"}
    assert len(panels) == 6
    frame = pd.read_csv(out / "scores.csv", dtype={"subject": str})
    whole = frame[(frame["roi_class"] == "all") & (frame["hemisphere"] == "all")]
    high = float(re.findall(r"<span>r; line: mean ceiling [\d.]+</span><span>([\d.]+)<", page)[0])
    mesh, known = load_mesh("fsaverage5"), {}
    for subject, png, width, title, told in panels:
        model, space = re.fullmatch(r"(\w+)-\w+ \((\w+)\)", title).groups()  # type: ignore[union-attr]
        row = whole[(whole["spaces"] == space) & (whole["model"] == model)]
        row = row[row["subject"] == ("all" if subject == "mean" else subject)]
        assert float(told.replace("−", "-")) == pytest.approx(row["pearson_r"].item(), abs=6e-4)
        image = Image.open(BytesIO(b64decode(png)))
        assert image.width == int(width)
        if subject == "mean":
            continue
        # The colours that are shown, read back by the scale, are the values of the vertices.
        shown = np.asarray(image.convert("RGBA").convert("RGB"), float).reshape(-1, 3)
        coloured = shown[np.ptp(shown, axis=1) > 20]
        scale = 255 * mpl.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
        away = ((coloured[:, None] - scale) ** 2).sum(2)
        assert np.sqrt(away.min(1)).max() < 12
        read = np.linspace(0, high, 256)[away.argmin(1)]
        if not known:
            known = {
                (one.subject, run): np.concatenate(list(one.r.values()))
                for run in RUNS
                for one in gather_subjects(
                    gather(simulated, out), run, mesh, "streams", spaces=False
                )
            }
        expected = known[subject, RUNS[space == "clip"]]
        expected = np.clip(expected[np.isfinite(expected)], 0, high)
        assert np.median(read) == pytest.approx(np.median(expected), abs=0.1)
        assert read.max() <= expected.max() + 0.02
    # The best is first.
    for subject in ("mean", "01", "02"):
        means = [float(p[4].replace("−", "-")) for p in panels if p[0] == subject]
        assert means == sorted(means, reverse=True)


def test_the_example_is_the_best_vertex_of_its_roi(
    reported: tuple[Path, str], simulated: Path
) -> None:
    out, _ = reported
    text = read_page(out).text
    found = re.search(
        r"vertex (\d+) of subject (\d\d), (\wh) ?: r = ([\d.]+).*?best of (\d+)", text
    )
    assert found
    column, name, side, told, n = found.groups()
    best, count = {}, 0
    for subject in find_subjects(simulated):
        for h in ("lh", "rh"):
            arrays, _ = read_artifact(out / f"fits/{RUN}/subj{subject.name}/{h}.V1v.h5")
            measured = subject.responses(h, "test")[:, arrays["vertices"]].astype(float)
            ceiling = subject.noise_ceiling(h, "test")
            assert ceiling is not None
            for v, vertex in enumerate(arrays["vertices"]):
                if ceiling[vertex] > 0:
                    count += 1
                    of = (subject.name, h, int(vertex))
                    predicted = arrays["test_predictions"][:, v].astype(float)
                    best[of] = stats.pearsonr(measured[:, v], predicted).statistic
    assert int(n) == count
    # The vertex is chosen by what all ROI models say of it, and shown by this one's own.
    assert float(told) == pytest.approx(best[name, side, int(column)], abs=6e-4)
    assert best[name, side, int(column)] > np.quantile(list(best.values()), 0.7)


@pytest.mark.slow
def test_a_second_run_recomputes_nothing_until_something_changes(
    reported: tuple[Path, str], simulated: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(reported[0], out)
    report(simulated, out)
    capsys.readouterr()
    page = out / "report" / "index.html"
    made = page.stat().st_mtime_ns
    report(simulated, out)
    assert f"{page}: nothing has changed since it was made" in capsys.readouterr().out
    assert page.stat().st_mtime_ns == made
    page.write_text("damaged")
    report(simulated, out)
    assert page.stat().st_size > 1e5
    # An ablation is news, though the scores stay.
    subject = find_subjects(simulated)[0]
    for h in ("lh", "rh"):
        n = subject.n_vertices(h)
        responses = json.loads((out / "scores.json").read_text())["inputs"]["data"]["01"]
        for spaces, r2 in ((["a"], 0.1), (["b"], 0.2), (["a", "b"], 0.25)):
            key = {"responses": responses[f"{h}_responses"]}
            meta = {"kind": "ablation", "spaces": spaces, "key": key, "provenance": {}}
            arrays = {"pearson_r": np.full(n, r2), "r2": np.full(n, r2)}
            path = out / "ablations/subj01" / f"{h}-{'-'.join(spaces)}.h5"
            write_artifact(path, arrays, meta)
    capsys.readouterr()
    report(simulated, out)
    assert f"{page}: nothing has changed" not in capsys.readouterr().out
    assert "Unique to b" in page.read_text("utf-8")
    # So is a subject without fits, which has no part in the scores.
    data = tmp_path / "data"
    shutil.copytree(simulated, data)
    shutil.copytree(data / "subj01", data / "subj03")
    report(data, out)
    assert "subject 03" in read_page(out).text


def test_one_subject_without_test_responses_or_ceilings(
    broken: Callable[[], Path], tmp_path: Path
) -> None:
    data = broken()
    write_fits(tmp_path, data, subject="01")
    shutil.rmtree(data / "subj01/test_split/test_fmri")
    shutil.rmtree(data / "subj01/test_split/noise_ceiling")
    report(data, tmp_path, subject="01")
    text = read_page(tmp_path, "-01").text
    assert "Noise ceilings are missing" in text
    assert "20 of subject 01" in text
    assert "held-out training pictures" in text
    assert "There are no noise ceilings to compare with" in text
    assert "Noise-normalised score" not in text
    assert "nan" not in text.lower().split()


def test_trouble_is_said_in_words(broken: Callable[[], Path], tmp_path: Path) -> None:
    data = broken()
    with pytest.raises(RoiridgeError, match=r"no fits of subject 01, 02 under .*make fit"):
        report(data, tmp_path)
    write_fits(tmp_path, data, subject="01")
    with pytest.raises(RoiridgeError, match="unknown ROI class 'V1' to outline"):
        report(data, tmp_path, subject="01", outlines="V1")
    assert not (tmp_path / "report-01").exists()


@pytest.mark.slow
def test_without_masks_of_fsaverage_the_maps_are_left_out_and_nothing_else(
    broken: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    write_fits(tmp_path, data)
    write_fits(tmp_path, data, spaces=("clip",), digest="c" * 16, seed=1)
    (data / "subj02/roi_masks/rh.all-vertices_fsaverage_space.npy").unlink()
    report(data, tmp_path)
    page = read_page(tmp_path)
    assert "No maps of subject 02: without masks such as subj02/roi_masks/rh.all-vert" in page.text
    assert "subject 01: 125 of 125 vertices are on fsaverage5" in page.text
    assert {one["subject"] for one in data_of(tmp_path, "brain")["maps"]} == {"01"}
    (data / "subj01/roi_masks/lh.all-vertices_fsaverage_space.npy").unlink()
    report(data, tmp_path)
    page = read_page(tmp_path)
    assert "No maps of subjects 01, 02: without masks" in page.text
    assert "A brain that turns" not in page.text
    for words in ("Which space wins where", "ridge on each space alone", "Bars per ROI", "Highest"):
        assert words in page.text
    capsys.readouterr()
    with pytest.raises(RoiridgeError, match=r"no maps of subjects 01, 02: .*: copy the masks"):
        maps(data, tmp_path)


def test_what_has_no_value_is_a_dash() -> None:
    assert format_triple(None, 2) == format_triple([None, None, None], 2) == "–"
    assert format_triple([1.234, None, None], 2) == "1.23"
    assert format_triple([1.234, 1.0, 2.0], 1) == "1.2 [1.0, 2.0]"
    row = {"model": "ridge", "spaces": "a", "subject": "all", "hemisphere": "all", "split": "test",
           "roi_class": "floc-faces", "roi": "OFA", "n_vertices": 3, "n_excluded": 3,
           "pearson_r": np.nan, "r2": np.nan, "score": np.nan, "chance": np.nan,
           "fit": "ridge-0", "label": "ridge-0"}  # fmt: skip
    frame = pd.DataFrame([row | {"roi": "FFA-1", "pearson_r": 0.5}, row])
    table = table_data(ScoreReport(frame, Caveats()))
    json.dumps(table, allow_nan=False)
    assert table["cells"]["all all"]["floc-faces OFA"][0] == {
        "n": 0,
        "pearson_r": [None, None, None],
    }
    assert {"roi_class": "floc-faces", "roi": "aTL-faces"} in table["rows"]


def test_winners_count_vertices(simulated: Path) -> None:
    subjects = find_subjects(simulated, "01")
    alone: dict[str, Any] = {"01": {"a": {}, "b": {}}}
    for h in ("lh", "rh"):
        n = subjects[0].n_vertices(h)
        alone["01"]["a"][h] = np.full(n, 0.3)
        alone["01"]["b"][h] = np.where(np.arange(n) % 3 == 0, 0.6, 0.1)
        alone["01"]["b"][h][1] = np.nan
    found = winners(subjects, alone)
    assert found is not None
    by_name = {row["roi"]: row for row in found["rois"]}
    wins = total = 0
    for h in ("lh", "rh"):
        early = next(r.vertices for r in subjects[0].rois(h) if r.name == "early")
        early = early[early != 1]
        wins, total = wins + (early % 3 == 0).sum(), total + len(early)
    assert by_name["early"]["n"] == total
    assert by_name["early"]["share"] == pytest.approx([1 - wins / total, wins / total])
    assert winners(subjects, {"01": {"a": alone["01"]["a"]}}) is None


def test_a_chart_takes_the_ink_of_the_page() -> None:
    rng = np.random.default_rng(0)
    svg = against_ceiling(rng.uniform(0.1, 0.8, 200), rng.uniform(-0.2, 0.8, 200))
    assert svg.startswith('<svg role="img" aria-label="Density of 200 vertices')
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert re.search(r'<svg[^>]* width="', svg) is None
