"""Any set of subjects: how it is written, and what each stage makes of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from base import RoiridgeError
from cache import FeatureStore
from challenge import SubjectChoice, chooses_all, find_subjects
from challenge.simulator import simulate
from tests.builders.commands import call
from tests.builders.small import SMALL


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects, of whom two may be chosen."""
    folder = tmp_path_factory.mktemp("three") / "data"
    simulate(folder, **{**SMALL, "subjects": 3, "train_images": 40, "test_images": 8})
    return folder


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("all", ["01", "02", "03"]),
        (["all"], ["01", "02", "03"]),
        (2, ["02"]),
        ("01 03", ["01", "03"]),
        ("3, subj01", ["01", "03"]),
        ("01+02 01", ["01", "02"]),
        (["03", 1], ["01", "03"]),
    ],
)
def test_u8_a_set_of_subjects_is_read_in_every_spelling(
    three: Path, subject: SubjectChoice, names: list[str]
) -> None:
    assert [one.name for one in find_subjects(three, subject)] == names
    assert chooses_all(subject) == (len(names) == 3)


@pytest.mark.parametrize(
    ("subject", "unknown"),
    [("01 04 nose", "'04', 'nose'"), ("", "''"), ([], r"\[\]"), ("-1", "'-1'")],
)
def test_u8_unknown_subjects_are_all_named(
    three: Path, subject: SubjectChoice, unknown: str
) -> None:
    with pytest.raises(RoiridgeError, match=rf"no subject {unknown}; it holds 01, 02, 03: choose"):
        find_subjects(three, subject)


def test_u8_two_of_three_subjects_go_through_every_stage(three: Path, tmp_path: Path) -> None:
    store, rng = FeatureStore(tmp_path / "features"), np.random.default_rng(0)
    digests = sorted({d for s in find_subjects(three) for split in ("train", "test")
                      for d in s.picture_digests(split)})  # fmt: skip
    with store.writer("known", {"of": "tests"}, {}) as writer:
        writer.add(digests, rng.standard_normal((len(digests), 6), dtype=np.float32))
    folders = ["--data", three, "--out", tmp_path, "--subject", "01 03"]

    def run(module: str, *words: str) -> str:
        done = call(module, *words, *folders)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("regress", "--model", "ridge", "--spaces", "known", "--heldout", "0.5")
    (fit,) = (tmp_path / "fits").glob("ridge-*")
    assert sorted(p.name for p in fit.glob("subj*")) == ["subj01", "subj03"]
    run("evaluate", "scores", "--resamples", "0", "--permutations", "0")
    assert set(pd.read_csv(tmp_path / "scores-01+03.csv", dtype=str)["subject"]) == {
        "01", "03", "all",
    }  # fmt: skip
    assert not (tmp_path / "scores.csv").exists()
    said = run("evaluate", "submission")
    assert "holds subjects 01, 03 alone" in said
    zipped = tmp_path / "submission-01+03.zip"
    done = call("evaluate", "score", zipped, "--data", three, "--subject", "01,03")
    assert done.returncode == 0, done.stderr
    assert "subj01" in done.stdout
    assert "subj02" not in done.stdout
    lone = call("regress", "--model", "ridge", "--subjects", "01", "03", "--spaces", "known",
                "--data", three, "--out", tmp_path)  # fmt: skip
    assert "--subject '01 02'" in lone.stderr
