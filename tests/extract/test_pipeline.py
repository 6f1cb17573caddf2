"""Several spaces at once: one decode, one run of each network, the same rows as one by one."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.modules.module import register_module_forward_hook

from base import sha256_files
from base.command_line.parser import run
from cache import FeatureStore
from challenge import DataError, find_subjects, load_rgb
from extract.__main__ import extract as command
from extract.errors import ExtractError
from extract.pipeline.devices import Recipe, compute_on
from extract.pipeline.shared_passes import RunStats, extract_spaces
from extract.pipeline.stage import Options, compute_features
from extract.run import Prepared, compute, prepare
from extract.spaces import resolve
from networks.weights import Request
from regress import load_design
from regress.data.design import find_spaces

VIT, RESNET = "timm:test_vit", "timm:test_resnet"
APART = "timm:test_vit@blocks.0,blocks.2#mean"
SPACES = (VIT, RESNET, APART, "pixels:16")
CPU = torch.device("cpu")


def _ready(name: str, **options: str) -> Prepared:
    given = None if name.startswith("pixels") else "random:0"
    return prepare(resolve(name), Request(name, given), CPU, **options)


@pytest.fixture(scope="module")
def pictures(simulated: Path) -> list[tuple[str, Path]]:
    subject = find_subjects(simulated, "01")[0]
    paths = [*subject.pictures("train"), *subject.pictures("test")]
    return list(zip(sha256_files(paths), paths, strict=True))


def _rows(folder: Path, pictures: list[tuple[str, Path]], name: str) -> np.ndarray:
    store = FeatureStore(folder)
    return store.read(store.find(name), [digest for digest, _ in pictures])


@pytest.mark.parametrize("workers", [0, 2])
def test_together_as_apart(pictures: list[tuple[str, Path]], tmp_path: Path, workers: int) -> None:
    together = [_ready(name) for name in SPACES]
    done = extract_spaces(together, pictures, FeatureStore(tmp_path / "all"), workers)
    assert done.computed == [52] * len(SPACES)
    assert done.network_seconds > 0
    for name in SPACES:
        extract_spaces([_ready(name)], pictures, FeatureStore(tmp_path / "one"))
        rows = _rows(tmp_path / "all", pictures, name)
        np.testing.assert_allclose(rows, _rows(tmp_path / "one", pictures, name), atol=1e-5)
    again = extract_spaces(together, pictures, FeatureStore(tmp_path / "all"), workers)
    assert again.computed == [0] * len(SPACES)


def test_each_picture_is_decoded_once_and_each_network_runs_once(
    pictures: list[tuple[str, Path]], tmp_path: Path
) -> None:
    ready = [_ready(name) for name in (VIT, APART, RESNET)]
    extract_spaces(ready, pictures[:3], FeatureStore(tmp_path))
    # Equal networks are one object now; it runs once a batch for both of its spaces.
    assert ready[0].backbone is ready[1].backbone
    runs: list[str] = []
    for prepared in ready[1:]:
        prepared.backbone.module.register_forward_pre_hook(lambda *_: runs.append("network"))
    first = next(ready[0].backbone.module.children())
    first.register_forward_pre_hook(lambda *_: runs.append("vit"))
    extract_spaces(ready, pictures[:20], FeatureStore(tmp_path))
    assert runs.count("vit") <= 2


def test_a_network_takes_as_many_pictures_as_its_outputs_leave_room_for(
    pictures: list[tuple[str, Path]],
) -> None:
    one = _ready("efficientnet_lite0")
    sizes = []
    for module in one.backbone.module.modules():
        module.register_forward_hook(lambda _m, _i, output: sizes.append(output.nbytes))
    batch = torch.stack([one.backbone.preprocess(load_rgb(path)) for _, path in pictures[:9]])
    in_pieces = compute([one], batch)[0]
    # 96 maps of 112 x 112 are the largest: four pictures are 18 MiB of 20.
    assert max(sizes) == 4 * 96 * 112 * 112 * 4
    one.at_once = 9
    np.testing.assert_allclose(in_pieces, compute([one], batch)[0], atol=1e-5)
    # On a GPU nothing of this matters.
    gpu = prepare(resolve(VIT), Request(VIT, "random:0"), torch.device("meta"))
    assert gpu.at_once == 32


def test_only_what_a_space_lacks(pictures: list[tuple[str, Path]], tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    extract_spaces([_ready(VIT)], pictures[:30], store)
    extract_spaces([_ready(RESNET)], pictures[20:40], store)
    done = extract_spaces([_ready(VIT), _ready(RESNET)], pictures, store)
    assert done.computed == [22, 32]
    extract_spaces([_ready(VIT), _ready(RESNET)], pictures, FeatureStore(tmp_path / "whole"))
    for name in (VIT, RESNET):
        expected = _rows(tmp_path / "whole", pictures, name)
        np.testing.assert_allclose(_rows(tmp_path, pictures, name), expected, atol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_picture_keeps_the_rows_before_it(
    pictures: list[tuple[str, Path]], tmp_path: Path, workers: int
) -> None:
    bad = tmp_path / "bad.png"
    Image.new("L", (9, 9)).save(bad)
    some = [*pictures[:40], ("0" * 64, bad), *pictures[40:]]
    with pytest.raises(DataError, match=r"^\S*bad.png: mode L, expected 8-bit RGB"):
        extract_spaces([_ready(VIT)], some, FeatureStore(tmp_path), workers)
    done = extract_spaces([_ready(VIT)], pictures, FeatureStore(tmp_path), workers)
    assert done.computed == [52 - 32]


def test_pictures_of_any_size_give_a_row(tmp_path: Path) -> None:
    for number, size in enumerate([(1, 1), (3, 200), (900, 7)]):
        Image.new("RGB", size, (number, 99, 200)).save(tmp_path / f"{number}.png")
    paths = sorted(tmp_path.glob("*.png"))
    pictures = list(zip(sha256_files(paths), paths, strict=True))
    extract_spaces([_ready(VIT), _ready("pixels:16")], pictures, FeatureStore(tmp_path / "out"))
    assert np.isfinite(_rows(tmp_path / "out", pictures, VIT)).all()
    pixels = _rows(tmp_path / "out", pictures, "pixels:16").reshape(3, 3, 16, 16)
    np.testing.assert_array_equal(pixels[:, 0, 8, 8], [0, 1, 2])


def test_bands_and_pixels_as_regress_reads_them(simulated: Path, tmp_path: Path) -> None:
    subject = find_subjects(simulated, "01")[0]
    paths = [*subject.pictures("train"), *subject.pictures("test")]
    pictures = list(zip(sha256_files(paths), paths, strict=True))
    store = FeatureStore(tmp_path)
    extract_spaces([_ready(name) for name in SPACES], pictures, store)
    design = load_design(subject, store, find_spaces(store, [VIT, APART, "pixels:16"]))
    width = resolve_width = design.train.shape[1] - 3 * 16 * 16
    assert width == resolve_width > 0
    assert design.spaces == (VIT, APART, "pixels:16")
    assert design.band_names == (VIT, f"{APART}[blocks.0]", f"{APART}[blocks.2]", "pixels:16")
    assert np.bincount(design.bands).tolist()[-1] == 768
    assert len(set(design.band_keys)) == 4
    assert store.find("pixels:16").meta["dtype"] == "uint8"
    with Image.open(paths[0]) as image:
        assert image.mode == "RGB"


def test_half_precision_only_where_it_fits(
    pictures: list[tuple[str, Path]], tmp_path: Path
) -> None:
    store = FeatureStore(tmp_path)
    half, full = _ready(VIT, dtype="float16"), _ready(VIT)
    extract_spaces([half, full], pictures[:8], store)
    assert {entry.meta["dtype"] for entry in store.entries()} == {"float16", "float32"}
    rows = [take.astype(np.float32) for take in _both(store, pictures[:8])]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3, atol=1e-3)
    huge = _ready(RESNET, dtype="float16")
    with torch.no_grad():
        for parameter in huge.backbone.module.parameters():
            parameter.mul_(100)
    with pytest.raises(ExtractError, match=r"--dtype float16: timm:test_resnet has values up to"):
        extract_spaces([huge], pictures[:8], FeatureStore(tmp_path / "huge"))


@pytest.mark.parametrize("layers", ["pooled", "blocks.0+pooled"])
def test_e10_features_that_vanish_in_half_precision_are_refused(
    pictures: list[tuple[str, Path]], tmp_path: Path, layers: str
) -> None:
    name = f"{VIT}@{layers}#mean"

    def scaled(factor: float, dtype: str) -> Prepared:
        prepared = _ready(name, dtype=dtype)
        norm = prepared.backbone.module.get_submodule("norm")
        with torch.no_grad():
            for parameter in norm.parameters():
                parameter.mul_(factor)
        return prepared

    store = FeatureStore(tmp_path / "full")
    extract_spaces([scaled(1e-8, "float32")], pictures[:4], store)
    (kept,) = store.entries()
    rows = store.read(kept, [d for d, _ in pictures[:4]])[:, -64:]
    assert 0 < np.abs(rows).max() < 1e-7
    # What float16 would have kept of them.
    assert (rows.astype(np.float16) == 0).mean() > 0.5
    said = r"--dtype float16: \S+ has values of at most \S+ in layer pooled, 100% of them below 6"
    with pytest.raises(ExtractError, match=said):
        extract_spaces([scaled(1e-8, "float16")], pictures[:4], FeatureStore(tmp_path / "half"))
    extract_spaces([scaled(1e-2, "float16")], pictures[:4], FeatureStore(tmp_path / "enough"))


def _both(store: FeatureStore, pictures: list[tuple[str, Path]]) -> list[np.ndarray]:
    return [store.read(entry, [d for d, _ in pictures]) for entry in store.entries()]


def test_reduced_precision_tells_its_cosine_once(
    pictures: list[tuple[str, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = [_ready(name, precision="bfloat16") for name in (VIT, RESNET)]
    extract_spaces(ready, pictures, FeatureStore(tmp_path))
    said = re.findall(r"(\S+): bfloat16 beside float32, cosine (0\.\d+)", capsys.readouterr().out)
    assert [name for name, _ in said] == [VIT, RESNET]
    full = [_ready(name) for name in (VIT, RESNET)]
    for reduced, plain, (_, cosine) in zip(ready, full, said, strict=True):
        with Image.open(pictures[0][1]) as image:
            batch = plain.backbone.preprocess(image)[None]
        a, b = (compute([one], batch)[0][0].astype(float) for one in (reduced, plain))
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) >= float(cosine) - 1e-6 > 0.99


def test_two_ways_to_write_a_layer_are_one_space(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{VIT}@-1", f"{VIT}@1.0", f"{VIT}@blocks.5"]
    weights = [f"{name}=random:0" for name in names]
    compute_features(simulated, tmp_path, "all", names, weights, Options(device="cpu", workers=0))
    said = capsys.readouterr().out
    assert f"{VIT}@-1 is kept as {VIT}@blocks.5: use that name from here on" in said
    assert [e.name for e in FeatureStore(tmp_path / "features").entries()] == [names[2]]


def test_two_devices_share_the_work(
    simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = {"one": 0, "two": 0}
    # One of them in two spellings: every process must find the same name for it.
    asked = [RESNET, VIT, f"{VIT}/r160_in1k"]
    weights = [f"{name}=random:0" for name in asked]
    for name, device in (("one", "cpu"), ("two", "cpu,cpu")):

        def count(_module: object, _inputs: object, output: object, name: str = name) -> None:
            # Shapes are learned from fake tensors, wherever the network runs.
            ran[name] += type(output) is torch.Tensor

        hook = register_module_forward_hook(count)
        options = Options(device=device, precision="bfloat16", workers=0)
        compute_features(simulated, tmp_path / name, "all", asked, weights, options)
        hook.remove()
        said = capfd.readouterr().out
        assert f"on {device.replace(',', ', ')}\n" in said
        assert said.count("beside float32, cosine") == 2
    assert ran["one"] > 0 == ran["two"]
    stores = [FeatureStore(tmp_path / name / "features") for name in ("two", "one")]
    digests = find_subjects(simulated, "02")[0].picture_digests("train")
    assert [entry.name for entry in stores[0].entries()] == [RESNET, VIT]
    for name in (VIT, RESNET):
        two, one = (store.read(store.find(name), digests) for store in stores)
        np.testing.assert_allclose(two, one, rtol=0.05, atol=0.05)
    assert not list(tmp_path.rglob("*.shards"))


def test_a_bad_picture_on_two_devices(
    broken: Callable[[], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = broken()
    path = find_subjects(data, "01")[0].pictures("train")[38]
    path.write_bytes(path.read_bytes()[:1000])
    arguments = ["--data", str(data), "--out", str(tmp_path / "o"), "--subject", "1"]
    arguments += ["--spaces", VIT, "--weights", f"{VIT}=random:0", "--device", "cpu,cpu"]
    assert run(command, "extract", [], arguments) == 2
    errors = capfd.readouterr().err
    assert f"error: {path}: not decoded" in errors
    assert "Traceback" not in errors


class Dying(Recipe):
    """Ends its process, as the system does when memory runs out."""

    def prepare(self, device: torch.device) -> list[Prepared]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_process_that_is_killed_is_said(tmp_path: Path) -> None:
    recipe = Dying([], [], "float32", "float32", FeatureStore(tmp_path), 0, {})
    message = r"^--device cpu,cpu: a process was ended from outside.*run it again"
    with pytest.raises(ExtractError, match=message):
        list(compute_on([CPU, CPU], recipe, [((0,), [("0" * 64, tmp_path)])], RunStats([])))
