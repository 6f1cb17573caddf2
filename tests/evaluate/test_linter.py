"""`evaluate check` on strangers' zips: everything at once, what is hostile, and wrong orders."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from challenge import find_subjects
from challenge.ceilings.published import PUBLISHED
from challenge.simulator import simulate
from evaluate import faults
from evaluate.submission.inspection import inspect
from evaluate.submission.row_order import compare_hemispheres, find_order
from tests.builders.scores import run
from tests.builders.submissions import Members, npy, pack

LEFT, RIGHT = "subj01/lh_pred_test.npy", "subj01/rh_pred_test.npy"


@pytest.fixture(scope="module")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One subject with 40 test pictures and two hemispheres of 60 vertices."""
    folder = tmp_path_factory.mktemp("square") / "data"
    simulate(folder, 1, 10, 40, [60, 60], photos="builtin", picture_size=16)
    return folder


@pytest.fixture
def good(square: Path) -> Members:
    return {
        name: npy(find_subjects(square)[0].responses(name[7:9], "test")) for name in (LEFT, RIGHT)
    }


def array(raw: bytes) -> np.ndarray:
    return np.load(io.BytesIO(raw))


def test_every_fault_at_once(square: Path, good: Members, tmp_path: Path) -> None:
    left = array(good[LEFT]).astype(float)
    left[3, 7] = np.nan
    sent = {
        "mine/subj01/lh_pred_test.npy": npy(left.T.copy()),
        "__MACOSX/mine/._subj01": b"",
        "mine/.DS_Store": b"",
        "readme.txt": b"",
        "..\\evil.exe": b"",
        **{f"tmp/{i}.npy": b"" for i in range(9)},
    }
    path = pack(tmp_path / "bad.zip", sent)
    found = "\n".join(faults(path, find_subjects(square)))
    for told in (
        "leads out of the zip",
        "mine/: is an extra parent folder around subj01/lh_pred_test.npy: zip",
        f"{RIGHT}: missing: add it",
        "readme.txt: does not belong",
        "5 more files do not belong",
        "__MACOSX/mine/._subj01 and 1 more: put there by the file manager: remove with zip -d",
        "mine/subj01/lh_pred_test.npy: is float64, expected float32: .astype('float32')",
        "has shape (60, 40), expected (40, 60) (test pictures, vertices): it is transposed",
        "has 1 values that are NaN or infinite, the first in row 7, column 3, counting from 0",
    ):
        assert told in found
    done = run("check", path, square)
    assert done.returncode == 1
    assert done.stdout.count("\n- ") + done.stdout.startswith("- ") == len(found.splitlines())


@pytest.mark.parametrize(
    "name", ["subj1/lh_pred_test.npy", "sub-01/LH_test_pred.NPY", "SUBJ01/lh_pred_test.npy"]
)
def test_another_name_is_told_and_its_contents_are_checked(
    name: str, square: Path, good: Members, tmp_path: Path
) -> None:
    sent = {name: npy(array(good[LEFT])[:-1]), RIGHT: good[RIGHT]}
    found = faults(pack(tmp_path / "named.zip", sent), find_subjects(square))
    assert found == [
        f"{name}: must be called {LEFT}: rename it",
        f"{name}: has shape (39, 60), expected (40, 60) (test pictures, vertices): predict every "
        "test picture and every vertex",
    ]


def test_without_data_the_published_numbers_are_expected(tmp_path: Path) -> None:
    one, six = PUBLISHED["01"], PUBLISHED["06"]
    header = {"descr": "<f4", "fortran_order": False}
    shapes = {
        "subj01/lh_pred_test.npy": (one.test, one.rh),
        "subj01/rh_pred_test.npy": (one.lh, one.test),
        "subj04/lh_pred_test.npy": (one.test, one.lh),
        "subj06/lh_pred_test.npy": (six.train, six.lh),
        "subj06/rh_pred_test.npy": (six.test, six.rh),
    }
    sent = {}
    for name, shape in shapes.items():
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(stream, {**header, "shape": shape})
        sent[name] = (
            stream.getvalue()
        )  # what it says is enough; that it lacks values is a fault too
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, (six.test, six.rh)).astype("f4")
    sent["subj06/rh_pred_test.npy"] = npy(values)
    done = run("check", pack(tmp_path / "some.zip", sent))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    for told in (
        "- subj05/: missing: add the folder, with lh_pred_test.npy and rh_pred_test.npy",
        "- subj04/rh_pred_test.npy: missing: add it",
        "- subj01/lh_pred_test.npy: has shape (159, 20544), expected (159, 19004) (test pictures, "
        "vertices): it is as wide as rh, the hemispheres look swapped",
        "- subj01/rh_pred_test.npy: has shape (19004, 159), expected (159, 20544) (test pictures, "
        "vertices): it is as wide as lh, the hemispheres look swapped, and it is transposed",
        "- subj04/lh_pred_test.npy: has shape (159, 19004), expected (395, 19004) (test pictures, "
        "vertices): that is the shape of subj01/lh_pred_test.npy, it looks like another's",
        "- subj06/lh_pred_test.npy: has shape (9082, 18978), expected (293, 18978) (test pictures, "
        "vertices): its rows are as many as training pictures, predict the test pictures",
    ):
        assert told in lines
    assert sum("has fewer bytes than its shape says (0 bytes, expected" in x for x in lines) == 4
    assert not any("subj06/rh" in line for line in lines if line.startswith("- "))
    assert "only be told from responses to them" in done.stdout
    assert "(checked against the published numbers of the challenge's 8 subjects" in done.stdout


