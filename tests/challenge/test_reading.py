"""Reading a dataset: what a good one gives, and what a bad one is told."""

import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from challenge import (
    HEMISPHERES,
    ROI_CLASSES,
    DataError,
    Roi,
    Subject,
    find_subjects,
    load_rgb,
    noise_ceiling,
)


@pytest.fixture
def subject(simulated):
    return find_subjects(simulated, "01")[0]


@pytest.fixture
def damaged(broken):
    return find_subjects(broken(), "01")[0]


def responses_of(subject, hemisphere="lh"):
    return subject.folder / f"training_split/training_fmri/{hemisphere}_training_fmri.npy"


def test_subjects_are_found_by_any_spelling(simulated):
    assert [s.name for s in find_subjects(simulated)] == ["01", "02"]
    for spelling in ("2", "02", "subj02"):
        assert find_subjects(simulated, spelling) == [Subject(simulated / "subj02")]
    assert all(s.simulated for s in find_subjects(simulated))


def test_pictures_ids_and_digests_go_together(subject):
    pictures = subject.pictures("train")
    assert [p.name[:10] for p in pictures[:2]] == ["train-0001", "train-0002"]
    ids = subject.nsd_ids("train")
    assert ids.dtype == np.int64
    assert [f"{i:05d}" for i in ids] == [p.stem[-5:] for p in pictures]
    digests = subject.picture_digests("train")
    assert len(set(digests)) == len(pictures) == 40
    assert {len(digest) for digest in digests} == {64}


def test_responses_are_mapped_and_have_the_masks_columns(subject):
    for hemisphere in HEMISPHERES:
        for split, rows in (("train", 40), ("test", 12)):
            responses = subject.responses(hemisphere, split)
            assert isinstance(responses, np.memmap)
            assert responses.dtype == np.float32
            assert responses.shape == (rows, subject.n_vertices(hemisphere))
            assert not responses.flags.writeable
            subject.check_finite(hemisphere, split)
    assert subject.has_test_responses


def test_every_named_roi_is_listed_empty_ones_too(subject):
    expected = [(c, name) for c, names in ROI_CLASSES.items() for name in names]
    for hemisphere in HEMISPHERES:
        rois = subject.rois(hemisphere)
        assert [(roi.roi_class, roi.name) for roi in rois] == expected
        by_name = {roi.name: roi for roi in rois}
        assert by_name["mTL-faces"].vertices.size == by_name["aTL-faces"].vertices.size == 0
        assert by_name["V1v"].vertices.dtype == np.int64
        assert set(by_name["V1v"].vertices) <= set(by_name["early"].vertices)
        for roi_class in ROI_CLASSES:
            inside = [roi.vertices for roi in rois if roi.roi_class == roi_class]
            joined = np.concatenate(inside)
            assert len(joined) == len(np.unique(joined))


def test_names_follow_the_mapping_not_the_table(damaged):
    file = damaged.folder / "roi_masks/mapping_floc-places.npy"
    before = {roi.name: roi.vertices for roi in damaged.rois("lh")}
    np.save(file, np.array({0: "Unknown", 1: "PPA", 2: "OPA", 3: "new"}, dtype=object))
    rois = [roi for roi in damaged.rois("lh") if roi.roi_class == "floc-places"]
    assert [roi.name for roi in rois] == ["OPA", "PPA", "RSC", "new"]
    after = {roi.name: roi.vertices for roi in rois}
    np.testing.assert_array_equal(after["PPA"], before["OPA"])
    np.testing.assert_array_equal(after["OPA"], before["PPA"])
    assert after["RSC"].size == 0


def test_a_roi_says_what_it_is_without_its_vertices():
    roi = Roi("streams", "early", "lh", np.arange(1000))
    assert repr(roi) == "Roi(roi_class='streams', name='early', hemisphere='lh')"


