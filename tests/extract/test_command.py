"""`python -m extract` as a user runs it: real pictures, real networks, real trouble."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from base.command_line.parser import run
from cache import FeatureStore
from challenge import find_subjects
from extract.__main__ import EXAMPLES
from extract.__main__ import extract as command
from tests.builders.paths import ROOT
from tests.builders.spaces import VIT

UNTRAINED = ("--spaces", VIT, "--weights", f"{VIT}=random:0")
TOTAL = 2 * (40 + 12)


@pytest.fixture
def extract(capsys):
    """Run the command in this process: imports of torch take seconds."""

    def started(*arguments):
        capsys.readouterr()
        status = run(command, "extract", EXAMPLES, [str(a) for a in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return started


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "extract", *map(str, arguments)],
        cwd=ROOT, env={**os.environ, **environment}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def distinct(data):
    subjects = find_subjects(data, "all")
    return {d for s in subjects for split in ("train", "test") for d in s.picture_digests(split)}


def test_shared_pictures_once_and_a_second_run_computes_nothing(simulated, tmp_path, extract):
    count = len(distinct(simulated))
    assert count < TOTAL  # some pictures are shared
    out = tmp_path / "my out"
    status, said, _ = extract("--data", simulated, "--out", out, "--subject", "02", *UNTRAINED)
    assert status == 0
    assert "52 pictures of 1 subject on cpu" in said
    assert f"{VIT}: weights from random, seed 0" in said
    assert f"{VIT}: 52 pictures computed, 0 there already" in said
    status, said, _ = extract("--data", simulated, "--out", out, *UNTRAINED)
    assert f"{VIT}: {count - 52} pictures computed, 52 there already" in said
    entry = FeatureStore(out / "features").find(VIT)
    before = entry.path.read_bytes()
    status, said, errors = extract("--data", simulated, "--out", out, *UNTRAINED)
    assert f"{VIT}: 0 pictures computed, {count} there already" in said
    assert not errors
    assert entry.path.read_bytes() == before
    assert entry.meta["rows"] == count
    assert entry.untrained
    status, said, _ = extract("--data", simulated, "--out", out, "--spaces", VIT, "--weights",
                              f"{VIT}=random:1", "--subject", "01")  # fmt: skip
    assert status == 0
    listed = subprocess.run(
        [sys.executable, "-m", "cache", "ls", "--out", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()[1:]  # fmt: skip
    assert len(listed) == 2
    for seed in (0, 1):
        assert sum(line.endswith(f"UNTRAINED: random, seed {seed}") for line in listed) == 1


def test_the_row_of_a_picture_is_its_own(simulated, tmp_path, extract):
    extract("--data", simulated, "--out", tmp_path, *UNTRAINED)
    store = FeatureStore(tmp_path / "features")
    subject = find_subjects(simulated, "02")[0]
    rows = store.read(store.find(VIT), subject.picture_digests("train"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("test_vit").eval()
    config = timm.data.resolve_model_data_config(model)
    preprocess = timm.data.create_transform(**config, is_training=False)
    for number in (0, 17, 39):
        picture = preprocess(Image.open(subject.pictures("train")[number]).convert("RGB"))
        with torch.inference_mode():
            expected = model.forward_head(model.forward_features(picture[None]), pre_logits=True)
        np.testing.assert_allclose(rows[number], expected[0].numpy(), rtol=1e-4, atol=1e-4)


def truncated(path):
    path.write_bytes(path.read_bytes()[:2000])


def converted(mode):
    def convert(path):
        image = Image.open(path).convert("RGB")
        image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
        image.save(path)

    return convert


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (truncated, r"not decoded"),
        (lambda path: path.write_bytes(b""), r"not decoded"),
        (lambda path: path.write_text("<html>404</html>"), r"not decoded"),
        (converted("L"), r"mode L, expected 8-bit RGB; convert it"),
        (converted("P"), r"mode P, expected 8-bit RGB"),
        (converted("RGBA"), r"mode RGBA with transparency, expected 8-bit RGB"),
        (converted("I;16"), r"mode I;16, 16-bit grey, expected 8-bit RGB"),
    ],
    ids=["truncated", "empty", "html", "grey", "palette", "alpha", "16-bit"],
)
def test_a_bad_picture_is_named_and_the_rows_before_it_are_kept(
    broken, tmp_path, extract, damage, found
):
    data = broken()
    subject = find_subjects(data, "01")[0]
    path = subject.pictures("train")[38]
    good = path.read_bytes()
    damage(path)
    status, _, errors = extract("--data", data, "--out", tmp_path / "o", *UNTRAINED)
    assert status == 2
    assert re.search(rf"^error: {re.escape(str(path))}: {found}", errors, re.MULTILINE), errors
    path.write_bytes(good)
    status, said, _ = extract("--data", data, "--out", tmp_path / "o", *UNTRAINED)
    assert status == 0
    assert f"{len(distinct(data)) - 32} pictures computed, 32 there already" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--spaces"], r"--spaces: none given"),
        (["--spaces", "clop"], r"unknown feature space 'clop': choose from clip, alexnet, sam"),
        (["--spaces", VIT, "--weights", "clip=random:0"], r"expected SPACE=FILE .* timm:test_vit"),
        (["--spaces", VIT, "--weights", VIT], r"expected SPACE=FILE or SPACE=random:SEED"),
        (["--spaces", VIT, "--weights", f"{VIT}="], r"expected SPACE=FILE"),
        (["--spaces", VIT, "--weights", f"{VIT}=/no/file"], r"there is no such file"),
        ([*UNTRAINED, "--device", "cuda:77"], r"--device cuda:77: cannot be used here"),
        ([*UNTRAINED, "--workers", "-5"], r"--workers -5: expected 0 or more, or -1 to choose"),
        ([*UNTRAINED, "--captions", "a.csv"], r"--captions: no space that reads captions is asked"),
        (["--spaces", "clip_text"], r"captions"),
        ([*UNTRAINED, "--subject", "9"], r"no subject '9'; it holds 01, 02"),
        ([*UNTRAINED, "--data", "/no/where"], r"/no/where: no such folder"),
        ([*UNTRAINED, "--out", "/dev/null"], r"/dev/null/features: Not a directory; expected"),
    ],
)
def test_bad_arguments_are_answered_before_anything_is_written(
    simulated, tmp_path, extract, arguments, message
):
    status, _, errors = extract("--data", simulated, "--out", tmp_path / "o", *arguments)
    assert status == 2
    assert re.search(rf"^error: .*{message}", errors), errors
    assert not (tmp_path / "o").exists()


def test_a_damaged_space_is_named(simulated, tmp_path, extract):
    extract("--data", simulated, "--out", tmp_path, *UNTRAINED)
    path = FeatureStore(tmp_path / "features").find(VIT).path
    path.write_bytes(path.read_bytes()[:-50])
    status, _, errors = extract("--data", simulated, "--out", tmp_path, *UNTRAINED)
    assert status == 2
    assert errors.startswith(f"error: {path}: damaged or cut short")
    path.unlink()
    assert extract("--data", simulated, "--out", tmp_path, *UNTRAINED)[0] == 0


def test_other_precision_is_another_space(simulated, tmp_path, extract):
    arguments = ("--data", simulated, "--out", tmp_path, "--subject", "1", *UNTRAINED)
    assert extract(*arguments)[0] == 0
    status, said, _ = extract(*arguments, "--precision", "bfloat16")
    assert (status, "52 pictures computed, 0 there already" in said) == (0, True)
    assert "kept with another key, so it is computed as a space of its own" in said
    assert "autocast: bfloat16 here, absent there (computed in another precision)" in said
    assert len(FeatureStore(tmp_path / "features").entries()) == 2


def interrupt(process: subprocess.Popen) -> str:
    """Press Ctrl-C until the process ends: Python loses the one that falls in a fork."""
    while True:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=60)[1]


@pytest.mark.slow
def test_ctrl_c_then_two_at_once(simulated, tmp_path, extract):
    # A network slow enough to be stopped midway.
    name = "vit_tiny_patch16_224"
    arguments = ("--data", simulated, "--subject", "01", "--spaces", name)
    arguments += ("--weights", f"{name}=random:0", "--out")
    process = start(*arguments, tmp_path / "a b")
    while "weights from" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(0.5)
    errors = interrupt(process)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    both = [start(*arguments, tmp_path / "a b") for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    computed = [int(re.search(r"(\d+) pictures computed", out)[1]) for out, _ in said]
    assert min(computed) == 0
    assert max(computed) <= 52
    assert extract(*arguments, tmp_path / "whole")[0] == 0
    subject = find_subjects(simulated, "01")[0]
    digests = subject.picture_digests("train") + subject.picture_digests("test")
    rows = []
    for folder in ("a b", "whole"):
        store = FeatureStore(tmp_path / folder / "features")
        assert store.find(name).meta["rows"] == 52
        rows.append(store.read(store.find(name), digests))
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-4)


def _mount(*arguments: str) -> bool:
    return (
        bool(shutil.which("mount"))
        and not subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode
    )


def test_a_folder_that_can_only_be_read_serves_where_it_has_every_row(simulated, tmp_path, extract):
    folder = tmp_path / "o"
    folder.mkdir()
    if not _mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)):
        pytest.skip("a read-only disk cannot be mounted here")
    asked = ("--data", simulated, "--out", folder)
    try:
        status, _, errors = extract(*asked, *UNTRAINED)
        assert status == 2
        assert errors.startswith(f"error: {folder}/features: Read-only file system")
        assert _mount("-o", "remount,rw", str(folder))
        assert extract(*asked, "--subject", "01", *UNTRAINED)[0] == 0
        assert _mount("-o", "remount,ro", str(folder))
        status, said, errors = extract(*asked, "--subject", "01", *UNTRAINED)
        assert (status, errors.count("Read-only")) == (0, 0)
        assert "0 pictures computed" in said
        status, _, errors = extract(*asked, *UNTRAINED)
        assert status == 2
        assert "Read-only file system" in errors
    finally:
        subprocess.run(["umount", str(folder)], check=True)
