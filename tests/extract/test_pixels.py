"""Pictures as they are: resized, in bytes."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from challenge import find_subjects, load_rgb
from extract.errors import ExtractError
from extract.run import compute, prepare
from extract.spaces import resolve
from networks.weights import Request

CPU = torch.device("cpu")


def ready(name, given=None, precision="float32"):
    return prepare(resolve(name), Request(name, given), CPU, precision)


def row(prepared, picture):
    (rows,) = compute([prepared], prepared.backbone.preprocess(picture)[None])
    assert rows.dtype == np.uint8
    return rows[0]


def test_a_picture_of_that_size_comes_back_as_it_is(simulated):
    picture = load_rgb(find_subjects(simulated, "01")[0].pictures("train")[0])
    assert picture.size == (64, 64)
    found = row(ready("pixels:64"), picture).reshape(3, 64, 64)
    np.testing.assert_array_equal(found, np.moveaxis(np.array(picture), 2, 0))


def test_resizing_is_smoothed_as_torch_does_it(simulated):
    picture = load_rgb(find_subjects(simulated, "01")[0].pictures("train")[1])
    found = row(ready("pixels:20"), picture).reshape(3, 20, 20)
    values = torch.tensor(np.moveaxis(np.array(picture), 2, 0))[None]
    expected = interpolate(values, (20, 20), mode="bicubic", antialias=True)[0].numpy()
    assert np.abs(found.astype(int) - expected).max() <= 1
    # A fine grid becomes its mean: without smoothing it would be stripes.
    fine = np.indices((128, 128)).sum(0)[..., None] % 2 * np.full(3, 255)
    small = row(ready("pixels:16"), Image.fromarray(fine.astype(np.uint8)))
    assert np.abs(small.astype(float) - 127.5).max() <= 2


def test_the_middle_square_of_other_shapes():
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = (10, 200, 30)
    expected = np.repeat([10, 200, 30], 64)
    for values in (wide, wide.transpose(1, 0, 2)):
        found = row(ready("pixels:8"), Image.fromarray(np.ascontiguousarray(values)))
        np.testing.assert_array_equal(found, expected)
    one = Image.fromarray(np.full((1, 1, 3), 7, np.uint8))
    np.testing.assert_array_equal(row(ready("pixels:8"), one), np.full(192, 7))


def test_the_key_is_of_the_side_alone():
    key = ready("pixels:8").key
    assert key["family"] == "pixels"
    assert key["dtype"] == "uint8"
    assert "untrained" not in str(ready("pixels:8", "random:0").key)
    assert ready("pixels:8@rgb#flatten~0").key == key
    assert ready("pixels:9").key != key
    # No network runs, so none runs in another precision.
    assert ready("pixels:8", precision="bfloat16").key == key


def test_worker_processes_can_resize():
    preprocess = pickle.loads(pickle.dumps(ready("pixels:8").backbone.preprocess))  # noqa: S301
    assert preprocess(Image.new("RGB", (9, 9), (1, 2, 3))).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (
            "pixels:0",
            None,
            r"pixels:0: '0' is not a side in pixels: write pixels:128, or another wh",
        ),
        ("pixels:1025", None, r"another whole number from 1 to 1024"),
        ("pixels:128x96", None, r"'128x96' is not a side"),
        ("pixels:-1", None, r"'-1' is not a side"),
        ("pixels:08", None, r"'08' is not a side"),
        ("pixels:²", None, r"is not a side"),
        ("pixels:8/in1k", None, r"pixels:8/in1k: pixels have no weights, found 'in1k': leave them"),
        ("pixels:8", "x.pth", r"pixels have no weights, found 'x\.pth'"),
        ("pixels:8@red", None, r"pixels:8 has no layer 'red': choose from rgb"),
    ],
)
def test_what_pixels_cannot_be(name, given, message):
    with pytest.raises(ExtractError, match=message):
        ready(name, given)
