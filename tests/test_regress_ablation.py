"""Ablations: every subset the same as its own fit from scratch; contributions that add up."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from himalaya.scoring import r2_score

from cache import FeatureStore
from challenge import find_subjects
from regress import RegressError, RidgeCV
from regress.ablation import Ablation, subsets
from regress.design import Design, find_spaces, load_design
from regress.linear import ALPHAS

NAMES = ("a", "b", "c")


def _design(n: int = 200, widths: tuple[int, ...] = (8, 12, 5)) -> tuple[Design, np.ndarray]:
    """Vertices that depend on a alone, on b alone, on both, and on none; c is noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, sum(widths))).astype(np.float32)
    bands = np.repeat(np.arange(3), widths)
    B = rng.standard_normal((sum(widths), 8)) * (bands[:, None] != 2)
    B[bands == 1, 0:2] = 0
    B[bands == 0, 2:4] = 0
    B[:, 6:] = 0
    Y = (X @ B + 2 * rng.standard_normal((n, 8))).astype(np.float32)
    pictures = tuple(f"{number:064x}" for number in range(n))
    keys = dict.fromkeys(NAMES, "0")
    return Design(NAMES, keys, (), bands, X, X[:3], pictures, pictures[:3]), Y


@pytest.mark.parametrize("form", ["primal", "dual"])
def test_each_subset_is_its_own_fit(form: str) -> None:
    design, Y = _design()
    wanted = subsets(NAMES, [])
    assert len(wanted) == 7
    ablation = Ablation(design, 0.2, 5, 0, form)
    held = ablation.held
    inside = design.train[~held].astype(float)
    splits = [(ablation.form.splits.train[f], ablation.form.splits.held[f]) for f in range(5)]
    for numbers, found in zip(wanted, ablation.fit(Y, wanted), strict=True):
        columns = np.isin(design.bands, numbers)
        mean, scale = inside[:, columns].mean(0), inside[:, columns].std(0)
        model = RidgeCV(np.array(ALPHAS), True, cv=splits, solver_params={"score_func": r2_score})
        model.fit((inside[:, columns] - mean) / scale, Y[~held].astype(float))
        predicted = model.predict((design.train[held][:, columns] - mean) / scale)
        np.testing.assert_allclose(found.r2, r2_score(Y[held].astype(float), predicted), atol=1e-4)
        np.testing.assert_allclose(found.product.sum(0), found.pearson_r, atol=1e-5)
        r = [np.corrcoef(Y[held][:, v], predicted[:, v])[0, 1] for v in range(6)]
        np.testing.assert_allclose(found.pearson_r[:6], r, atol=1e-3)


def test_unique_contributions_find_the_truth() -> None:
    design, Y = _design(n=600)
    wanted = subsets(NAMES, [])
    scores = dict(zip(wanted, Ablation(design, 0.3, 5, 0).fit(Y, wanted), strict=True))
    full = scores[0, 1, 2].r2
    unique = np.array([full - scores[c].r2 for c in ((1, 2), (0, 2), (0, 1))])
    assert (unique[0, [0, 1, 4, 5]] > 0.2).all()
    assert (unique[1, [2, 3, 4, 5]] > 0.2).all()
    assert (np.abs(unique[0, 2:4]) < 0.05).all()
    assert (np.abs(unique[1, 0:2]) < 0.05).all()
    assert (np.abs(unique[2]) < 0.05).all()


def test_subsets_by_name() -> None:
    every = [c for size in (1, 2, 3) for c in combinations(range(3), size)]
    assert subsets(NAMES, []) == every
    assert subsets(NAMES, ["b", "c+a"]) == [(1,), (0, 2), (0, 1, 2)]
    with pytest.raises(RegressError, match=r"--only a\+x: no space x among a, b, c"):
        subsets(NAMES, ["a+x"])


def test_the_command(simulated: Path, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features")
    subjects = find_subjects(simulated)
    both = [s.picture_digests(split) for s in subjects for split in ("train", "test")]
    pictures = sorted(set().union(*both))
    rng = np.random.default_rng(0)
    for name, width in (("one", 6), ("two", 9)):
        with store.writer(name, {"name": name}, {"origin": "the test"}) as writer:
            writer.add(pictures, rng.standard_normal((len(pictures), width)).astype(np.float32))
    assert load_design(subjects[0], store, find_spaces(store, ["one", "two"])).train.shape[1] == 15
    command = [sys.executable, "-m", "regress.ablate", "--data", str(simulated), "--out"]
    command += [str(tmp_path), "--spaces", "one", "two", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the responses are SIMULATED" in done.stdout
    table = pd.read_csv(tmp_path / "ablation.csv")
    assert set(table["spaces"]) == {"one", "two", "one+two"}
    whole = table[table["spaces"] == "one+two"]
    parts = whole[["unique:one", "unique:two", "shared"]].sum(axis=1)
    np.testing.assert_allclose(parts, whole["r2"], atol=1e-6)
    np.testing.assert_allclose(
        whole["product:one"] + whole["product:two"], whole["pearson_r"], atol=1e-4
    )
    assert table[table["spaces"] == "one"]["shared"].isna().all()
    # Again: nothing is fitted. A space more: only the subsets with it. A damaged file: only it.
    assert subprocess.run(command, capture_output=True, text=True).stdout.count(", 0 to fit") == 4
    again = pd.read_csv(tmp_path / "ablation.csv")
    pd.testing.assert_frame_equal(again, table)
    with store.writer("three", {"name": "three"}, {"origin": "the test"}) as writer:
        writer.add(pictures, rng.standard_normal((len(pictures), 4)).astype(np.float32))
    command.insert(command.index("two") + 1, "three")
    more = subprocess.run(command, capture_output=True, text=True).stdout
    assert more.count("3 subsets there already, 4 to fit") == 4
    hurt = sorted(tmp_path.glob("ablations/subj01/*.h5"))[0]
    hurt.write_bytes(hurt.read_bytes()[:400])
    last = subprocess.run(command, capture_output=True, text=True).stdout
    assert last.count(", 1 to fit") == 1
    assert last.count(", 0 to fit") == 3