def test_the_mask_is_nonzero_not_one(subject):
    mask = np.load(subject.folder / "roi_masks/lh.all-vertices_fsaverage_space.npy")
    assert set(np.unique(mask)) == {0, 1, 2}
    assert subject.n_vertices("lh") == (mask != 0).sum() == 60


def test_noise_ceilings_are_fractions_or_none(subject):
    ceilings = subject.noise_ceiling("lh")
    assert ceilings.dtype == np.float64
    assert ceilings.shape == (60,)
    assert ceilings.min() == 0
    assert ceilings.max() <= 0.8
    assert subject.noise_ceiling("lh", "train") is None


@pytest.mark.parametrize(
    ("repeats", "expected"),
    [
        ([3, 3, 3], 1 / (1 + 1 / 3)),  # 0.75, nc_3trials for ncsnr 1
        ([2], 1 / 1.5),
        ([1, 1], 0.5),
        ([3, 3, 2, 1], 1 / (1 + (2 / 3 + 1 / 2 + 1) / 4)),
    ],
)
def test_the_noise_ceiling_formula(repeats, expected):
    ceilings = noise_ceiling(np.array([0.0, 1.0, 0.5]), np.array(repeats))
    k = 1 / expected - 1
    np.testing.assert_allclose(ceilings, [0, expected, 0.25 / (0.25 + k)])


def test_the_noise_ceiling_refuses_nonsense():
    with pytest.raises(DataError, match=r"repeats: found \[0, 3\], expected 1, 2 or 3"):
        noise_ceiling(np.ones(2), np.array([3, 0]))
    with pytest.raises(DataError, match=r"ncsnr: found negative"):
        noise_ceiling(np.array([-1.0]), np.array([3]))
    with pytest.raises(DataError, match=r"ncsnr: .* non-finite"):
        noise_ceiling(np.array([np.nan]), np.array([3]))


