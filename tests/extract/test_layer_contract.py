"""Every layer that is listed is the network's own output there, beside hooks that clone.

The reference is the library's network as it is, with its activations in place, drawn from the same
seed, and a hook on each module that clones what it puts out. Pictures are small, and the networks
have random weights.
"""

import json

import open_clip
import pytest
import timm
import torch
import torchvision

from base import load_plugin
from cache import digest
from extract import backbones
from extract.backbone import freeze
from extract.run import compute, prepare
from extract.spaces import resolve
from networks.weights import Request

CPU = torch.device("cpu")
# Both run the same operations on the same numbers; float32 has 24 bits.
CLOSE = 1e-6
TORCHVISION = {
    "alexnet": 64,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "googlenet": 32,
    "mnasnet0_5": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
}
TIMM = ["test_byobnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_resnet",
        "test_vit", "test_vit2", "test_vit3"]  # fmt: skip
VISION = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32}
TEXT = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
CLIPS = {
    "small-vit": {"vision_cfg": VISION},
    "small-resnet": {"vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 32}},
    "small-custom": {"vision_cfg": VISION, "custom_text": True},
    "small-timm": {
        "vision_cfg": {"timm_model_name": "test_vit", "timm_model_pretrained": False,
                       "timm_pool": "", "timm_proj": "linear", "image_size": 160},
        "custom_text": True,
    },
    "small-coca": {
        "vision_cfg": {**VISION, "attentional_pool": True, "attn_pooler_heads": 2,
                       "output_tokens": True},
        "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2,
                           "layers": 1, "attn_pooler_heads": 2},
        "custom_text": True,
    },
}  # fmt: skip


