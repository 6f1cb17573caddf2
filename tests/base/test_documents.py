"""Small files that are damaged or hostile: told in one error that names them, or made anew."""

import json
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from base import RoiridgeError, claiming, sha256_files
from base.claims import has_ended, identity, is_claimed
from cache import read_meta
from cache.commands.arguments import read_key
from cache.exchange.pack import unpack
from cache.feature_store import FeatureStore
from cache.hdf5 import creating, put, put_schema
from challenge import DataError
from challenge.simulator import simulate
from evaluate.fits.sidecar import read_if_current, write_json
from execute import ExecuteError, Run
from execute.forecast.rates import PACKAGES, Rates
from execute.slurm.cluster import read_cluster
from execute.status import read_progress
from regress.diffusion.pretrained_unet import unet_config
from regress.studies.rows import read_study

HOSTILE = {
    "no UTF-8": b'{"token": "\xff\xfe"}',
    "nested": b'{"a": ' * 1000 + b"1" + b"}" * 1000,
    "very nested": b"[" * 100_000 + b"]" * 100_000,
    "a list": b"[1, 2]",
    "a number": b"3",
    "empty": b"",
    "cut short": b'{"token": "a',
    "NaN": b'{"seconds": NaN, "state": "done", "key": NaN}',
    "ten megabytes": b'{"a": "' + b"a" * 10_000_000 + b'"}',
    "without fields": b'{"z": 1}',
    "of other kinds": b'{"host": 1, "boot": [], "process": {}, "state": {}, "groups": 3, "jobs": 1,'
    b' "rates": [], "versions": 1, "key": [], "rows": {}, "kind": 1}',
    "NUL": b"\0" * 50,
}


def claim(folder: Path, content: bytes) -> None:
    """Hold a damaged one until its lease is over."""
    path = folder / "claim"
    path.write_bytes(content)
    assert is_claimed(path)
    with claiming(path, wait=False) as held:
        assert not held
    with claiming(path, lease=0.3) as held:
        assert held


def run_record(folder: Path, content: bytes, name: str = "run.json") -> None:
    """Pass a run's files over, and write them anew."""
    run = Run(folder / "runs" / "fit-1", "fit", "ridge", ["make"])
    assert run.begin([["a"]])
    (run.folder / name).write_bytes(content)
    counts = [progress.counts for progress in read_progress(folder)]
    assert counts in ([], [{"not begun": 1}])
    assert run.begin([["a"]])
    assert len(read_progress(folder)) == 1


def unit_record(folder: Path, content: bytes) -> None:
    """Do so with those of its units."""
    run_record(folder, content, "0.0.json")


def jobs_record(folder: Path, content: bytes) -> None:
    """Do so with those of its jobs."""
    run_record(folder, content, "jobs.json")


def rates(folder: Path, content: bytes) -> None:
    """Measure rates again."""
    path = Rates(folder).path
    path.write_bytes(content)
    assert Rates(folder).get_or_measure("it", lambda: {"seconds": 2.0}) == {"seconds": 2.0}


def sidecar(folder: Path, content: bytes) -> None:
    """Make again what was kept."""
    (folder / "scores.csv").write_text("a")
    (folder / "scores.json").write_bytes(content)
    assert read_if_current(folder / "scores.csv", folder / "scores.json", "key") is None


def cluster(folder: Path, content: bytes) -> None:
    """Refuse a cluster's file; one that asks for nothing is none to refuse."""
    (folder / "file").write_bytes(content)
    if not content:
        assert read_cluster(folder / "file", "fit") == read_cluster(None, "fit")
        return
    with pytest.raises(ExecuteError, match=r"--cluster .*file"):
        read_cluster(folder / "file", "fit")


def study(folder: Path, content: bytes) -> None:
    """Refuse a study."""
    (folder / "file.yaml").write_bytes(content)
    with pytest.raises(RoiridgeError, match=r"file\.yaml"):
        read_study(str(folder / "file.yaml"))


def unet(folder: Path, content: bytes) -> None:
    """Refuse a UNet's description."""
    (folder / "config.json").write_bytes(content)
    (folder / "diffusion_pytorch_model.safetensors").touch()
    with pytest.raises(RoiridgeError, match=r"config\.json"):
        unet_config(folder)


def packed(folder: Path, content: bytes) -> None:
    """Refuse a pack's manifest."""
    with zipfile.ZipFile(folder / "file.zip", "w") as archive:
        archive.writestr("manifest.json", content)
    with pytest.raises(RoiridgeError, match=r"file\.zip"):
        unpack(folder / "file.zip", FeatureStore(folder / "features"))


def key(folder: Path, content: bytes) -> None:
    """Refuse what holds no key."""
    (folder / "file.json").write_bytes(content)
    if content in (HOSTILE["without fields"], HOSTILE["ten megabytes"], HOSTILE["nested"]):
        return  # Any mapping is a key.
    with pytest.raises(RoiridgeError, match=r"file\.json"):
        read_key(folder / "file.json")


def simulation(folder: Path, content: bytes) -> None:
    """Keep a folder of something else."""
    (folder / "simulation.json").write_bytes(content)
    with pytest.raises(DataError, match="not overwritten"):
        simulate(folder, photos="builtin")


def meta(folder: Path, content: bytes) -> None:
    """Take a kept array of which nothing can be known for damaged."""
    with creating(folder / "file.h5") as opened:
        put_schema(opened, "artifact")
        put(opened, "meta", np.frombuffer(content, np.uint8))
    mappings = ("nested", "ten megabytes", "without fields", "of other kinds")
    if content in [HOSTILE[name] for name in mappings]:
        return  # Any mapping may be what was written.
    with pytest.raises(RoiridgeError, match=r"file\.h5: damaged"):
        read_meta(folder / "file.h5")


READERS: list[Callable[[Path, bytes], None]] = [
    claim, run_record, unit_record, jobs_record, rates, sidecar, cluster, study, unet, packed, key,
    simulation, meta,
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_a1_hostile_files_are_named_or_made_anew(
    tmp_path: Path, reader: Callable[[Path, bytes], None], content: bytes
) -> None:
    reader(tmp_path, content)


@pytest.mark.parametrize("name", list(identity()))
def test_a1_a_record_without_a_field_tells_no_end(name: str) -> None:
    about = identity() | {"process": 0, "started": "x"}
    assert has_ended(about)
    del about[name]
    assert not has_ended(about)


def test_a1_a_json_that_was_altered_is_not_kept(tmp_path: Path) -> None:
    table, about = tmp_path / "scores.csv", tmp_path / "scores.json"
    table.write_text("a")

    write_json(about, {"key": "k", "sha256": sha256_files([table])[0], "counts": [1.5, None]})
    kept = read_if_current(table, about, "k")
    assert kept is not None
    assert kept["counts"] == [1.5, None]
    del kept["counts"]
    about.write_text(json.dumps(kept))
    assert read_if_current(table, about, "k") is None


def test_a1_the_newest_rates_of_others_are_told_by_what_they_say(tmp_path: Path) -> None:
    versions = {name: version(name) for name in PACKAGES}
    for host, date in (("later", "2026-02-01T00:00+00:00"), ("earlier", "2026-01-01T00:00+00:00")):
        about = {"date": date, "versions": versions, "rates": {"basic work": {"file": 1.0}}}
        (tmp_path / f"{host}-8.json").write_text(json.dumps(about))
        time.sleep(0.01)
    assert Rates(tmp_path).elsewhere == "later-8"
