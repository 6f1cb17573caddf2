"""Files of 2026-11-22, from before names and folders of the code changed, still load."""

from pathlib import Path

import numpy as np
import pytest

from cache import FeatureStore, read_artifact
from regress import load_fit
from tests.builders.commands import call

FILES = Path(__file__).parents[1] / "old_files"
FITS = sorted(FILES.glob("fits/*/subj01/*.h5"))


def test_features_are_found_by_their_keys() -> None:
    entries = FeatureStore(FILES / "features").entries()
    assert [entry.name for entry in entries] == ["narrow", "wide"]
    for entry in entries:
        assert entry.path.stem == f"{entry.name}-{entry.digest}"


@pytest.mark.parametrize("path", FITS, ids=lambda path: path.parts[-3])
def test_fits_predict_what_they_stored(path: Path) -> None:
    arrays, _ = read_artifact(path)
    model, meta = load_fit(path)
    store = FeatureStore(FILES / "features")
    pictures = arrays["test_pictures"].astype(str).tolist()
    X = np.hstack([store.read(store.find(name), pictures) for name in meta["spaces"]])
    # float32 features and weights, on whichever processor.
    np.testing.assert_allclose(model.predict(X), arrays["test_predictions"], rtol=1e-4, atol=1e-5)


def test_a_configuration_is_read() -> None:
    done = call("regress", "--config", FILES / "fit.yaml", "--print_config")
    assert done.returncode == 0, done.stderr
    lines = (FILES / "fit.yaml").read_text().splitlines()
    assert set(lines) <= set(done.stdout.splitlines())
