"""Ablations: every subset the same as its own fit from scratch; contributions that add up."""

import io
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from himalaya.scoring import r2_score

from cache import FeatureStore
from challenge import find_subjects
from regress import RegressError, RidgeCV
from regress.ablation.moment_files import Batch
from regress.ablation.subsets import Ablation, Scores, Subset, list_subsets
from regress.data.design import Design, find_spaces, load_design
from regress.linear_model import ALPHAS
from tests.builders.commands import call

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
    keys = {name: name for name in NAMES}
    return Design(NAMES, keys, (), NAMES, NAMES, bands, X, X[:3], pictures, pictures[:3]), Y


def _fit(ablation: Ablation, Y: np.ndarray, wanted: list[Subset]) -> dict[Subset, Scores]:
    batch = Batch("lh", "0" * 64, slice(0, Y.shape[1]), lambda: Y[~ablation.held])
    measured = Y[ablation.held]
    return {some: ablation.fit(ablation.form(some), some, batch, measured) for some in wanted}


@pytest.mark.parametrize("form", ["primal", "dual"])
def test_each_subset_is_its_own_fit(form: str, tmp_path: Path) -> None:
    design, Y = _design()
    wanted = list_subsets(NAMES, [])
    assert len(wanted) == 7
    ablation = Ablation(design, tmp_path, 0.2, 5, 0, form)
    held = ablation.held
    inside = design.train[~held].astype(float)
    splits = [(ablation.splits.train[f], ablation.splits.held[f]) for f in range(5)]
    for numbers, found in _fit(ablation, Y, wanted).items():
        columns = np.isin(design.bands, numbers)
        mean, scale = inside[:, columns].mean(0), inside[:, columns].std(0)
        model = RidgeCV(np.array(ALPHAS), True, cv=splits, solver_params={"score_func": r2_score})
        model.fit((inside[:, columns] - mean) / scale, Y[~held].astype(float))
        predicted = model.predict((design.train[held][:, columns] - mean) / scale)
        np.testing.assert_allclose(found.r2, r2_score(Y[held].astype(float), predicted), atol=1e-4)
        np.testing.assert_allclose(found.product.sum(0), found.pearson_r, atol=1e-5)
        r = [np.corrcoef(Y[held][:, v], predicted[:, v])[0, 1] for v in range(6)]
        np.testing.assert_allclose(found.pearson_r[:6], r, atol=1e-3)


def test_unique_contributions_find_the_truth(tmp_path: Path) -> None:
    design, Y = _design(n=600)
    wanted = list_subsets(NAMES, [])
    scores = _fit(Ablation(design, tmp_path, 0.3, 5, 0), Y, wanted)
    full = scores[0, 1, 2].r2
    unique = np.array([full - scores[c].r2 for c in ((1, 2), (0, 2), (0, 1))])
    assert (unique[0, [0, 1, 4, 5]] > 0.2).all()
    assert (unique[1, [2, 3, 4, 5]] > 0.2).all()
    assert (np.abs(unique[0, 2:4]) < 0.05).all()
    assert (np.abs(unique[1, 0:2]) < 0.05).all()
    assert (np.abs(unique[2]) < 0.05).all()


def test_subsets_by_name() -> None:
    every = [c for size in (1, 2, 3) for c in combinations(range(3), size)]
    assert list_subsets(NAMES, []) == every
    assert list_subsets(NAMES, ["b", "c+a"]) == [(1,), (0, 2), (0, 1, 2)]
    with pytest.raises(RegressError, match=r"--only a\+x: expected names joined by \+, from a, b"):
        list_subsets(NAMES, ["a+x"])
    many = [f"s{number}" for number in range(30)]
    with pytest.raises(RegressError, match=r"--spaces: 30 spaces have 1073741823 subsets"):
        list_subsets(many, [])
    assert list_subsets(many, ["s3", "s1+s2"]) == [(3,), (1, 2), tuple(range(30))]
    assert list_subsets(["n@x+y", "n@x"], ["n@x+y", "n@x"]) == [(0,), (1,), (0, 1)]


