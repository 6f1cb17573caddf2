"""One space has one name and one file, however it was written."""

from pathlib import Path

import numpy as np
import pytest

from cache import FeatureStore
from cache.exchange.import_rows import import_rows, open_source
from challenge import find_subjects
from extract.errors import ExtractError
from extract.pipeline.stage import Options, compute_features

WRITTEN = ("timm:test_vit", "test_vit", "timm:test_vit/r160_in1k@pooled", "test_vit@pooled")


def _extract(data: Path, out: Path, *spaces: str) -> list[str]:
    """Compute spaces; give the names of what is kept then."""
    weights = [f"{name}=random:0" for name in spaces]
    compute_features(data, out, "1", spaces, weights, Options(device="cpu", workers=0))
    return [entry.name for entry in FeatureStore(out / "features").entries()]


def test_ways_to_write_a_space_are_one(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _extract(simulated, tmp_path, *WRITTEN) == [WRITTEN[0]]
    said = capsys.readouterr().out
    for name in WRITTEN[1:]:
        assert f"{name} is kept as {WRITTEN[0]}: use that name from here on" in said
    # Asked for alone, and later, too.
    assert _extract(simulated, tmp_path, WRITTEN[2]) == [WRITTEN[0]]
    assert f"{WRITTEN[0]}: 0 pictures computed, 52 there already" in capsys.readouterr().out


def test_a_short_name_goes_before_what_it_stands_for(simulated: Path, tmp_path: Path) -> None:
    long = "timm:tf_efficientnet_lite0/in1k@pooled"
    assert _extract(simulated, tmp_path / "both", long, "efficientnet_lite0") == [
        "efficientnet_lite0"
    ]
    assert _extract(simulated, tmp_path / "both", long) == ["efficientnet_lite0"]
    # Kept under the long name, it stays there.
    assert _extract(simulated, tmp_path / "long", long) == [long]
    assert _extract(simulated, tmp_path / "long", "efficientnet_lite0") == [long]


def test_what_was_begun_under_another_name_is_taken_up(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _extract(simulated, tmp_path, WRITTEN[1])
    # As a killed extraction leaves it: a shard, and no file.
    (whole,) = (tmp_path / "features").glob("*.h5")
    whole.with_suffix(".shards").mkdir()
    whole.rename(whole.with_suffix(".shards") / "shard-0123456789ab.h5")
    capsys.readouterr()
    assert _extract(simulated, tmp_path, WRITTEN[2]) == [WRITTEN[1]]
    assert f"{WRITTEN[1]}: 0 pictures computed, 52 there already" in capsys.readouterr().out


def test_weights_are_for_a_network_whatever_its_layers(simulated: Path, tmp_path: Path) -> None:
    weights = ["test_vit=random:3"]
    names = ["test_vit@blocks.0", "test_vit#mean"]
    compute_features(simulated, tmp_path, "1", names, weights, Options(device="cpu", workers=0))
    entries = FeatureStore(tmp_path / "features").entries()
    assert [e.meta["key"]["weights"]["untrained"] for e in entries] == ["random:3"] * 2


def test_a_name_that_was_given_to_imported_numbers_is_refused(
    simulated: Path, tmp_path: Path
) -> None:
    digests = find_subjects(simulated, "1")[0].picture_digests("train")
    np.savez(tmp_path / "x.npz", features=np.ones((40, 2)), pictures=np.array(digests))
    store = FeatureStore(tmp_path / "features")
    path, _ = import_rows(store, "test_vit", open_source(tmp_path / "x.npz"), digests)
    message = f"--spaces test_vit: {path} has this name, imported from x.npz; expected .* another"
    with pytest.raises(ExtractError, match=message):
        _extract(simulated, tmp_path, "test_vit")
    assert _extract(simulated, tmp_path, "timm:test_vit") == ["test_vit", "timm:test_vit"]
