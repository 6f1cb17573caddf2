"""Ablations as they are told: unique and shared parts with intervals, on what is scored."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import r2_score

from cache import FeatureStore
from challenge import find_subjects
from evaluate.maps.paint import Map, vertex_colours
from evaluate.scoring.contributions import Part, contributions
from regress.ablation.left_out_pictures import left_out_r2
from tests.builders.commands import call

SUBSETS = [[0], [1], [0, 1]]
NAMES = ["a", "b"]


def test_u12_r2_without_a_picture_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((30, 6)) + 5
    p = y + rng.standard_normal(y.shape)
    y[:, 5] = 3
    pictures = [f"{row % 20:02d}" for row in range(30)]
    found = left_out_r2(y, p, pictures)
    assert found.shape == (20, 6)
    whole = r2_score(y[:, :5], p[:, :5], multioutput="raw_values")
    for number in range(20):
        others = np.array([picture != f"{number:02d}" for picture in pictures])
        without = r2_score(y[others, :5], p[others, :5], multioutput="raw_values")
        np.testing.assert_allclose(found[number, :5], without - whole, atol=1e-12)
    assert (found[:, 5] == 0).all()


def _part(y: np.ndarray, predictions: list[np.ndarray]) -> Part:
    pictures = [f"{row:03d}" for row in range(len(y))]
    left_out = [left_out_r2(y, p, pictures).sum(axis=1) for p in predictions]
    r2 = [r2_score(y, p, multioutput="raw_values").sum() for p in predictions]
    zeros = np.zeros(3)
    return Part(y.shape[1], zeros, np.array(r2), zeros[:2], np.array(pictures, "S"),
                np.stack(left_out))  # fmt: skip


# How much of each of two signals the spaces know; the signs of unique a, unique b and shared.
TRUTHS = {
    "orthogonal": (np.array([[1, 0], [0, 1]]), (1, 1, 0)),
    "a contains b": (np.array([[1, 1], [0, 1]]), (1, 0, 1)),
    "b knows nothing": (np.array([[1, 1], [0, 0]]), (1, 0, 0)),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_u12_parts_have_the_right_sign_and_intervals_hold_the_truth(name: str) -> None:
    known, signs = TRUTHS[name]
    rng = np.random.default_rng(3)
    load = rng.standard_normal((2, 3, 20))
    # A fit misses what it should know by a little, as it has seen few pictures.
    fits = [load * known[of].max(axis=0)[:, None, None] + 0.08 * rng.standard_normal(load.shape)
            * (known[of].max(axis=0) > 0)[:, None, None] for of in SUBSETS]  # fmt: skip

    def draw(n: int) -> Part:
        signal = rng.standard_normal((n, 2, 3))
        y = np.einsum("nsk,skv->nv", signal, load) + 3 * rng.standard_normal((n, 20))
        return _part(y, [np.einsum("nsk,skv->nv", signal, fit) for fit in fits])

    weights = contributions(NAMES, SUBSETS)
    assert list(weights) == ["unique:a", "unique:b", "shared"]
    large, drawn = draw(30_000), [draw(60) for _ in range(100)]
    for (part, weight), sign in zip(weights.items(), signs, strict=True):
        value = weight @ large.r2 / 20
        assert abs(value) < 0.02 if sign == 0 else value > 0.1, part
        found = np.array([list(one.interval(part, weight).values()) for one in drawn])
        # As that of a score, the interval is of what so many other pictures are expected to give.
        truth = found[:, 0].mean()
        held = ((found[:, 1] <= truth) & (truth <= found[:, 2])).sum()
        # 95 of 100, give or take 3 standard errors of 100 datasets; wider is safe.
        assert held >= 100 * 0.95 - 3 * np.sqrt(100 * 0.95 * 0.05), (part, held)


def test_u12_parts_of_two_subjects_are_paired_by_picture() -> None:
    rng = np.random.default_rng(4)
    y, p = rng.standard_normal((2, 40, 5))
    one = _part(y[:, :2], [p[:, :2]] * 3)
    both = one + _part(y[:, 2:], [p[:, 2:]] * 3)
    whole = _part(y, [p] * 3)
    weights = np.array([0, 0, 1.0])
    for name, value in whole.interval("r2", weights).items():
        np.testing.assert_allclose(both.interval("r2", weights)[name], value, rtol=1e-12)
    assert whole.interval("none", np.array([1.0, 0, -1]))["none_high"] == 0
    few = _part(y[:6], [p[:6]] * 3).interval("r2", weights)
    assert few["r2_low"] is None


@pytest.fixture(scope="module")
def ablated(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Ablate "known", which the responses are made of, and "noise"; return what was said too."""
    out = tmp_path_factory.mktemp("ablated")
    store = FeatureStore(out / "features")
    rng = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split in ("training", "test"):
            signal = np.load(subject.folder / "truth" / f"lh_{split}_signal.npy")[:, ::6]
            short = "train" if split == "training" else "test"
            rows |= dict(zip(subject.picture_digests(short), signal, strict=True))
    width = min(len(row) for row in rows.values())
    spaces = {"known": {name: row[:width] for name, row in rows.items()},
              "noise": {name: rng.standard_normal(width) for name in sorted(rows)}}  # fmt: skip
    for name, of in spaces.items():
        with store.writer(name, {"name": name}, {"origin": "the test"}) as writer:
            writer.add(sorted(of), np.stack([of[key] for key in sorted(of)]).astype(np.float32))
    return simulated, out, _ablate(simulated, out)


