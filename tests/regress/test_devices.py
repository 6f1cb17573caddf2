"""Several devices: who computes, the same files as of one, and processes that fail or are ended."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from himalaya.backend import set_backend
from threadpoolctl import threadpool_limits

from base import RoiridgeError
from base.command_line.parser import Command, run
from cache import FeatureStore, read_artifact
from challenge import find_subjects
from evaluate.commands.ablation import ablation
from execute.local import share_here
from execute.worker_pool import _environment, _gpu_variables
from regress.backend import choose_devices, use_device
from regress.commands.ablate import ablate
from regress.commands.fit import fit
from regress.commands.fit import fit as regress
from regress.commands.study import study
from tests.builders.device_work import dying, failing, who
from tests.builders.paths import ROOT


@pytest.fixture(scope="module")
def features(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give features that know the truth, and others of noise."""
    out = tmp_path_factory.mktemp("devices")
    rng = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :12]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row)
    known = np.array(list(rows.values()), np.float32)
    noise = rng.standard_normal(known.shape).astype(np.float32)
    for name, values in (("known", known), ("noise", noise)):
        with FeatureStore(out / "features").writer(name, {"made": name}, {"origin": "x"}) as store:
            store.add(list(rows), values)
    return out


@pytest.fixture
def outs(features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder in which two commands have one each, with the same features."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "features").symlink_to(features / "features")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield tmp_path
    torch.set_num_threads(before)
    set_backend("numpy")


def _fit(data: Path, out: Path, device: str, **more: Any) -> None:
    fit(data, out, device=device, spaces=["known", "noise"], **more)


def _agree(one: Path, two: Path) -> None:
    """Hold all fits of two folders to be the same bits."""
    fits = {path.relative_to(one): path for path in (one / "fits").rglob("[!.]*.h5")}
    assert fits
    assert set(fits) == {path.relative_to(two) for path in (two / "fits").rglob("[!.]*.h5")}
    for name, path in fits.items():
        (expected, about), (found, meta) = read_artifact(path), read_artifact(two / name)
        assert expected.keys() == found.keys()
        for field, values in expected.items():
            np.testing.assert_array_equal(found[field], values, err_msg=f"{name} {field}")
        for each in (about, meta):
            # Whoever works on this checkout meanwhile changes its revision.
            del each["provenance"]["created"], each["provenance"]["revision"]
            del each["training"]["seconds_per_epoch"]
        said = about["provenance"].pop("command"), meta["provenance"].pop("command")
        # Not the command by which processes are started.
        assert said[1] == said[0].replace(str(one), str(two)).replace(" cpu ", " cpu,cpu ")
        assert meta == about
    assert not list((two / "searches").rglob("*.h5"))


JOINT = {"model": "mlp", "subjects": ["01", "02"], "group_by": "class"}
QUICK = {"epochs": 4, "width": 4, "dropout": 0.3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "more", "n_units"),
    [
        ("cpu", {"model": "ridge", "params": {"scope": "roi"}}, 4),
        ("torch", {"model": "banded_ridge", "params": {"n_iter": 5}, "subject": "01"}, 2),
        ("cpu", {**JOINT, "params": QUICK}, 2),
    ],
)
def test_r6_with_as_many_threads_the_files_are_those_of_one_device(
    simulated: Path,
    outs: Path,
    device: str,
    more: dict[str, Any],
    n_units: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _fit(simulated, outs / "one", device, **more)
    alone = capfd.readouterr().out
    _fit(simulated, outs / "two", f"{device},{device}", **more)
    said = capfd.readouterr().out
    # Each process has fitted, and all that there is was fitted once.
    line = r"^\[(\w+ \(\d\)), (\d) of (\d)\] (\S+ \w+: 0 models there already, [1-9]\d* to fit)$"
    fitted = re.findall(line, said, re.MULTILINE)
    assert {process for process, *_ in fitted} == {f"{device} (1)", f"{device} (2)"}
    assert sorted(int(number) for _, number, *_ in fitted) == [*range(1, n_units + 1)]
    assert {int(of) for *_, of, _ in fitted} == {n_units}
    units = re.findall(r"^\S+ \w+: 0 models there already, .*", alone, re.MULTILINE)
    assert sorted(unit for *_, unit in fitted) == sorted(units)
    assert f", on {device}, {device}\n" in said
    for whom, count in re.findall(r"^(\S+): (\d+) models fitted", alone, re.MULTILINE):
        assert f"\n{whom}: {count} models fitted -> {outs / 'two'}" in said
    _agree(outs / "one", outs / "two")


def test_r6_with_more_threads_predictions_agree_but_for_rounding(
    simulated: Path, outs: Path
) -> None:
    for n_threads, name in enumerate(("one", "two"), start=1):
        with threadpool_limits(n_threads):
            _fit(simulated, outs / name, "cpu", model="ridge", subject="01")
    fits = [sorted((outs / name / "fits").rglob("[!.]*.h5")) for name in ("one", "two")]
    assert fits[0]
    for one, two in zip(*fits, strict=True):
        expected, found = (read_artifact(path)[0]["test_predictions"] for path in (one, two))
        # Sums of float32 in another order, through a decomposition: found 5e-6.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_an_ablation_is_that_of_one_device(
    simulated: Path, outs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, device in (("one", "cpu"), ("two", "cpu,cpu,cpu")):
        ablate(simulated, outs / name, device=device, spaces=["known", "noise"])
        ablation(simulated, outs / name)
    one, two = ((outs / name / "ablation.csv").read_text() for name in ("one", "two"))
    assert one == two
    said = capfd.readouterr().out
    assert "\ncpu (3) stays idle: there is no more work than subj01, subj02\n" in said
    processes = re.findall(r"^\[cpu \((\d)\), \d of 2\] subj0\1: 3 subsets", said, re.MULTILINE)
    assert sorted(processes) == ["1", "2"]


def _command(data: Path, out: Path, device: str, *more: str) -> list[str]:
    own = ["--data", str(data), "--out", str(out), "--device", device]
    return [sys.executable, "-m", "regress", *own, *more]


@pytest.mark.slow
def test_interrupted_and_killed_it_is_the_same_in_the_end(simulated: Path, outs: Path) -> None:
    """Ctrl-C, then a kill of one process, then of the command itself; each at work on something."""
    more = ["--model", "banded_ridge", "--spaces", "known", "noise"]
    more += ["--params.n_iter", "300", "--params.patience", "300"]
    alone = subprocess.Popen(
        _command(simulated, outs / "one", "cpu", *more), cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for whom, number in (("all", signal.SIGINT), ("one", signal.SIGKILL), ("us", signal.SIGKILL)):
        process, children = _at_work(simulated, outs / "two", *more)
        if whom == "all":
            # As a terminal does it.
            os.killpg(process.pid, number)
        else:
            os.kill(children[1] if whom == "one" else process.pid, number)
        _, errors = process.communicate(timeout=300)
        assert "Traceback" not in errors
        assert whom == "us" or "leaked" not in errors
        _wait_for_end(children)
        if whom == "all":
            assert process.returncode == 130
            assert errors.count("interrupted: what was finished is kept") == 1
        elif whom == "one":
            assert process.returncode == 2
            assert errors.count("error: ") == 1
            named = r"^error: --device cpu,cpu: the process on cpu \(\d\) was ended by SIGKILL, as "
            named += r"the system does when memory runs out, at subj0\d [lr]h; .*: run it again"
            assert re.search(named, errors, re.MULTILINE)
    done = subprocess.run(
        _command(simulated, outs / "two", "cpu,cpu", *more), cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert alone.wait() == 0
    _agree(outs / "one", outs / "two")


def _at_work(*more: Any) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a command on two devices, and wait until both are at work."""
    data, out, *rest = more
    process = subprocess.Popen(
        _command(data, out, "cpu,cpu", *rest), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    begun: set[str] = set()
    for line in process.stdout:
        begun |= set(re.findall(r"^\[cpu \((\d)\), .* to fit", line))
        if len(begun) == 2:
            break
    assert len(begun) == 2, process.communicate()
    return process, [pid for pid in _children(process.pid) if b"spawn_main" in _words(pid)]


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _words(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _wait_for_end(pids: list[int]) -> None:
    assert len(pids) == 2
    end = time.monotonic() + 20
    for pid in pids:
        while Path(f"/proc/{pid}").exists() and b"spawn_main" in _words(pid):
            assert time.monotonic() < end, f"process {pid} goes on"
            time.sleep(0.05)


def test_what_fails_in_a_process_is_said_once(
    broken: Callable[[], Path], outs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    file = data / "subj02" / "training_split" / "training_fmri" / "rh_training_fmri.npy"
    responses = np.load(file)
    responses[3, 4] = np.nan
    np.save(file, responses)
    said = []
    for device, name in (("cpu", "one"), ("cpu,cpu", "two")):
        given = _command(data, outs / name, device, "--model", "ridge", "--spaces", "known")
        assert run(regress, "regress", [], given[3:]) == 2
        said.append(re.findall("^.*(?:error|Error).*", capfd.readouterr().err, re.MULTILINE))
    assert said[0] == said[1]
    assert len(said[0]) == 1
    assert said[0][0].startswith(f"error: {file}: ")


def test_two_processes_share_the_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MET", str(tmp_path))
    told: dict[int, list[Any]] = {}
    share_here(
        ["cpu", "cpu"], use_device, [["a", "b", "c"], ["d"], ["e", "f"]], who, told.__setitem__
    )
    everything = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]
    results = [result for group in told.values() for result in group]
    assert sorted(unit for _, _, units in results for unit in units) == everything
    assert len({pid for pid, _, _ in results} - {os.getpid()}) == 2
    assert all(
        {unit[0] for unit in units} == {group} for group in told for *_, units in told[group]
    )
    # One device is this process, and there is nobody to wait for.
    told.clear()
    share_here(["cpu"], use_device, [["a", "b"]], who, told.__setitem__)
    assert told == {0: [(os.getpid(), None, [(0, 0), (0, 1)])]}


@pytest.mark.slow
def test_ends_that_are_not_to_be(capfd: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    message = r"^--device cpu,cpu: the process on cpu \(2\) was ended by SIGKILL, .* at right; what"
    with pytest.raises(RoiridgeError, match=message):
        share_here(["cpu", "cpu"], use_device, [["left", "right"]], dying, dict.__setitem__)
    # The other was not waited for.
    assert time.monotonic() - start < 50
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*ZeroDivisionError: group 0 has units"):
        share_here(["cpu", "cpu"], use_device, [["only"]], failing, dict.__setitem__)
    said = capfd.readouterr()
    assert said.out == "cpu (2) stays idle: there is no more work than only\n"
    assert said.err == ""


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("cuda:99", "found no cuda:99; expected an available GPU"),
        ("cuda:0,cuda:99", "found no cuda"),
        ("cpu,cuda", "of several kinds; expected one, such as cuda:0,cuda:1"),
        ("cpu,torch", "of several kinds"),
        ("cuda,cuda:0", "cuda names no particular GPU; expected numbers"),
        ("cuda,cuda", "cuda names no particular GPU"),
        ("cpu,", "found ''; expected auto, cpu, torch, cuda or cuda:N; or several"),
        ("", "found ''"),
        ("cpu,auto", "found 'auto'"),
        ("cpu, cpu", "found ' cpu'"),
        ("cpu:0", "found 'cpu:0'"),
        ("gpu", "found 'gpu'"),
    ],
)
def test_devices_that_cannot_be(names: str, message: str) -> None:
    with pytest.raises(
        RoiridgeError, match=rf"^--device {names}: {message}.*; torch sees .* here$"
    ):
        choose_devices(names)


@pytest.mark.parametrize(("command", "given"), [(regress, []), (ablate, []), (study, ["x"])])
def test_every_command_refuses_them_first(
    command: Command, given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [*given, "--data", "nowhere", "--device", "cpu,cuda"]
    assert run(command, "regress", [], wrong) == 2
    assert "error: --device cpu,cuda: of several kinds" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "seen"), [(None, "1"), ("4,7", "7")])
def test_a_process_sees_its_own_gpu_alone(
    given: str | None, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    show = [sys.executable, "-c", "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))"]
    with _environment(_gpu_variables("cuda:1")):
        assert subprocess.check_output(show, text=True).strip() == seen
    with _environment(_gpu_variables("cpu")):
        assert subprocess.check_output(show, text=True).strip() == str(given)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == given
