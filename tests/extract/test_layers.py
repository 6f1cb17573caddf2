"""Layers by name, index and depth, and the verb that lists them; no weights, no internet."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision

from extract.errors import ExtractError
from extract.layer_listing import describe, dry_run, list_layers, sketch
from extract.layers import check_layers, find_blocks
from extract.pooling import pool
from extract.run import compute, prepare
from extract.spaces import FAMILIES, SPACES, resolve
from networks.weights import Request
from tests.builders.paths import ROOT

CPU = torch.device("cpu")
PICTURES = [name for name in SPACES if resolve(name).family in FAMILIES]
LAYERS = ["embedding", *(f"blocks.{n}" for n in range(12))]


def named(asked, layers=LAYERS):
    spec = resolve(f"timm:test_vit@{asked}#mean~9")
    return check_layers(spec, layers, find_blocks(layers))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("embedding", "embedding"), ("blocks.3", "blocks.3"), ("0", "blocks.0"),
        ("11", "blocks.11"), ("-1", "blocks.11"), ("-12", "blocks.0"), ("0.0", "blocks.0"),
        ("1.0", "blocks.11"), ("1.", "blocks.11"), (".5", "blocks.6"), ("0.45", "blocks.5"),
        ("0.04545", "blocks.0"), ("0.0455", "blocks.1"), ("1", "blocks.1"),
    ],
)  # fmt: skip
def test_a_layer_by_index_or_depth(asked, name):
    spec = named(asked)
    assert spec.layers == (name,)
    # One space under all its spellings: one key, one file.
    assert spec == named(name)
    assert spec.name == f"timm:test_vit@{name}#mean~9"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11, 32])
def test_a_depth_is_the_nearest_block_of_two_the_deeper(count):
    layers = [f"blocks.{n}" for n in range(count)]
    for depth in np.round(np.linspace(0, 1, 101), 2):
        far = [round(abs(100 * n - 100 * depth * (count - 1))) for n in range(count)]
        nearest = max(n for n in range(count) if far[n] == min(far))
        assert named(f"{depth:.2f}", layers).layers == (f"blocks.{nearest}",), depth


def test_bands_are_named_and_no_layer_comes_twice():
    assert named("0+blocks.1,-1,embedding").bands == (
        ("blocks.0", "blocks.1"), ("blocks.11",), ("embedding",),
    )  # fmt: skip
    spec = named("-1+1.0+0,blocks.0,2+0")
    assert spec.bands == (("blocks.11", "blocks.0"), ("blocks.2",))
    assert spec.name == "timm:test_vit@blocks.11+blocks.0,blocks.2#mean~9"
    assert resolve(spec.name) == spec
    # Short names are names already, and what needs no change is not renamed.
    short = resolve("clip_layers")
    assert check_layers(short, LAYERS, find_blocks(LAYERS)) is short
    assert check_layers(resolve("test_vit"), LAYERS, []).layers == ()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("12", r"timm:test_vit has no block 12: expected 0 to 11, or -12 to -1 counted from the e"),
        ("-13", r"no block -13: expected 0 to 11"),
        ("1.01", r"no layer at depth 1\.01: expected 0\.0, the first block, to 1\.0, the last"),
        ("-0.5", r"no layer at depth -0\.5"),
        ("blocks.12", r"no layer 'blocks\.12': choose from embedding, blocks\.0, "),
        ("5e1", r"no layer '5e1'"),
        ("--1", r"no layer '--1'"),
        ("²", r"no layer '²'"),
    ],
)
def test_a_layer_that_is_not_there(asked, message):
    with pytest.raises(ExtractError, match=message):
        named(asked)
    with pytest.raises(ExtractError, match=r"no blocks for '0' to count: choose from a, b$"):
        named("0", ["a", "b"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:test_vit@6", r"no block 6: expected 0 to 5"),
        ("open_clip:ViT-B-32/openai@1.5", r"no layer at depth 1\.5"),
        ("torchvision:alexnet@5", r"no block 5: expected 0 to 4, .* of conv1, conv2, conv3"),
        ("pixels:16@0", r"pixels:16 has no blocks for '0' to count: choose from rgb"),
    ],
)
def test_layers_are_named_before_weights_are_looked_for(name, message):
    given = None if name.startswith("pixels") else "/no/such/file"
    with pytest.raises(ExtractError, match=message):
        prepare(resolve(name), Request(name, given), CPU)


@pytest.mark.parametrize(
    ("network", "spellings"),
    [
        ("timm:test_vit", ["blocks.5", "-1", "5", "1.0"]),
        ("timm:test_resnet", ["blocks.2+blocks.0", "2+0", "0.5+-5"]),
        ("torchvision:resnet18", ["layer1,layer4", "0,-1", "0.1,1.0"]),
    ],
)
def test_all_spellings_have_one_key_and_one_name(network, spellings):
    made = [
        prepare(resolve(name), Request(name, "random:0"), CPU)
        for name in (f"{network}@{spelled}" for spelled in spellings)
    ]
    assert all(prepared.key == made[0].key for prepared in made)
    assert {prepared.spec.name for prepared in made} == {f"{network}@{spellings[0]}"}


@pytest.mark.parametrize("name", PICTURES)
def test_every_short_name_is_listed(name):
    spec, backbone = sketch(name)
    assert check_layers(spec, backbone.layers, backbone.blocks) == spec
    lines = describe(spec, backbone)
    taken = {line.layer: line for line in lines if line.band is not None}
    assert set(taken) == set(spec.layers)
    for number, band in enumerate(spec.bands, 1):
        assert all(taken[layer].band == number for layer in band)
    assert all(line.columns <= max(4096, line.pooled) for line in lines)
    counted = [line for line in lines if line.index is not None]
    assert [line.layer for line in counted] == backbone.blocks
    depths = [line.depth for line in counted]
    assert depths == sorted(depths)
    if depths:
        assert (depths[0], depths[-1]) == (0, 1)


@pytest.mark.parametrize(
    "name",
    ["timm:test_vit", "timm:test_mambaout", "torchvision:squeezenet1_1", "pixels:8",
     "torchvision:shufflenet_v2_x0_5@stage2,-1#grid2~100"],
)  # fmt: skip
@torch.inference_mode()
def test_what_is_listed_is_what_is_computed(name):
    spec, backbone = sketch(name)
    lines = describe(spec, backbone)
    prepared = prepare(spec, Request(name, "random:0"), CPU)
    batch = torch.zeros(1, 3, backbone.size, backbone.size)
    (rows,) = compute([prepared], batch)
    taken = [line for line in lines if line.band]
    assert rows.shape == (1, sum(line.columns for line in taken))
    assert {line.layer: line.pooling for line in taken} == prepared.poolings
    whole = prepare(replace(spec, bands=(), pooling=None), Request(name, "random:0"), CPU).backbone
    given = whole.forward(batch, backbone.layers)
    listed = {line.layer: line for line in lines}
    assert {layer for layer in given if not given[layer].empty} == set(listed)
    for layer, line in listed.items():
        assert pool(given[layer], line.pooling, layer).shape == (1, line.pooled)


def test_a_networks_shapes_take_no_values():
    for name in ("sam", "dinov2", "vgg16"):
        _, backbone = sketch(name)
        assert all(part.is_meta for part in backbone.module.parameters()), name
    # Real weights, and still no computing: SAM would take ten seconds.
    name = "timm:test_vit"
    backbone = prepare(resolve(name), Request(name, "random:0"), CPU).backbone
    ran = []
    backbone.module.register_forward_hook(lambda *_: ran.append(1))
    given = dry_run(backbone, ["features"])["features"]
    assert tuple(given.spatial.shape) == (1, 64, 10, 10)
    assert type(given.spatial).__name__ == "FakeTensor"


@pytest.mark.parametrize(
    "name",
    ["resnet18", "densenet121", "swin_v2_t", "vit_b_16", "maxvit_t", "inception_v3",
     "regnet_y_400mf", "mnasnet0_5", "vgg11_bn"],
)  # fmt: skip
def test_torchvisions_blocks_lead_from_the_picture_to_the_output(name):
    spec, backbone = sketch(f"torchvision:{name}")
    lines = {line.layer: line for line in describe(spec, backbone)}
    sides = []
    for block in backbone.blocks:
        _, height, width = lines[block].shape.partition(" +")[0].split(" x ")
        assert height == width
        sides.append(int(height))
    assert len(sides) >= 4
    assert sides == sorted(sides, reverse=True)
    assert backbone.default_layers[0] == [n for n, _ in backbone.module.named_modules()][-1]


@pytest.mark.parametrize(("tag", "size"), [("IMAGENET1K_V1", 224), ("IMAGENET1K_SWAG_E2E_V1", 384)])
def test_a_vit_is_built_for_the_pictures_of_its_weights(tag, size):
    _, backbone = sketch(f"torchvision:vit_b_16/{tag}")
    with torch.device("meta"):
        published = torchvision.models.vit_b_16(image_size=size)
    shapes = {name: v.shape for name, v in published.state_dict().items()}
    assert backbone.size == size
    assert {name: v.shape for name, v in backbone.module.state_dict().items()} == shapes


LISTED = """\
clip_layers = open_clip:ViT-B-32/openai@blocks.2,blocks.5,blocks.8,blocks.11#grid4~512
layer      index  depth  shape                    pooling  pooled  columns  band
embedding                512                      flatten     512      512
blocks.0       0   0.00  768 x 7 x 7 + class 768  cls         768      768
blocks.1       1   0.09  768 x 7 x 7 + class 768  cls         768      768
blocks.2       2   0.18  768 x 7 x 7 + class 768  grid4     12288      512     1
"""


def test_the_verb_without_internet(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "extract", "layers", "clip_layers"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path),
             "https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(LISTED)
    assert done.stdout.endswith(
        "clip_layers: 2048 columns in 4 bands, pictures of 224 x 224 pixels\n"
    )
    assert not list(tmp_path.iterdir())
    said = subprocess.run(
        [sys.executable, "-m", "extract", "--help"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert "python -m extract layers clip" in said
    assert "--spaces" in said


def test_networks_of_many_modules_are_shortened(capsys):
    list_layers("torchvision:resnet18")
    short = capsys.readouterr().out
    assert short.splitlines()[2].startswith("layer1       0   0.00  64 x 56 x 56")
    assert "and 57 modules inside these: --deep true lists them" in short
    list_layers("torchvision:resnet18", deep=True)
    assert "layer3.1.bn2 " in capsys.readouterr().out
    list_layers("timm:test_vit")
    assert "modules inside" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "clip_text",
            r"clip_text is a tower that reads captions, not pictures: its one layer is",
        ),
        ("timm:test_vit@7", r"no block 7"),
        ("clop", r"unknown feature space 'clop'"),
        ("timm:test_vit@pooled#cls", r"layer pooled is a vector"),
    ],
)
def test_what_cannot_be_listed(name, message):
    with pytest.raises(ExtractError, match=message):
        list_layers(name)
