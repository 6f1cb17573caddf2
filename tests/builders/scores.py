"""What `test_evaluate_scores` shares with other tests."""

import subprocess
from pathlib import Path

import pandas as pd

from tests.builders.commands import call


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return call("evaluate", *arguments)


def read(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "scores.csv", dtype={"subject": str})


def pick(frame: pd.DataFrame, **values: str) -> pd.Series:
    for name, value in values.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]
