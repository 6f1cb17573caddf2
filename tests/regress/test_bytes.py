"""Pictures in bytes: kept as such, standardised in each batch, predicted block by block."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache import FeatureStore
from challenge import find_subjects
from regress import load_design
from regress.models.linear import Linear
from regress.models.ridge import Ridge
from regress.training.inputs import feature_scale


def _pixels(n: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, columns), np.uint8)


def _responses(X: np.ndarray, t: int = 5) -> np.ndarray:
    rng = np.random.default_rng(1)
    Z = (X.astype(float) - 127.5) / 74
    noise = rng.standard_normal((len(X), t))
    return (Z @ rng.standard_normal((X.shape[1], t)) + noise).astype(np.float32)


def test_bytes_are_the_numbers_that_they_are() -> None:
    X = _pixels(300, 20)
    X[:, 3] = 7
    Y = _responses(X)
    own: dict[str, Any] = {"epochs": 5, "lr": 0.01}
    model = Linear(**own).fit(X, Y)
    plain = Linear(**own).fit(X.astype(np.float32), Y)
    predicted = model.refit(X, Y).predict(X)
    assert predicted.dtype == np.float32
    np.testing.assert_array_equal(predicted, plain.refit(X.astype(np.float32), Y).predict(X))
    np.testing.assert_array_equal(predicted, plain.predict(X.astype(np.float32)))


def test_scales_do_not_depend_on_how_columns_are_divided() -> None:
    X = _pixels(50, 5000)
    X[:, 2100] = 9
    centre, scale = feature_scale(X)
    plain = X.astype(np.float64)
    np.testing.assert_allclose(centre, plain.mean(0), rtol=1e-6)
    expected = plain.std(0)
    expected[2100] = 1
    np.testing.assert_allclose(scale, expected, rtol=1e-6)


def test_no_second_copy_of_the_pictures_is_made() -> None:
    """4 bytes a pixel would be 4 times what they take."""
    X = _pixels(1500, 12_000)
    Y = np.random.default_rng(0).standard_normal((len(X), 1)).astype(np.float32)
    model = Linear(epochs=1, batch=32, lr=1e-5, validation=0.02)
    tracemalloc.start()
    try:
        model.fit(X, Y)
        model.predict(X[:100])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The pictures without those that stop the training are copied once, as bytes, for their scale;
    # that is computed in float64 for some columns at a time.
    assert most < 1.2 * X.nbytes + 3 * 1500 * 2048 * 8


def test_a_design_keeps_bytes_where_all_are(simulated: Path, tmp_path: Path) -> None:
    (subject,) = find_subjects(simulated, "01")
    names = [n for split in ("train", "test") for n in subject.picture_digests(split)]
    pixels = _pixels(len(names), 48)
    store = FeatureStore(tmp_path / "features")
    for name, rows in (("bytes", pixels), ("floats", pixels.astype(np.float32))):
        with store.writer(name, {"made": name}, {"origin": "x"}) as writer:
            writer.add(names, rows)
    entries = [store.find(name) for name in ("bytes", "floats")]
    kept = load_design(subject, store, entries[:1])
    assert (kept.train.dtype, kept.test.dtype) == (np.uint8, np.uint8)
    np.testing.assert_array_equal(np.concatenate([kept.train, kept.test]), pixels)
    both = load_design(subject, store, entries)
    assert both.train.dtype == np.float32
    # Solved models compute with numbers, whatever they are stored as.
    Y = _responses(kept.train)
    solved = Ridge().fit(kept.train, Y).predict(kept.test)
    plain = Ridge().fit(kept.train.astype(np.float32), Y).predict(kept.test.astype(np.float32))
    np.testing.assert_array_equal(solved, plain)
    assert store.read(entries[0], names).dtype == np.float32


@pytest.mark.parametrize("n", [2, 30, 1100])
def test_predictions_come_in_blocks(n: int) -> None:
    class InBlocks(Linear):
        block = 7

    X = _pixels(n, 6)
    model = Linear(epochs=1).fit(_pixels(50, 6), _responses(_pixels(50, 6)))
    blocked = InBlocks().restore(model.state())
    np.testing.assert_allclose(blocked.predict(X), model.predict(X), atol=1e-5)
    # Validation pictures too.
    parts = InBlocks(epochs=2, validation=0.5).fit(X, _responses(X)) if n == 30 else blocked
    assert parts.predict(X).shape == (n, 5)