def _ablate(data: Path, out: Path, *more: str) -> str:
    done = call("regress.ablate", "--data", data, "--out", out, "--device", "cpu",
                "--spaces", "known", "noise", *more)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = call("evaluate", "ablation", "--data", data, "--out", out)
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_u12_table_and_figure_are_of_the_test_pictures(ablated: tuple[Path, Path, str]) -> None:
    data, out, said = ablated
    assert "on 12 test pictures, subjects: 01, 02" in said
    assert "the responses are SIMULATED, subjects: 01, 02" in said
    frame = pd.read_csv(out / "ablation.csv", dtype={"subject": str})
    assert set(frame["split"]) == {"test"}
    whole = frame[frame["spaces"] == "known+noise"].set_index(
        ["subject", "hemisphere", "roi_class", "roi"]
    )
    whole = whole.sort_index()
    assert whole.index.is_unique
    everything = whole.loc["all", "all", "all", "all"]
    assert everything["n_vertices"] == sum(
        subject.n_vertices(h) for subject in find_subjects(data) for h in ("lh", "rh")
    )
    assert everything["unique:known"] > everything["unique:noise"]
    for name in ("r2", "unique:known", "unique:noise", "shared"):
        assert everything[f"{name}_low"] < everything[name] < everything[f"{name}_high"]
    # A class is the mean over its ROIs' vertices, all subjects that over theirs.
    for roi_class in ("streams", "floc-faces"):
        rois = whole.loc["01", "lh", roi_class]
        parts = rois[rois.index != "all"]
        for name in ("r2", "unique:known", "shared"):
            mean = np.average(parts[name], weights=parts["n_vertices"])
            np.testing.assert_allclose(rois.loc["all", name], mean, rtol=1e-9)
    shown = np.asarray(Image.open(out / "ablation.png").convert("RGB"))
    assert (shown != 255).any(axis=2).mean() > 0.01
    assert (out / "ablation.svg").read_text().count("only known") == 1
    assert json.loads((out / "ablation.json").read_text())["simulated"] == ["01", "02"]


def test_u12_without_test_responses_it_is_of_held_out_pictures(
    ablated: tuple[Path, Path, str], tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(ablated[0] / "subj01", data / "subj01")
    shutil.rmtree(data / "subj01/test_split/test_fmri")
    shutil.copytree(ablated[1] / "features", out / "features")
    said = _ablate(data, out, "--heldout", "0.4")
    assert re.search(r"on \d+ held-out training pictures, subjects: 01", said)
    assert set(pd.read_csv(out / "ablation.csv")["split"]) == {"heldout"}
    refused = call("regress.ablate", "--data", data, "--out", out, "--spaces", "known", "noise",
                   "--device", "cpu", "--split", "test")  # fmt: skip
    assert "--split test: no test responses of subjects 01" in refused.stderr
    # Responses that changed since are not tabulated.
    (file,) = data.glob("subj01/training_split/training_fmri/lh*.npy")
    np.save(file, np.load(file)[:, ::-1] * 2)
    stale = call("evaluate", "ablation", "--data", data, "--out", out)
    assert stale.returncode != 0
    assert "responses have changed since: run `" in stale.stderr


def test_u12_below_0_looks_different_from_0() -> None:
    values = {h: np.array([-0.1, -0.02, 0, 0.02, 0.1, np.nan]) for h in ("lh", "rh")}
    shown = Map("unique-a", "", "", values, 0.1, "RdBu_r", low=-0.1)
    rgb = vertex_colours(shown, "lh")
    np.testing.assert_allclose(rgb[2, :3], 0.97, atol=0.02)
    assert rgb[0, 2] > 2 * rgb[0, 0]
    assert rgb[4, 0] > 2 * rgb[4, 2]
    assert rgb[1, 2] - rgb[1, 0] > 0.02 < rgb[3, 0] - rgb[3, 2]
    assert rgb[:, 3].tolist() == [1, 1, 1, 1, 1, 0]
