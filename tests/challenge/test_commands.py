"""`python -m challenge` as a user runs it: real files, a real Ctrl-C, a disk that is full."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from challenge import find_subjects
from challenge.checks.dataset import inspect
from tests.builders.commands import call
from tests.builders.paths import ROOT

MAIN = [sys.executable, "-m", "challenge"]


def run(*arguments):
    return call("challenge", *arguments)


def test_simulate_then_check(tmp_path):
    data = tmp_path / "data"
    command = [
        "simulate", data, "--subjects", 2, "--train-images", 20, "--test-images", "6",
        "--vertices=40", "--seed", 3, "--photos", "builtin", "--picture_size", 32,
    ]  # fmt: skip
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "made from: builtin (10 files)" in done.stdout
    assert "2 simulated subjects written" in done.stdout
    settings = json.loads((data / "simulation.json").read_text())["settings"]
    assert settings["vertices"] == [40, 43]
    assert settings["train_images"] == 20
    caution = (
        "10 photographs; training and test pictures are crops of the same ones: scores say nothing "
        "about unseen scenes"
    )
    assert json.loads((data / "simulation.json").read_text())["caution"] == caution
    again = run(*command)
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    assert all(caution in text.splitlines() for text in (done.stdout, again.stdout))
    checked = run("check", data)
    assert checked.returncode == 0, checked.stdout
    assert "no faults" in checked.stdout
    row = checked.stdout.splitlines()[1].split()
    assert row[:5] == ["01", "20", "6", "40", "43"]
    assert "(simulated)" in checked.stdout


def test_both_hemispheres_may_be_given(tmp_path):
    done = run(
        "simulate", tmp_path / "d", "--subjects=1", "--train-images=10", "--test-images=5",
        "--vertices", "[25,31]", "--photos=builtin", "--picture-size=32",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    subject = find_subjects(tmp_path / "d")[0]
    assert [subject.n_vertices(h) for h in ("lh", "rh")] == [25, 31]


def test_bad_input_is_one_clear_line(tmp_path):
    done = run("check", tmp_path / "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "NSD data access form" in done.stderr
    done = run("simulate", tmp_path / "d", "--subjects", 0)
    assert done.returncode == 2
    assert "--subjects: found 0" in done.stderr


def test_ctrl_c_leaves_nothing(tmp_path):
    data = tmp_path / "data"
    process = subprocess.Popen(
        [*MAIN, "simulate", str(data), "--train-images", "5000", "--photos", "builtin"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.rglob("*.png")):
        time.sleep(0.05)
    assert not data.exists()
    assert list(tmp_path.iterdir())  # it was in the middle of writing
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert f"interrupted: nothing was written to {data}" in stderr
    assert "Traceback" not in stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk, but=0):
    """Leave only so many bytes free."""
    while (free := shutil.disk_usage(disk).free) > but:
        (disk / f"ballast-{free}").write_bytes(bytes(min(free - but, 2**20)))


# Most of the bytes are masks, written at once, or responses, written through a map of the file.
@pytest.mark.parametrize("size", [("--vertices=30", "--train-images=10"), ("--vertices=4000",)])
def test_a_disk_that_fills_up_is_said_and_nothing_is_left(small_disk, size):
    data = small_disk / "data"
    process = subprocess.Popen(
        [*MAIN, "simulate", str(data), "--subjects=3", "--train-images=200", "--test-images=5",
         "--photos=builtin", "--picture-size=16", *size],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(small_disk.glob(".data-*/subj01/roi_masks/lh*")):
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    fill(small_disk, but=300_000 if len(size) == 2 else 5_000_000)
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 2, stderr
    assert f"error: {data}: the disk is full, expected " in stderr
    assert "MB for the simulation; nothing was written: free some space" in stderr
    assert "Traceback" not in stderr
    assert all(path.name.startswith("ballast") for path in small_disk.iterdir())


def test_a_disk_too_small_is_measured_in_sensible_units(small_disk):
    fill(small_disk, but=2**20)
    done = run(
        "simulate",
        small_disk / "data",
        "--subjects=1",
        "--train-images=10",
        "--test-images=5",
        "--vertices=30",
        "--photos=builtin",
        "--picture-size=32",
    )
    assert done.returncode == 2
    assert f"{small_disk}: 1.0 MB free, expected 9.2 MB for the simulation" in done.stderr
    assert not (small_disk / "data").exists()


def damage(data):
    """Seven faults of different kinds, in both subjects."""
    one, two = data / "subj01", data / "subj02"
    picture = sorted((one / "training_split/training_images").iterdir())[2]
    picture.write_bytes(picture.read_bytes()[:500])
    grey = sorted((two / "test_split/test_images").iterdir())[0]
    Image.new("L", (64, 64), 7).save(grey)
    responses = one / "training_split/training_fmri/rh_training_fmri.npy"
    values = np.load(responses)
    values[3, 4] = np.nan
    np.save(responses, values)
    (one / "roi_masks/lh.floc-faces_challenge_space.npy").unlink()
    labels = two / "roi_masks/rh.streams_challenge_space.npy"
    np.save(labels, np.load(labels)[::-1])
    ceilings = two / "test_split/noise_ceiling/rh_noise_ceiling.npy"
    np.save(ceilings, 100 * np.load(ceilings))
    sorted((two / "training_split/training_images").iterdir())[0].unlink()


def test_check_lists_every_fault_at_once(broken):
    data = broken()
    damage(data)
    done = run("check", data)
    assert done.returncode == 1
    for expected in (
        "train-0003_nsd-",
        "mode L, expected 8-bit RGB; convert it",
        "rh_training_fmri.npy: 1 values are NaN or infinite, the first at row 3, column 4",
        "lh.floc-faces_challenge_space.npy: missing",
        "rh.streams_challenge_space.npy:",
        "rh_noise_ceiling.npy: values from 0 to",
        "training_images: 1 of the indices up to 40 are missing (1), expected 1 to the number",
    ):
        assert expected in done.stdout
    lines = done.stdout.strip().splitlines()
    assert lines[-1].endswith(f"{len(lines) - 1} faults")
    assert len(lines) == len(set(lines))


def test_check_finds_swapped_and_repeated_pictures(broken):
    data = broken()
    first, second = find_subjects(data)
    train = first.pictures("train")
    shutil.copy(train[0], train[1])
    test = first.pictures("test")[0]
    shutil.copy(test, test.with_name(f"test-0013_nsd-{train[5].stem[-5:]}.png"))
    shared = set(first.nsd_ids("test").tolist()) & set(second.nsd_ids("test").tolist())
    place = [i in shared for i in second.nsd_ids("test")].index(True)
    Image.new("RGB", (32, 32), "teal").save(second.pictures("test")[place])
    faults = "\n".join(inspect(find_subjects(data)).faults)
    assert f"{train[1]}: the same contents as {train[0].name}" in faults
    assert f"the same NSD id as {train[5].name}" in faults
    assert "32 x 32 pixels, expected 64 x 64 as" in faults
    assert "expected the same picture for the NSD id" in faults


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, m: None, None),
        (lambda s, m: s.__setitem__(np.flatnonzero(~m)[0], 3), "1 labelled vertices lie outside"),
        (lambda s, m: s.__setitem__(np.flatnonzero(m)[0], 7), "1 labels are not those of"),
    ],
)
def test_check_compares_the_surface_with_the_columns(broken, change, message):
    data = broken()
    masks = data / "subj01/roi_masks"
    surface = np.load(masks / "lh.streams_fsaverage_space.npy")
    change(surface, np.load(masks / "lh.all-vertices_fsaverage_space.npy") != 0)
    np.save(masks / "lh.streams_fsaverage_space.npy", surface)
    faults = inspect(find_subjects(data, "1")).faults
    assert len(faults) == (message is not None)
    assert all(message in fault for fault in faults)


def test_check_names_a_mapping_that_is_not_the_challenges(broken):
    data = broken()
    file = data / "subj02/roi_masks/mapping_floc-places.npy"
    np.save(file, np.array({0: "Unknown", 1: "PPA", 2: "OPA", 3: "RSC"}, dtype=object))
    (fault,) = inspect(find_subjects(data)).faults
    assert "mapping_floc-places.npy: names {1: 'PPA'" in fault


def test_check_expects_the_size_that_most_pictures_have(broken):
    data = broken()
    pictures = find_subjects(data, "1")[0].pictures("train")
    odd = [pictures[0], *pictures[10:20]]
    for shade, picture in enumerate(odd):
        Image.new("RGB", (32, 48), (shade, 0, 0)).save(picture)
    (fault,) = (f for f in inspect(find_subjects(data, "1")).faults if "pixels" in f)
    assert fault.startswith(", ".join([str(odd[0]), *(picture.name for picture in odd[1:6])]))
    assert " and 5 more: 32 x 48 pixels, expected 64 x 64 as 41 others have" in fault


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("noise_ceiling/lh_noise_ceiling.npy", "missing, while rh_noise_ceiling.npy is there"),
        ("test_fmri/rh_test_fmri.npy", "missing; unpack"),
    ],
)
def test_check_misses_the_other_hemispheres_file(broken, missing, message):
    data = broken()
    file = data / "subj02/test_split" / missing
    file.unlink()
    (fault,) = inspect(find_subjects(data)).faults
    assert fault.startswith(f"{file}: {message}")


def test_importing_the_challenge_is_light():
    code = (
        "import sys, challenge; "
        "print(sorted({'torch', 'h5py', 'himalaya', 'sklearn', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