def test_a_bomb_is_not_inflated(square: Path, good: Members, tmp_path: Path) -> None:
    bomb = good[LEFT] + bytes(100_000_000)
    path = pack(tmp_path / "bomb.zip", {**good, LEFT: bomb})
    del bomb
    tracemalloc.start()
    found = faults(path, find_subjects(square))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [
        f"{LEFT}: has more bytes than its shape says (100.0 MB, expected 9600 bytes): save it "
        "again with np.save"
    ]
    assert peak < 10_000_000


def _patch(path: Path, offset: int, value: bytes) -> None:
    """Change the first entry of the central directory, and nothing else."""
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02") + offset
    raw[at : at + len(value)] = value
    path.write_bytes(bytes(raw))


def test_hostile_members(square: Path, good: Members, tmp_path: Path) -> None:
    subjects = find_subjects(square)
    path = pack(tmp_path / "encrypted.zip", good)
    _patch(path, 8, struct.pack("<H", 1))
    assert f"{LEFT}: is encrypted: zip without a password" in faults(path, subjects)
    path = tmp_path / "lzma.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as opened:
        for name, raw in good.items():
            opened.writestr(name, raw)
    assert faults(path, subjects) == [
        f"{name}: is compressed in an unusual way: zip with deflate" for name in good
    ]
    # A directory that says fewer bytes than the stream holds: the checksum tells.
    path = pack(tmp_path / "lying.zip", {**good, LEFT: good[LEFT] + b"more"})
    _patch(path, 24, struct.pack("<I", len(good[LEFT])))
    assert any("cannot be read as a plain .npy" in fault for fault in faults(path, subjects))
    # A header that says to be of 4 GB, as version 2 of the format can.
    head = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(50_000)
    path = pack(tmp_path / "header.zip", {**good, LEFT: head})
    assert any("cannot be read as a plain .npy" in fault for fault in faults(path, subjects))
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(link, "w") as opened:
        entry = zipfile.ZipInfo(LEFT)
        entry.external_attr = 0o120777 << 16
        opened.writestr(entry, "/etc/passwd")
        opened.writestr(RIGHT, good[RIGHT])
    assert faults(link, subjects) == [f"{LEFT}: is a symbolic link: put the file itself"]


WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "reversed": (lambda a: a[::-1], "its rows stand reversed beside the test responses"),
    "one row late": (lambda a: np.roll(a, 1, axis=0), "stand moved down by 1 beside the test"),
    "as text": (
        lambda a: a[sorted(range(len(a)), key=lambda i: str(i + 1))],
        "stand sorted as text: 1, 10, 100, 2 … beside the test responses",
    ),
    "constant": (lambda a: np.repeat(a[:1], len(a), axis=0), "all 40 rows are the same, which"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rows_that_cannot_be_meant(name: str, square: Path, good: Members, tmp_path: Path) -> None:
    change, told = WRONG[name]
    assert not faults(pack(tmp_path / "good.zip", good), find_subjects(square))
    sent = {**good, LEFT: npy(np.ascontiguousarray(change(array(good[LEFT]))))}
    found = inspect(pack(tmp_path / "wrong.zip", sent), find_subjects(square))
    assert not found.faults, "it can be scored"
    assert any(line.startswith(LEFT) and told in line for line in found.suspicions)


def test_one_file_twice(square: Path, good: Members, tmp_path: Path) -> None:
    sent = {**good, RIGHT: good[LEFT]}
    found = faults(pack(tmp_path / "twice.zip", sent), find_subjects(square))
    told = f"{RIGHT}: holds the same predictions as {LEFT}: put this subject's and hemisphere's own"
    assert told in found
    sent[RIGHT] = npy(np.random.default_rng(0).permutation(array(good[LEFT])))
    found = faults(pack(tmp_path / "again.zip", sent), find_subjects(square))
    assert any(f"{RIGHT}: holds the rows, in another order, of {LEFT}" in line for line in found)


def test_what_cannot_be_told_is_said(square: Path, good: Members, tmp_path: Path) -> None:
    shuffled = np.random.default_rng(3).permutation(array(good[LEFT]))
    shuffled[4] = shuffled[9]
    shuffled[:, 2] = 7
    path = pack(tmp_path / "shuffled.zip", {**good, LEFT: npy(shuffled)})
    found = inspect(path, find_subjects(square))
    assert not found.wrong
    text = "\n".join(found.remarks)
    assert f"{LEFT}: 1 rows repeat another row" in text
    assert f"{LEFT}: 1 of 60 vertices have one prediction for all pictures: they score 0" in text
    assert f"{LEFT}: nothing in 1 of the files follows the test responses" in text
    assert "subj01: lh and rh do not take the same pictures to be alike" in text
    done = run("check", path, "--data", square)
    assert done.returncode == 0
    assert "  subj01: lh and rh do not take" in done.stdout


def predictions(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses, predictions of some accuracy, and those of another hemisphere."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 20))
    readout, other = (rng.standard_normal((20, 300)) for _ in range(2))
    seen = features + rng.standard_normal(features.shape)
    measured = features @ readout + 6 * rng.standard_normal((n, 300))
    return measured, seen @ readout, seen @ other


@pytest.mark.parametrize("n", [60, 159])
def test_orders_are_told_in_most_and_never_made_up(n: int) -> None:
    for seed in range(4):
        measured, left, right = predictions(n, seed)
        shuffled = np.random.default_rng(seed).permutation(n)
        assert find_order(measured, left) == ""
        assert find_order(measured, left[::-1]) == "reversed"
        assert find_order(measured, np.roll(left, -3, axis=0)) == "moved up by 3"
        assert find_order(measured, left[shuffled]) is None
        assert compare_hemispheres(left, right) == ""
        assert compare_hemispheres(left, right[::-1]) == "reversed"
        assert compare_hemispheres(left, np.roll(right, 1, axis=0)) == "moved down by 1"
        assert compare_hemispheres(left, right[shuffled]) is None
