"""Names of feature spaces, and what a wrong one is answered with; nothing is computed here."""

import numpy as np
import pytest
import torch
from sklearn.random_projection import SparseRandomProjection

from extract.backbone import Activation, choose_device, lay_out_tokens
from extract.errors import ExtractError
from extract.pooling import Projection, choose_projection, default_pooling, pool
from extract.run import prepare
from extract.spaces import SPACES, resolve
from extract.weights import Request

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", SPACES)
def test_short_names_stand_for_what_is_written_out(name):
    short, long = resolve(name), resolve(SPACES[name])
    assert (short.name, long.name) == (name, SPACES[name])
    fields = ("family", "model", "weights", "layers", "pooling", "columns")
    assert [getattr(short, f) for f in fields] == [getattr(long, f) for f in fields]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timm:resnet18", ("timm", "resnet18", None, (), None, None)),
        ("resnet18", ("timm", "resnet18", None, (), None, None)),
        ("resnet18.a1_in1k", ("timm", "resnet18", "a1_in1k", (), None, None)),
        (
            "timm:vit_tiny_patch16_224/augreg_in21k@blocks.3+pooled+blocks.3#cls~0",
            ("timm", "vit_tiny_patch16_224", "augreg_in21k", ("blocks.3", "pooled"), "cls", 0),
        ),
        (
            "open_clip:ViT-B-32/laion2b_s34b_b79k@blocks.5#mean~128",
            ("open_clip", "ViT-B-32", "laion2b_s34b_b79k", ("blocks.5",), "mean", 128),
        ),
        (
            "torchvision:vgg16/IMAGENET1K_V1@conv1+features.30#grid7",
            ("torchvision", "vgg16", "IMAGENET1K_V1", ("conv1", "features.30"), "grid7", None),
        ),
        ("torchvision:alexnet~64", ("torchvision", "alexnet", None, (), None, 64)),
    ],
)
def test_grammar(name, expected):
    spec = resolve(name)
    assert spec.name == name
    assert (
        spec.family, spec.model, spec.weights, spec.layers, spec.pooling, spec.columns
    ) == expected  # fmt: skip


@pytest.mark.parametrize("name", ["clop", "Clip", "", " ", "clip#grid4", "no_such_model", "-h"])
def test_an_unknown_name_lists_the_names(name):
    message = r"unknown feature space .*choose from clip, alexnet, sam, efficientnet_lite0.*family:"
    with pytest.raises(ExtractError, match=message):
        resolve(name)


@pytest.mark.parametrize(
    "name",
    ["keras:vgg16", "timm:", "timm:resnet18#", "timm:resnet18~many", "timm:resnet18~-1",
     "timm:resnet18@", "timm:resnet18#grid4#mean", "hf-hub:timm/x", "a:b"],
)  # fmt: skip
def test_an_unreadable_name_shows_the_grammar(name):
    message = r"cannot read the feature space .*family:model/weights@layer\+layer#pooling~columns"
    with pytest.raises(ExtractError, match=message):
        resolve(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet81", r"timm has no model 'resnet81'; near it: .*resnet"),
        ("timm:resnet18/imagenet", r"no weights 'imagenet': choose from .*a1_in1k"),
        ("open_clip:ViT-B-23/openai", r"no model 'ViT-B-23': choose from .*ViT-B-32"),
        ("open_clip:ViT-B-32", r"names no weights: write open_clip:ViT-B-32/TAG .*openai"),
        ("open_clip:ViT-B-32/opneai", r"no weights 'opneai': write .* with a tag from openai"),
        ("torchvision:alexnet2", r"no classifier 'alexnet2': choose from alexnet, "),
        ("torchvision:alexnet/V1", r"no weights 'V1': choose from IMAGENET1K_V1"),
        ("timm:test_vit@block.1", r"timm:test_vit has no layer 'block\.1': choose from features, "),
        ("torchvision:alexnet@conv6", r"no layer 'conv6': choose from conv1, .*classifier\.6"),
        ("test_vit.r160_in1k", None),
    ],
)
def test_what_a_network_lacks_is_said_before_weights_are_looked_for(name, message):
    if message is None:
        assert prepare(resolve(name), Request(name, "random:0"), CPU).layers == ("pooled",)
        return
    with pytest.raises(ExtractError, match=message):
        prepare(resolve(name), Request(name, "/no/such/file"), CPU)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:test_vit#grid0", r"unknown pooling 'grid0': choose from cls, mean, max, flatten"),
        ("timm:test_vit#median", r"unknown pooling 'median'"),
        ("timm:test_vit@pooled#grid4", r"layer pooled is a vector: 'grid4' needs places"),
        ("timm:test_resnet@features#cls", r"layer features has no class token: use mean"),
    ],
)
def test_poolings_that_do_not_fit(name, message):
    with pytest.raises(ExtractError, match=message):
        prepare(resolve(name), Request(name, "random:0"), CPU)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "meta", "cpu:x"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(ExtractError, match=r"cannot be used here .*choose auto, cpu, cuda"):
        choose_device(name)


def test_poolings():
    maps = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 3, 4, 6)
    given = Activation(spatial=maps)
    values = maps.numpy()
    np.testing.assert_allclose(pool(given, "mean", "x"), values.mean((2, 3)))
    np.testing.assert_array_equal(pool(given, "max", "x"), values.max((2, 3)))
    np.testing.assert_array_equal(pool(given, "flatten", "x"), values.reshape(2, -1))
    fields = values.reshape(2, 3, 2, 2, 2, 3).mean((3, 5)).reshape(2, -1)
    np.testing.assert_allclose(pool(given, "grid2", "x"), fields)
    assert default_pooling(given) == "grid4"
    tokens = torch.randn(2, 10, 5, generator=torch.Generator().manual_seed(0))
    laid = lay_out_tokens(tokens, 1)
    assert default_pooling(laid) == "cls"
    np.testing.assert_array_equal(pool(laid, "cls", "x"), tokens[:, 0])
    # row by row: the token at (1, 2) is the sixth patch
    np.testing.assert_array_equal(laid.spatial[:, :, 1, 2], tokens[:, 1 + 5])
    assert lay_out_tokens(tokens, 2).spatial is None
    with pytest.raises(ExtractError, match=r"layer x has no square of places: use cls"):
        pool(lay_out_tokens(tokens, 2), "mean", "x")


def test_the_projection_depends_on_its_seed_alone():
    np.random.seed(5)  # noqa: NPY002
    first = Projection(5000, 64)
    np.random.seed(6)  # noqa: NPY002
    again = Projection(5000, 64)
    assert first.key == again.key
    assert first.key["columns"] == 64
    assert first.key["seed"] == 0
    rows = np.random.default_rng(0).standard_normal((3, 5000), dtype=np.float32)
    np.testing.assert_array_equal(first(rows), again(rows))
    np.testing.assert_allclose(first(rows), np.vstack([first(r[None]) for r in rows]), rtol=1e-6)
    reference = SparseRandomProjection(64, random_state=0).fit(rows)
    np.testing.assert_allclose(first(rows), reference.transform(rows), rtol=1e-4, atol=1e-5)
    assert Projection(5001, 64).key["digest"] != first.key["digest"]


@pytest.mark.parametrize(
    ("columns", "asked", "expected"),
    [(4096, None, None), (4097, None, 2048), (9000, 0, None), (9000, 512, 512), (100, 100, None),
     (100, 200, None), (100, 99, 99)],
)  # fmt: skip
def test_when_columns_are_projected(columns, asked, expected):
    projection = choose_projection(columns, asked)
    assert (projection.key["columns"] if projection else None) == expected