def batch_of(side, n=2):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def drawn(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def cloned_outputs(module, batch):
    """Run a network as it is, and clone what each of its modules puts out."""
    outputs = {}
    handles = [
        part.register_forward_hook(
            lambda _module, _inputs, output, name=name: outputs.update(
                {name: output.clone() if isinstance(output, torch.Tensor) else None}
            )
        )
        for name, part in module.named_modules()
        if name
    ]
    result = module(batch)
    for handle in handles:
        handle.remove()
    return outputs, result


def assert_same(activation, output, layer):
    if activation.vector is not None:
        found = activation.vector
    elif output.ndim == 3:
        patches = activation.spatial.flatten(2).transpose(1, 2)
        found = torch.cat([activation.cls[:, None], patches], 1)
    else:
        found = activation.spatial
        if found.shape != output.shape:
            found = found.permute(0, 2, 3, 1)
    assert found.shape == output.shape, layer
    error = (found - output).norm() / output.norm().clamp(min=1e-12)
    assert error < CLOSE, (layer, float(error))


def backbone_of(name):
    spec = resolve(name)
    return load_plugin(backbones, spec.family, "family").load(spec, Request(name, "random:0"))


@pytest.mark.parametrize("name", TORCHVISION)
@torch.inference_mode()
def test_e2_every_layer_of_torchvision_is_what_a_cloning_hook_sees(name):
    batch = batch_of(TORCHVISION[name])
    backbone = backbone_of(f"torchvision:{name}")
    given = backbone.forward(batch, backbone.layers)
    options = {}
    if name == "googlenet":
        options = {"transform_input": True, "init_weights": True}
    reference = drawn(lambda: torchvision.models.get_model(name, weights=None, **options))
    outputs, _ = cloned_outputs(reference, batch)
    relus = [f"features.{n}" for n, part in enumerate(getattr(reference, "features", ()))
             if isinstance(part, torch.nn.ReLU)]  # fmt: skip
    seen = 0
    for layer in backbone.layers:
        path = relus[int(layer[4:]) - 1] if layer.startswith("conv") and relus else layer
        output = outputs.get(path)
        assert given[layer].empty == (output is None or output.ndim not in (2, 3, 4)), layer
        if not given[layer].empty:
            assert_same(given[layer], output, layer)
            seen += 1
    assert seen > 10


@torch.inference_mode()
def test_e2_a_trunk_alone_is_what_a_cloning_hook_sees():
    names = [f"features.{part}" for part in ("norm0", "denseblock1.denselayer2.norm1", "norm5")]
    backbone = backbone_of(f"torchvision:densenet121@{'+'.join(names)}")
    outputs, _ = cloned_outputs(drawn(torchvision.models.densenet121), batch_of(32))
    for name, activation in backbone.forward(batch_of(32), names).items():
        assert_same(activation, outputs[name], name)


@pytest.mark.parametrize("name", TIMM)
@torch.inference_mode()
def test_e2_every_layer_of_timm_is_what_timm_gives_for_it_alone(name):
    backbone = backbone_of(f"timm:{name}")
    batch = batch_of(backbone.size, 1)
    given = backbone.forward(batch, backbone.layers)
    reference = drawn(lambda: timm.create_model(name))
    features = reference.forward_features(batch).clone()
    pooled = reference.forward_head(features.clone(), pre_logits=True)
    assert_same(given["pooled"], pooled, "pooled")
    prefix = getattr(reference, "num_prefix_tokens", 0)
    for layer in backbone.layers:
        if layer.startswith("blocks."):
            number = int(layer.split(".")[1])
            (maps,) = reference.forward_intermediates(
                batch, indices=[number], intermediates_only=True, stop_early=True,
                output_fmt="NCHW",
            )  # fmt: skip
            assert_same(type(given[layer])(spatial=given[layer].spatial), maps, layer)
    if features.ndim == 3:
        patches = given["features"].spatial.flatten(2).transpose(1, 2)
        features = features[:, prefix:]
    else:
        patches = given["features"].spatial
        if patches.shape != features.shape:
            patches = patches.permute(0, 2, 3, 1)
    torch.testing.assert_close(patches, features, rtol=CLOSE, atol=CLOSE)


@pytest.fixture(scope="module")
def small_clips(tmp_path_factory):
    """Register small models with open_clip, one of each of its kinds of towers."""
    folder = tmp_path_factory.mktemp("configs")
    for name, config in CLIPS.items():
        (folder / f"{name}.json").write_text(
            json.dumps({"embed_dim": 16, "text_cfg": TEXT, **config})
        )
    with pytest.MonkeyPatch.context() as patch:
        for name in CLIPS:
            tags = {"tag": {"hf_hub": "nobody/nothing/"}}
            patch.setitem(open_clip.pretrained._PRETRAINED, name, tags)
        open_clip.add_model_config(folder)
        yield


@pytest.mark.usefixtures("small_clips")
@pytest.mark.parametrize("name", CLIPS)
@torch.inference_mode()
def test_e8_embeddings_of_all_kinds_of_towers_are_encode_image(name):
    backbone = backbone_of(f"open_clip:{name}/tag")
    batch = batch_of(backbone.size)
    given = backbone.forward(batch, backbone.layers)
    reference = drawn(lambda: open_clip.create_model(name, pretrained=None))
    expected = reference.encode_image(batch, normalize=False)
    assert expected.shape == (2, 16)
    assert_same(given["embedding"], expected, "embedding")
    outputs, _ = cloned_outputs(reference.visual, batch)
    blocks = [layer for layer in backbone.layers if layer.startswith("blocks.")]
    assert len(blocks) == (2 if "transformer.resblocks.1" in outputs else 0)
    for layer in blocks:
        output = outputs[layer.replace("blocks", "transformer.resblocks")]
        assert_same(given[layer], output, layer)
    space = f"open_clip:{name}/tag"
    (rows,) = compute([prepare(resolve(space), Request(space, "random:0"), CPU)], batch)
    assert rows.shape == (2, 16)


def test_e2_features_that_were_overwritten_have_a_key_of_their_own():
    # What is kept under the former key is not what is computed now; all other keys stay.
    def layers_of(name):
        return prepare(resolve(name), Request(name, "random:0"), CPU).key["layers"]

    (inner,) = layers_of("torchvision:resnet18@layer1.0.bn2#mean")
    assert inner["output"] == "before it is written over"
    before = {k: v for k, v in inner.items() if k != "output"}
    assert digest(before) != digest(inner)
    whole, last = layers_of("torchvision:densenet121@features.norm5+classifier#mean")
    assert "output" in whole
    assert "output" not in last
    others = layers_of("torchvision:resnet18@layer1+layer1.0.conv1+layer4.1#mean")
    assert all("output" not in layer for layer in others)


@torch.inference_mode()
def test_e2_rows_are_the_same_whatever_else_is_asked_for():
    names = [f"torchvision:resnet18@{layer}#grid2~0" for layer in ("layer1.0.bn2", "layer1.0")]
    spaces = [prepare(resolve(name), Request(name, "random:0"), CPU) for name in names]
    spaces[1].backbone = spaces[0].backbone
    batch = batch_of(64)
    outputs, _ = cloned_outputs(drawn(torchvision.models.resnet18), batch)
    for rows, layer in zip(compute(spaces, batch), ("layer1.0.bn2", "layer1.0"), strict=True):
        expected = torch.nn.functional.adaptive_avg_pool2d(outputs[layer], 2).flatten(1)
        assert (torch.as_tensor(rows) - expected).norm() < CLOSE * expected.norm()


def test_settled_networks_do_no_activation_in_place():
    module = freeze(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(inplace=True)))
    assert not module[1].inplace
