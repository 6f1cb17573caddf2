"""Damaged zips: each a fault that names its member, never a traceback, never other numbers."""

import io
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from challenge import Subject, find_subjects
from evaluate import faults
from tests.builders.submissions import npy, pack, unpack

NAME = "subj01/lh_pred_test.npy"


@pytest.fixture(scope="module")
def subjects(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    """Keep four test pictures and the ceilings: what a submission's shape is known from."""
    data = tmp_path_factory.mktemp("bare")
    split = data / "subj01/test_split"
    source = simulated / "subj01/test_split"
    shutil.copytree(source / "noise_ceiling", split / "noise_ceiling")
    (split / "test_images").mkdir()
    for picture in sorted((source / "test_images").iterdir())[:4]:
        shutil.copy(picture, split / "test_images")
    return find_subjects(data)


@pytest.fixture
def sent(subjects: list[Subject], tmp_path: Path) -> Path:
    """Pack predictions that are valid."""
    rng = np.random.default_rng(0)
    members = {
        f"subj01/{side}_pred_test.npy": npy(
            rng.standard_normal((4, subjects[0].n_vertices(side)), np.float32)
        )
        for side in ("lh", "rh")
    }
    return pack(tmp_path / "sent.zip", members)


def place_of(path: Path, name: str) -> tuple[int, int]:
    """Find where the compressed bytes of a member stand, and how many there are."""
    with zipfile.ZipFile(path) as opened:
        entry = opened.getinfo(name)
    raw = path.read_bytes()
    n_name, n_extra = struct.unpack("<HH", raw[entry.header_offset + 26 : entry.header_offset + 30])
    return entry.header_offset + 30 + n_name + n_extra, entry.compress_size


def test_a2_a_corrupt_deflate_stream_is_a_fault_of_its_member(
    sent: Path, subjects: list[Subject]
) -> None:
    assert faults(sent, subjects) == []
    start, size = place_of(sent, NAME)
    raw = bytearray(sent.read_bytes())
    told = set()
    for at in (start, start + 1, start + size // 2, start + size - 8):
        broken = raw.copy()
        broken[at : at + 8] = b"\xff" * 8
        sent.write_bytes(broken)
        [fault] = faults(sent, subjects)
        assert fault.startswith(f"{NAME}: cannot be read as a plain .npy (")
        assert fault.endswith("): save it again with np.save")
        told.add(fault)
    assert any("decompressing" in fault for fault in told), "zlib's own error is among them"


def test_a2_a_wrong_checksum_is_a_fault_of_its_member(sent: Path, subjects: list[Subject]) -> None:
    raw = bytearray(sent.read_bytes())
    with zipfile.ZipFile(sent) as opened:
        crc = struct.pack("<I", opened.getinfo(NAME).CRC)
    central = raw.rindex(crc)
    raw[central] ^= 1
    sent.write_bytes(raw)
    [fault] = faults(sent, subjects)
    assert fault.startswith(f"{NAME}: cannot be read as a plain .npy (Bad CRC-32")


def test_a2_an_encrypted_member_is_named(sent: Path, subjects: list[Subject]) -> None:
    raw = bytearray(sent.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + offset] |= 1
    sent.write_bytes(raw)
    assert faults(sent, subjects) == [f"{NAME}: is encrypted: zip without a password"]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a2_a_zip_that_is_cut_short(part: float, sent: Path, subjects: list[Subject]) -> None:
    raw = sent.read_bytes()
    sent.write_bytes(raw[: int(part * len(raw))])
    [fault] = faults(sent, subjects)
    assert fault.startswith("cannot be read as a zip (")


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    body = text.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(body)) + body


SHAPED = "{{'descr': {}, 'fortran_order': {}, 'shape': {}}}".format
HEADERS = {
    "broken line": header("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 60)\n, \\\n"),
    "no end": header("{'descr': '<f4', 'fortran_order': False, 'shape': ((((("),
    "deep": header("(" * 5000 + ")" * 5000),
    "keys that do not sort": header("{1: 2, 'descr': '<f4', None: 0}"),
    "no dict": header("[1, 2]"),
    "bytes": header("\x00\xff\xfe"),
    "no type": header(SHAPED("'no such'", False, (4, 60))),
    "empty type": header(SHAPED("()", False, (4, 60))),
    "half a type": header(SHAPED("[('a',)]", False, (4, 60))),
    "negative": header(SHAPED("'<f4'", False, (-4, -60))) + bytes(4 * 240),
    "beyond all": header(SHAPED("'<f4'", False, (10**300, 10**300))),
    "many": header(SHAPED("'<f4'", False, (1,) * 200)),
    "single": header(SHAPED("'<f4'", False, ())) + bytes(4),
    "of no size": header(SHAPED("'|V0'", False, (4, 60))),
    "version 3": b"\x93NUMPY\x03\x00" + bytes(100),
    "length of gigabytes": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(100),
    "cut short": b"\x93NUMPY\x01\x00\xff",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a2_a_wrong_header_is_a_fault_of_its_member(
    kind: str, sent: Path, subjects: list[Subject]
) -> None:
    pack(sent, {**unpack(sent), NAME: HEADERS[kind]})
    found = faults(sent, subjects)
    assert found
    assert all(fault.startswith(f"{NAME}: ") for fault in found)


def test_a2_flipped_bytes_are_told_or_change_nothing(sent: Path, subjects: list[Subject]) -> None:
    raw = sent.read_bytes()
    original = {name: np.load(io.BytesIO(member)) for name, member in unpack(sent).items()}
    rng = np.random.default_rng(0)
    # Half of them where the names and sizes stand, which are few of the bytes.
    central = raw.index(b"PK\x01\x02")
    places = [*rng.integers(0, len(raw), 100), *rng.integers(central, len(raw), 100)]
    n_told = 0
    for at in places:
        broken = bytearray(raw)
        broken[at] ^= int(rng.integers(1, 256))
        sent.write_bytes(broken)
        found = faults(sent, subjects)
        n_told += bool(found)
        if not found:
            for name, member in unpack(sent).items():
                np.testing.assert_array_equal(np.load(io.BytesIO(member)), original[name])
    assert n_told > 100