def _random_space(store: FeatureStore, data: Path, name: str, width: int, **meta: object) -> None:
    both = [s.picture_digests(split) for s in find_subjects(data) for split in ("train", "test")]
    pictures = sorted(set().union(*both))
    rows = np.random.default_rng(width).standard_normal((len(pictures), width))
    with store.writer(name, {"name": name}, {"origin": "the test", **meta}) as writer:
        writer.add(pictures, rows.astype(np.float32))


def _command(data: Path, out: Path, *more: str) -> str:
    """Do what `make ablate` does."""
    done = call("regress.ablate", "--data", data, "--out", out, "--device", "cpu", *more)
    assert done.returncode == 0, done.stderr
    tabulated = call("evaluate", "ablation", "--data", data, "--out", out)
    assert tabulated.returncode == 0, tabulated.stderr
    return done.stdout + tabulated.stdout


def test_the_command(simulated: Path, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features")
    # A space of two layers counts once.
    layers = [{"name": "a", "columns": 4}, {"name": "b", "columns": 5}]
    _random_space(store, simulated, "one", 6)
    _random_space(store, simulated, "two", 9, bands=layers)
    subject = find_subjects(simulated)[0]
    assert load_design(subject, store, find_spaces(store, ["one", "two"])).train.shape[1] == 15
    two = ("--spaces", "one", "two")
    assert "the responses are SIMULATED" in _command(simulated, tmp_path, *two)
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
    assert _command(simulated, tmp_path, *two).count(", 0 to fit") == 2
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "ablation.csv"), table)
    _random_space(store, simulated, "three", 4)
    three = (*two, "three")
    assert _command(simulated, tmp_path, *three).count("6 fits there already, 8 to fit") == 2
    hurt = sorted(tmp_path.glob("ablations/subj01/*.h5"))[0]
    hurt.write_bytes(hurt.read_bytes()[:400])
    last = _command(simulated, tmp_path, *three)
    assert last.count(", 1 to fit") == last.count(", 0 to fit") == 1


def test_moments_are_kept_and_only_what_changed_is_formed(simulated: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(simulated / "subj01", data / "subj01")
    store, moments = FeatureStore(out / "features"), out / "moments/subj01"
    for name, width in (("one", 6), ("two", 9), ("three", 4)):
        _random_space(store, data, name, width)

    def run(*spaces: str) -> dict[Path, int]:
        _command(data, out, "--spaces", *spaces)
        return {path: path.stat().st_mtime_ns for path in moments.iterdir()}

    two = run("one", "two")
    assert sorted(path.name[:2] for path in two) == ["lh", "lh", "rh", "rh", "xx", "xx", "xx"]
    # A space more: its own sums and its pairs with the others; the old files are not touched.
    three = run("one", "two", "three")
    new = [path.name[:2] for path in set(three) - set(two)]
    assert sorted(new) == ["lh", "rh", "xx", "xx", "xx"]
    assert {path: three[path] for path in two} == two
    # A damaged file is formed again, and gives the same table.
    table = (out / "ablation.csv").read_bytes()
    shutil.rmtree(out / "ablations")
    hurt = next(path for path in three if path.name.startswith("lh"))
    hurt.write_bytes(hurt.read_bytes()[:400])
    assert run("one", "two", "three").keys() == three.keys()
    assert (out / "ablation.csv").read_bytes() == table
    # Changed responses of one hemisphere: its sums are formed anew, the old ones removed.
    (file,) = data.glob("subj01/training_split/training_fmri/lh*.npy")
    responses = np.load(file)
    np.save(file, responses[:, ::-1] * 2)
    changed = run("one", "two", "three")
    same = {path for path in three if not path.name.startswith("lh")}
    assert set(changed) & set(three) == same
    assert len(changed) == len(three)
    before = pd.read_csv(io.BytesIO(table)).set_index(["hemisphere", "roi", "spaces"])["r2"]
    after = pd.read_csv(out / "ablation.csv").set_index(["hemisphere", "roi", "spaces"])["r2"]
    pd.testing.assert_series_equal(before["rh"], after["rh"])
    assert not np.allclose(before["lh"], after["lh"])
