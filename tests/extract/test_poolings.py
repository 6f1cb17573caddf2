"""Each family, kind of layer and pooling beside what the libraries give as documented, by hand."""

from functools import cache

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from PIL import Image
from sklearn.random_projection import SparseRandomProjection
from torchvision.models.feature_extraction import create_feature_extractor

from challenge import find_subjects
from extract.pooling import choose_projection, pool
from extract.run import prepare
from extract.spaces import FAMILIES, resolve
from networks.weights import Request

CPU = torch.device("cpu")
POOLINGS = {
    "vector": ["flatten"],
    "cls": ["cls"],
    "maps": ["mean", "max", "grid1", "grid2", "grid3", "flatten"],
}


def with_seed(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def tokens(values, prefix, has_class=True):
    """Lay out (images, tokens, channels) by hand; patches lie row by row."""
    values = values.numpy()
    n_images, n_tokens, n_channels = values.shape
    side = round((n_tokens - prefix) ** 0.5)
    patches = values[:, prefix:].reshape(n_images, side, side, n_channels)
    given = {"maps": np.moveaxis(patches, 3, 1)}
    return {**given, "cls": values[:, 0]} if has_class else given


def open_clip_by_hand(_model, layers, images):
    model, _, preprocess = with_seed(
        lambda: open_clip.create_model_and_transforms(
            "ViT-B-32", pretrained=None, force_quick_gelu=True
        )
    )
    batch = torch.stack([preprocess(image) for image in images])
    given = {"embedding": {"vector": model.eval().encode_image(batch).numpy()}}
    indices = [int(name.partition(".")[2]) for name in layers if name != "embedding"]
    inner = model.visual.forward_intermediates(batch, indices, output_extra_tokens=True)
    for index, maps, extra in zip(
        indices, inner["image_intermediates"], inner["image_intermediates_prefix"], strict=True
    ):
        given[f"blocks.{index}"] = {"maps": maps.numpy(), "cls": extra[:, 0].numpy()}
    return given


def timm_by_hand(name, layers, images):
    model = with_seed(lambda: timm.create_model(name)).eval()
    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    batch = torch.stack([transform(image) for image in images])
    kept = {}
    indices = [int(layer.partition(".")[2]) for layer in layers if layer.startswith("blocks.")]
    transformer = "vit" in name
    for index in indices if transformer else ():
        model.blocks[index].register_forward_hook(
            lambda _m, _i, output, index=index: kept.update({index: output})
        )
    features = model.forward_features(batch)
    model.reset_classifier(0)
    given = {"pooled": {"vector": model(batch).numpy()}}
    if "samvit" in name:
        given["features"] = {"maps": features.numpy()}
        return given | {f"blocks.{n}": {"maps": kept[n].permute(0, 3, 1, 2).numpy()} for n in kept}
    if transformer:
        has_class = name != "test_vit2"  # its first token is a register
        given["features"] = tokens(features, 1, has_class)
        return given | {f"blocks.{n}": tokens(kept[n], 1, has_class) for n in kept}
    stages = with_seed(lambda: timm.create_model(name, features_only=True, out_indices=indices))
    if "efficientnet" in name:  # its parts are drawn in another order
        assert not stages.load_state_dict(model.state_dict(), strict=False).missing_keys
    last = name == "test_mambaout"  # channels last
    given["features"] = {"maps": (features.permute(0, 3, 1, 2) if last else features).numpy()}
    for index, stage in zip(indices, stages.eval()(batch), strict=True):
        stage = stage.permute(0, 3, 1, 2) if last else stage
        given[f"blocks.{index}"] = {"maps": stage.numpy()}
    return given


ALIASES = {"alexnet": {"conv1": "features.1", "conv4": "features.9"}}


def torchvision_by_hand(name, layers, images):
    options = {"transform_input": True, "init_weights": True} if name == "googlenet" else {}
    model = with_seed(lambda: torchvision.models.get_model(name, **options)).eval()
    transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    batch = torch.stack([transform(image) for image in images])
    nodes = {ALIASES.get(name, {}).get(layer, layer): layer for layer in layers}
    for part in model.modules():  # a convolution is read before the ReLU after it
        if getattr(part, "inplace", False):
            part.inplace = False
    given = {}
    for layer, values in create_feature_extractor(model, nodes)(batch).items():
        if values.ndim == 2:
            given[layer] = {"vector": values.numpy()}
        elif values.ndim == 3:
            given[layer] = tokens(values, 1)
        else:
            last = name == "swin_t" and layer != "permute"
            given[layer] = {"maps": (values.permute(0, 3, 1, 2) if last else values).numpy()}
    return given


def pixels_by_hand(side, _layers, images):
    small = [image.resize((int(side), int(side)), Image.Resampling.BICUBIC) for image in images]
    return {"rgb": {"vector": np.stack([np.moveaxis(np.array(s), 2, 0).ravel() for s in small])}}


BY_HAND = {
    "open_clip": open_clip_by_hand,
    "timm": timm_by_hand,
    "torchvision": torchvision_by_hand,
    "pixels": pixels_by_hand,
}
NETWORKS = {
    "open_clip:ViT-B-32/openai": ["embedding", "blocks.0", "blocks.11"],
    "timm:test_vit": ["features", "pooled", "blocks.0", "blocks.5"],
    "timm:test_vit2": ["features", "pooled", "blocks.3"],
    "timm:samvit_base_patch16_224": ["features", "pooled", "blocks.2"],
    "timm:test_resnet": ["features", "pooled", "blocks.0", "blocks.4"],
    "timm:test_efficientnet": ["features", "pooled", "blocks.2"],
    "timm:test_mambaout": ["features", "pooled", "blocks.1"],
    "torchvision:alexnet": ["conv1", "conv4", "features.12", "classifier.2"],
    "torchvision:resnet18": ["layer2", "fc", "layer3.0.conv1"],
    "torchvision:swin_t": ["features.3", "norm", "permute", "head"],
    "torchvision:vit_b_32": ["encoder.layers.encoder_layer_4", "encoder.ln"],
    "torchvision:googlenet": ["conv3", "inception4a"],
    "pixels:24": ["rgb"],
}


@pytest.fixture(scope="module")
def images(simulated):
    paths = find_subjects(simulated, "01")[0].pictures("train")[:3]
    return [Image.open(path).convert("RGB") for path in paths]


@pytest.fixture(scope="module")
def both(images):
    """Run a network as we do and by hand, each once for all its layers."""

    @cache
    @torch.inference_mode()
    def run(network):
        family, _, model = network.partition(":")
        layers = NETWORKS[network]
        name = f"{network}@{'+'.join(layers)}"
        backbone = prepare(resolve(name), Request(name, "random:0"), CPU).backbone
        batch = torch.stack([backbone.preprocess(image) for image in images])
        expected = BY_HAND[family](model.partition("/")[0], layers, images)
        return backbone.forward(batch, layers), expected

    return run


def grid_by_hand(maps, k):
    """Means over k x k fields, the edges rounded outward as torch documents it."""
    height, width = maps.shape[2:]
    found = np.empty((*maps.shape[:2], k, k), maps.dtype)
    for i in range(k):
        rows = slice(i * height // k, -(-(i + 1) * height // k))
        for j in range(k):
            columns = slice(j * width // k, -(-(j + 1) * width // k))
            found[:, :, i, j] = maps[:, :, rows, columns].mean((2, 3))
    return found


def pooled_by_hand(expected, how):
    if how == "cls" or "vector" in expected:
        return expected.get("vector", expected.get("cls"))
    maps = expected["maps"]
    if how in ("mean", "max"):
        return getattr(maps, how)((2, 3))
    fields = grid_by_hand(maps, int(how[4:])) if how.startswith("grid") else maps
    return fields.reshape(len(maps), -1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:NOTE. The nodes")
@pytest.mark.parametrize(
    ("network", "layer"), [(network, layer) for network in NETWORKS for layer in NETWORKS[network]]
)
def test_every_pooling_is_what_it_is_by_hand(both, network, layer):
    ours, by_hand = (given[layer] for given in both(network))
    kinds = {"vector": ours.vector, "cls": ours.cls, "maps": ours.spatial}
    assert {kind for kind in kinds if kinds[kind] is not None} == set(by_hand)
    for how in [how for kind in by_hand for how in POOLINGS[kind]]:
        expected = pooled_by_hand(by_hand, how)
        found = pool(ours, how, layer).numpy()
        assert found.dtype == (np.uint8 if network.startswith("pixels") else np.float32)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale, err_msg=how)
        assert np.ptp(expected, axis=0).max() > 1e-3 * scale  # pictures do differ
        if found.dtype == np.uint8 or found.shape[1] <= 48:
            continue
        projection = choose_projection(found.shape[1], 48)
        reference = SparseRandomProjection(48, random_state=0).fit_transform(expected)
        atol = 1e-4 * np.abs(reference).max()
        np.testing.assert_allclose(projection(found), reference, rtol=1e-3, atol=atol)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_resnet", "test_efficientnet"])
@torch.inference_mode()
def test_layers_together_are_what_they_are_alone(name):
    # Together they come of one pass, alone of `forward_features` or a pass that stops early.
    backbone = prepare(resolve(f"timm:{name}"), Request(name, "random:0"), CPU).backbone
    shape = (2, 3, backbone.size, backbone.size)
    batch = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    together = backbone.forward(batch, backbone.layers)
    for layer in backbone.layers:
        alone = backbone.forward(batch, [layer])
        assert list(alone) == [layer]
        for kind in ("vector", "spatial", "cls"):
            one, other = getattr(alone[layer], kind), getattr(together[layer], kind)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_no_family_is_left_out():
    assert {network.partition(":")[0] for network in NETWORKS} == set(FAMILIES) == set(BY_HAND)