def test_no_data_folder_says_where_to_get_one(tmp_path):
    with pytest.raises(DataError, match=r"no such folder.*algonauts.csail.mit.edu.*make demo"):
        find_subjects(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no folders subj01.*NSD data access form"):
        find_subjects(tmp_path)


def test_a_subjects_own_folder_is_recognised(simulated):
    with pytest.raises(DataError, match=r"one subject's folder; give the folder above"):
        find_subjects(simulated / "subj01")


def test_a_missing_subject_lists_those_there_are(simulated):
    for wrong, named in (("7", "'7'"), ("subject one", "'subject', 'one'")):
        with pytest.raises(DataError, match=rf"no subject {named}; it holds 01, 02"):
            find_subjects(simulated, wrong)


def test_wrong_split_and_hemisphere_list_the_right_ones(subject):
    with pytest.raises(DataError, match=r"unknown split 'training': choose from train, test"):
        subject.pictures("training")
    with pytest.raises(DataError, match=r"unknown hemisphere 'left': choose from lh, rh"):
        subject.responses("left")


@pytest.mark.parametrize(
    "name",
    [
        "lh.floc-faces_challenge_space.npy",
        "mapping_streams.npy",
    ],
)
def test_a_missing_mask_is_named(damaged, name):
    (damaged.folder / "roi_masks" / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: missing"):
        damaged.rois("lh")


def test_without_the_mask_of_all_vertices_the_responses_say_how_many_there_are(damaged):
    (damaged.folder / "roi_masks/lh.all-vertices_fsaverage_space.npy").unlink()
    assert damaged.n_vertices("lh") == damaged.responses("lh").shape[1] == 60
    assert len(damaged.noise_ceiling("lh")) == 60
    responses_of(damaged).unlink()
    assert damaged.n_vertices("lh") == damaged.responses("lh", "test").shape[1] == 60
    (damaged.folder / "test_split/test_fmri/lh_test_fmri.npy").unlink()
    assert damaged.n_vertices("lh") == 60, "by the noise ceilings"
    (damaged.folder / "test_split/noise_ceiling/lh_noise_ceiling.npy").unlink()
    with pytest.raises(DataError, match=r"lh_training_fmri.npy: missing"):
        damaged.rois("lh")


def test_missing_pictures_and_responses_are_named(damaged):
    responses_of(damaged).unlink()
    with pytest.raises(DataError, match=r"lh_training_fmri.npy: missing"):
        damaged.responses("lh")
    shutil.rmtree(damaged.folder / "test_split/test_images")
    with pytest.raises(DataError, match=r"test_images: missing; expected a folder of pictures"):
        damaged.pictures("test")
    (damaged.folder / "test_split/test_images").mkdir()
    with pytest.raises(DataError, match=r"holds no pictures \(.bmp, .gif, .jpeg"):
        damaged.pictures("test")


def test_hidden_files_are_no_pictures(damaged):
    first = damaged.pictures("train")[0]
    first.with_name("._" + first.name).write_bytes(b"left by an archiver")
    assert len(damaged.pictures("train")) == 40


def test_a_name_without_an_nsd_id(damaged):
    first = damaged.pictures("train")[0]
    first.rename(first.with_name("train-0001.png"))
    with pytest.raises(DataError, match=r"train-0001.png: the name holds no NSD id"):
        damaged.nsd_ids("train")
    first.with_name("train-0001.png").rename(first.with_name("train-0001_nsd-73000.png"))
    with pytest.raises(DataError, match=r"NSD id 73000, expected 0 to 72999"):
        damaged.nsd_ids("train")


def test_rows_must_be_the_pictures(damaged):
    damaged.pictures("train")[-1].unlink()
    with pytest.raises(DataError, match=r"40 rows, expected 39, one for each picture"):
        damaged.responses("lh")


def test_columns_must_be_the_vertices(damaged):
    shutil.copy(responses_of(damaged, "rh"), responses_of(damaged, "lh"))
    with pytest.raises(DataError, match=r"65 columns, expected 60.*another subject or hemisphere"):
        damaged.responses("lh")


def test_responses_of_another_kind(damaged):
    file = responses_of(damaged)
    values = np.load(file)
    np.save(file, values.astype(np.float64))
    with pytest.raises(DataError, match=r"float64 of shape \(40, 60\), expected float32"):
        damaged.responses("lh")
    np.save(file, values[0])
    with pytest.raises(DataError, match=r"float32 of shape \(60,\), expected float32, images x"):
        damaged.responses("lh")
    np.save(file, np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match=r"not read as a NumPy array"):
        damaged.responses("lh")


@pytest.mark.parametrize("keep", [0, 5, 300])
def test_responses_cut_short(damaged, keep):
    file = responses_of(damaged)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"lh_training_fmri.npy: not read as a NumPy array"):
        damaged.responses("lh")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_placed(damaged, value):
    file = responses_of(damaged)
    values = np.load(file)
    values[[31, 7, 39], [2, 5, 59]] = value
    np.save(file, values)
    with pytest.raises(
        DataError, match=rf"lh_training_fmri.npy: 3 values .* row 7, column 5 \({value}\)"
    ):
        damaged.check_finite("lh")


def test_labels_of_another_length_or_without_a_name(damaged):
    file = damaged.folder / "roi_masks/lh.streams_challenge_space.npy"
    labels = np.load(file)
    np.save(file, labels[:-1])
    with pytest.raises(DataError, match=r"lh.streams.*shape \(59,\), expected \(60,\)"):
        damaged.rois("lh")
    labels[4] = 9
    np.save(file, labels)
    with pytest.raises(DataError, match=r"label 9 is in no entry of mapping_streams.npy"):
        damaged.rois("lh")
    np.save(file, labels + 0.5)
    with pytest.raises(DataError, match=r"float64 values, expected whole numbers"):
        damaged.rois("lh")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c * 100, "0..1; these look like percent: divide by 100"),
        (lambda c: c - 1, "these do not look like ceilings"),
        (lambda c: c * np.nan, "holds NaN or infinite"),
        (lambda c: c[:-1], r"shape \(59,\), expected \(60,\)"),
    ],
)
def test_ceilings_that_are_no_fractions(damaged, change, message):
    file = damaged.folder / "test_split/noise_ceiling/lh_noise_ceiling.npy"
    np.save(file, change(np.load(file)))
    with pytest.raises(DataError, match=message):
        damaged.noise_ceiling("lh")


