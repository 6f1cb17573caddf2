"""Pictures and rows: names, orders and formats that directories of pictures come in."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from cache.picture_digests import SUFFIXES
from challenge import DataError, find_subjects, load_rgb
from challenge.checks.dataset import inspect
from challenge.dataset import check_pictures
from challenge.layout import PICTURE_SUFFIXES
from challenge.pictures.listing import arrange, list_pictures, picture_name
from tests.builders.commands import call


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("width", [1, 4, 6])
def test_r2_rows_are_in_the_order_of_the_indices(tmp_path, width):
    names = [f"train-{i:0{width}d}_nsd-{7 * i:05d}.png" for i in range(1, 121)]
    touch(tmp_path / "images", *reversed(names))
    assert [p.name for p in list_pictures(tmp_path / "images", "train")] == names


def test_r2_paddings_may_be_mixed(tmp_path):
    names = ["test-01_nsd-9.png", "test-2_nsd-8.png", "test-003_nsd-7.png", "test-10_nsd-1.png"]
    names[3:3] = [f"test-{i}_nsd-{i}.png" for i in range(4, 10)]
    touch(tmp_path / "images", *names)
    assert [p.name for p in list_pictures(tmp_path / "images", "test")] == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-1_nsd-5.png", "train-3_nsd-6.png", "train-7_nsd-8.png"],
         r"images: 4 of the indices up to 7 are missing \(2, 4 to 6\), expected 1 to the number"),
        (["train-0_nsd-5.png", "train-1_nsd-6.png"],
         r"train-0_nsd-5.png: index 0, expected indices from 1"),
        (["train-1_nsd-5.png", "train-01_nsd-6.png"],
         r"train-01_nsd-6.png, train-1_nsd-5.png: 2 pictures of index 1, expected each index once"),
        (["train-1_nsd-5.png", "test-2_nsd-6.png"],
         r"test-2_nsd-6.png: the name is of the other split, expected a name such as train-0001_"),
        (["train-1_nsd-5.png", "boat.png"], r"boat.png: the name holds no index"),
        (["train-1_nsd-5.png", "train-0001_nsd-5.JPG"], r"2 pictures of index 1, expected each"),
        (["train-1_nsd-5.png", "train-1_nsd-5 (copy).png"], r"2 pictures of index 1"),
    ],
)  # fmt: skip
def test_r2_rows_that_are_not_certain_are_refused(tmp_path, names, message):
    touch(tmp_path / "images", *names)
    with pytest.raises(DataError, match=message):
        list_pictures(tmp_path / "images", "train")


def test_r2_all_that_is_wrong_with_the_names_is_said_at_once(tmp_path):
    names = ["train-2_nsd-5.png", "train-02_nsd-6.png", "test-1_nsd-7.png", "boat.png"]
    touch(tmp_path / "images", *names)
    with pytest.raises(DataError) as caught:
        list_pictures(tmp_path / "images", "train")
    lines = str(caught.value).splitlines()
    told = ("boat.png", "test-1_nsd-7.png", "2 pictures of index 2", "missing (1)")
    assert len(lines) == 4
    assert all(what in line for what, line in zip(told, lines, strict=True))


def test_r2_names_without_zeros_change_neither_rows_nor_numbers(simulated, broken):
    data = broken()
    for subject in find_subjects(data):
        for split in ("train", "test"):
            for picture in subject.pictures(split):
                start, index, rest = re.fullmatch(r"(\w+)-(\d+)(.*)", picture.name).groups()
                picture.rename(picture.with_name(f"{start}-{int(index)}{rest}"))
    for before, after in zip(find_subjects(simulated), find_subjects(data), strict=True):
        for split in ("train", "test"):
            assert after.picture_digests(split) == before.picture_digests(split)
            np.testing.assert_array_equal(after.nsd_ids(split), before.nsd_ids(split))
    assert not inspect(find_subjects(data, "1")).faults


def test_r2_commands_name_the_gaps_of_all_folders(broken):
    data = broken()
    first, second = find_subjects(data)
    first.pictures("test")[2].unlink()
    second.pictures("train")[5].unlink()
    with pytest.raises(DataError) as caught:
        check_pictures(find_subjects(data))
    assert "2 faults in the data:" in str(caught.value)
    assert "subj01/test_split/test_images: 1 of the indices up to 12 are missing (3)" in str(
        caught.value
    )
    assert "subj02/training_split/training_images: 1 of the indices up to 40 are missing (6)" in (
        str(caught.value)
    )


def test_e1_ten_thousand_pictures_keep_their_rows():
    n, folder = 10_020, Path("images")
    names = [picture_name("train", index, index, n) for index in range(1, n + 1)]
    assert names == sorted(names)
    # As an older simulator wrote them, which padded all to four digits.
    older = [picture_name("train", index, index) for index in range(1, n + 1)]
    assert older[0] == "train-0001_nsd-00001.png"
    assert older != sorted(older)
    for written in (names, older):
        found = arrange(folder, "train", reversed(written))
        assert [picture.name for picture in found.pictures] == written
        assert not found.faults


def test_e6_capitals_and_other_formats_are_read(broken):
    data = broken()
    (subject,) = find_subjects(data, "1")
    pictures = subject.pictures("test")
    expected = [path.stem for path in pictures]
    pictures[4].rename(pictures[4].with_suffix(".PNG"))
    pictures[7].rename(pictures[7].with_name(pictures[7].name.upper()))
    for path, suffix in ((pictures[2], ".jpg"), (pictures[11], ".JPEG"), (pictures[0], ".tif")):
        Image.open(path).save(path.with_suffix(suffix))
        path.unlink()
    (subject,) = find_subjects(data, "1")
    found = subject.pictures("test")
    assert [path.stem.lower() for path in found] == expected
    assert [path.suffix for path in found[:5]] == [".tif", ".png", ".jpg", ".png", ".PNG"]
    assert len(subject.responses("lh", "test")) == len(found) == 12
    assert all(load_rgb(path).size == (64, 64) for path in found)


def test_e6_a_picture_whose_format_is_not_read_leaves_no_row_out(broken):
    data = broken()
    shutil.rmtree(data / "subj01/test_split/test_fmri")
    (subject,) = find_subjects(data, "1")
    last = subject.pictures("test")[-1]
    last.rename(last.with_suffix(".heic"))
    with pytest.raises(DataError, match=rf"{last.stem}.heic: left out, as its suffix is none of"):
        find_subjects(data, "1")[0].pictures("test")


def test_u10_what_is_left_out_is_said(broken):
    data = broken()
    (subject,) = find_subjects(data, "1")
    folder = subject.pictures("train")[0].parent
    touch(folder, "Thumbs.db", "._train-0001_nsd-00013.png", "train-0001_nsd-00013.txt")
    assert len(subject.pictures("train")) == 40
    findings = inspect([subject])
    assert not findings.faults
    (remark,) = findings.remarks
    assert remark.startswith(f"{folder}: no pictures by their suffixes, left out: Thumbs.db, train")
    said = call("challenge", "check", data)
    assert said.returncode == 0
    assert f"note: {remark}" in said.stdout
    # A picture beside the others has no row.
    shutil.copy(subject.pictures("train")[3], folder / "train-0041_nsd-00001.jpg")
    assert f"{len(subject.pictures('train'))} rows" not in str(inspect([subject]).faults)
    with pytest.raises(DataError, match="40 rows, expected 41, one for each picture"):
        subject.responses("lh")


def test_n8_jpegs_in_place_of_pngs(broken):
    data = broken()
    (subject,) = find_subjects(data, "1")
    for split in ("train", "test"):
        for path in subject.pictures(split):
            Image.open(path).save(path.with_suffix(".jpg"), quality=100)
            path.unlink()
    (subject,) = find_subjects(data, "1")
    assert {path.suffix for path in subject.pictures("train")} == {".jpg"}
    assert not inspect([subject]).faults


def test_the_suffixes_are_those_that_the_cache_imports():
    assert PICTURE_SUFFIXES == SUFFIXES


def conversion(file):
    """Follow the advice of the error to the letter."""
    with pytest.raises(DataError) as caught:
        load_rgb(file)
    code = str(caught.value).split("expected 8-bit RGB; ")[1].split(" with ", 1)[-1]
    code = code.removeprefix("lay it on the background that it was shown on: ")
    exec(code, {"Image": Image, "ImageOps": ImageOps, "np": np})
    return np.asarray(load_rgb(file))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_e7_the_advice_keeps_the_levels_of_a_16_bit_grey_picture(tmp_path, suffix):
    levels = np.linspace(0, 65535, 96).round().astype(np.uint16).reshape(8, 12)
    file = tmp_path / f"grey{suffix}"
    Image.fromarray(levels).save(file)
    with pytest.raises(DataError, match="mode I;16, 16-bit grey, expected 8-bit RGB"):
        load_rgb(file)
    found = conversion(file)
    assert len(np.unique(found)) == 96
    np.testing.assert_allclose(found, np.repeat(levels[..., None] / 257, 3, axis=2), atol=0.5)


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_e7_the_advice_keeps_other_pictures(tmp_path, mode):
    grey = Image.fromarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)).convert(mode)
    grey.save(tmp_path / "grey.png")
    expected = np.asarray(grey.convert("RGB"))
    np.testing.assert_array_equal(conversion(tmp_path / "grey.png"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_e7_transparency_is_named_and_laid_on_a_background(tmp_path, mode):
    picture = Image.new("LA", (4, 4), (90, 255)).convert(mode)
    picture.putpixel((1, 2), (7, 7, 7, 0)[-len(mode) :])
    picture.save(tmp_path / "cut.png")
    with pytest.raises(DataError, match=rf"mode {mode} with transparency, expected 8-bit RGB; lay"):
        load_rgb(tmp_path / "cut.png")
    found = conversion(tmp_path / "cut.png")
    assert found[2, 1].tolist() == [255, 255, 255]
    assert found[0, 0].tolist() == [90, 90, 90]


@pytest.mark.parametrize("array", [np.int32, np.float32])
def test_e7_values_without_a_known_range_are_not_converted_by_pillow(tmp_path, array):
    Image.fromarray(np.linspace(0, 9e4, 64).reshape(8, 8).astype(array)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=r"x.tif: mode [IF], expected 8-bit RGB; scale its values"):
        load_rgb(tmp_path / "x.tif")


@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".tif", ".bmp", ".webp"])
def test_a3_damaged_pictures_of_every_format_are_named(tmp_path, suffix):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    picture.save(tmp_path / f"whole{suffix}")
    content = (tmp_path / f"whole{suffix}").read_bytes()
    file = tmp_path / f"damaged{suffix}"
    for _ in range(100):
        damaged = bytearray(content[: rng.integers(1, len(content) + 1)])
        for place in rng.integers(0, min(64, len(damaged)), 4):
            damaged[place] = rng.choice([0, 255, damaged[place], rng.integers(256)])
        file.write_bytes(damaged)
        # Whole or refused: any other error ends this test.
        with suppress(DataError):
            load_rgb(file)
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"damaged{suffix}: "):
        load_rgb(file)