def test_a_picture_is_decoded_as_it_is(subject):
    picture = subject.pictures("train")[0]
    image = load_rgb(picture)
    assert image.mode == "RGB"
    assert image.size == (64, 64)
    with Image.open(picture) as plain:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(plain))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16", "1", "CMYK"])
def test_pictures_of_another_mode(tmp_path, mode):
    file = tmp_path / "picture.png"
    kind = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (20, 20)).save(file, kind)
    with pytest.raises(DataError, match=rf"picture.png: mode {mode}.*, expected 8-bit RGB; "):
        load_rgb(file)


def test_sixteen_bits_that_pillow_would_drop(tmp_path):
    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(4 * 6)) * 4)
    file = tmp_path / "deep.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    with Image.open(file) as opened:
        assert opened.mode == "RGB"
    with pytest.raises(DataError, match=r"deep.png: 16-bit RGB, expected 8-bit RGB"):
        load_rgb(file)


def test_a_transparent_colour_is_refused(tmp_path):
    file = tmp_path / "keyed.png"
    Image.new("RGB", (8, 8)).save(file, transparency=(0, 0, 0))
    with pytest.raises(DataError, match=r"mode RGB with transparency, expected 8-bit RGB"):
        load_rgb(file)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_its_tag_would_turn_is_refused(tmp_path, kind):
    file = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    Image.new("RGB", (8, 4)).save(file, kind, exif=exif)
    assert load_rgb(file).size == (8, 4)
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (8, 4)).save(file, kind, exif=exif)
    with pytest.raises(DataError, match=r"turned.png: turned by its EXIF tag \(orientation 6\)"):
        load_rgb(file)
    ImageOps.exif_transpose(Image.open(file)).save(file, "PNG")
    assert load_rgb(file).size == (4, 8)


def test_the_fix_that_is_offered_works(tmp_path):
    file = tmp_path / "grey.png"
    Image.new("L", (8, 8), 90).save(file)
    with pytest.raises(DataError) as caught:
        load_rgb(file)
    fix = str(caught.value).split("convert it with ")[1]
    assert fix == f'Image.open("{file}").convert("RGB").save("{file}", "PNG")'
    Image.open(file).convert("RGB").save(file, "PNG")
    assert load_rgb(file).getpixel((0, 0)) == (90, 90, 90)


def test_other_formats_under_a_png_name_are_judged_by_their_pixels(tmp_path):
    file = tmp_path / "picture.png"
    Image.new("RGB", (54, 16)).save(file, "BMP")  # a row of 164 bytes
    assert load_rgb(file).size == (54, 16)


@pytest.mark.parametrize("keep", [0, 20, 60, 3000])
def test_a_truncated_picture(tmp_path, subject, keep):
    file = tmp_path / "short.png"
    file.write_bytes(subject.pictures("train")[0].read_bytes()[:keep])
    with pytest.raises(DataError, match=r"short.png: not decoded"):
        load_rgb(file)


def test_what_is_no_picture(tmp_path):
    file = tmp_path / "page.png"
    file.write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"page.png: not decoded .* expected a whole 8-bit RGB"):
        load_rgb(file)
    with pytest.raises(DataError, match=r"none.png: missing"):
        load_rgb(tmp_path / "none.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_decompression_bomb(tmp_path, side):
    file = tmp_path / "bomb.png"
    Image.new("1", (side, side)).save(file)
    content = bytearray(file.read_bytes())
    # The header says RGB now; the pixels need not be there, as they must not be read.
    content[24:26] = bytes([8, 2])
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"bomb.png: implausibly large"):
        load_rgb(file)
