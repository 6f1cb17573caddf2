"""Names of feature spaces, and what a wrong one is answered with; nothing is computed here."""

from importlib.metadata import version

import numpy as np
import pytest
import torch
from sklearn.random_projection import SparseRandomProjection

from base import RoiridgeError
from cache import digest
from extract.backbone import Activation, split_tokens, to_activation
from extract.errors import ExtractError
from extract.pipeline.devices import choose_devices
from extract.pooling import Projection, choose_projection, default_pooling, pool
from extract.run import prepare
from extract.spaces import FAMILIES, SPACES, TEXT_FAMILIES, resolve
from networks.weights import Request, weights_key

CPU = torch.device("cpu")
PICTURES = [name for name in SPACES if resolve(name).family in FAMILIES]

# Of each short name the digest of its key without the weights, and the columns of its bands.
PINNED = {
    "clip": ("f12330ace7077c95", [512]),
    "alexnet": ("8ff6761cea81c759", [2560]),
    "sam": ("a9970294086eb38b", [2048]),
    "efficientnet_lite0": ("fc9fda1fe1682a98", [1280]),
    "clip_layers": ("c5eaf2a0e3f40791", [512, 512, 512, 512]),
    "clip_l14": ("787631c3e26efaf4", [768]),
    "alexnet_conv1": ("c43907260d15d56a", [512]),
    "alexnet_conv2": ("ec202d8f273d0ea1", [512]),
    "alexnet_conv3": ("4bf85bdb8597c68a", [512]),
    "alexnet_conv4": ("749a989057f0f52d", [512]),
    "alexnet_conv5": ("0193342aba60308f", [512]),
    "sam_layers": ("962ac8b1a4a10e12", [512, 512, 512, 512]),
    "dinov2": ("459ed584239aeab8", [2048]),
    "vgg16": ("1ec567737ebcba5a", [2560]),
    "pixels": ("878d451ec273810c", [3 * 128 * 128]),
}
# Of what is drawn from a seed, the digest of the names and shapes of the tensors that are used.
SEEDED = {
    "clip": "8454fecb3483226c6db16443d835c7b7",
    "alexnet": "e1453c29fcf5385e3917bb8d0b24f28e",
    "efficientnet_lite0": "49cb6372d3510851786a1ac944a31675",
    "timm:test_vit": "0511b0bf01a79e501dff096d113e2b71",
    "timm:test_resnet@features": "b38df22cfb8e19ce332af5cc2dfcbadc",
    "torchvision:resnet18@layer2": "e0e47d78577e338d64864316d2c61483",
}


def made(name):
    """Build a space's network: for its shapes alone where the library can, which is quicker."""
    request = Request(name, "random:0")
    if name not in SEEDED:
        try:
            with torch.device("meta"):
                return prepare(resolve(name), request, torch.device("meta"))
        except NotImplementedError:
            pass
    prepared = prepare(resolve(name), request, CPU)
    if name in SEEDED:
        assert prepared.key["weights"]["digest"] == SEEDED[name]
    return prepared


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_the_key_and_the_columns_of_every_short_name(name):
    prepared = made(name)
    assert set(prepared.layers) <= set(prepared.backbone.layers)
    key = {field: value for field, value in prepared.key.items() if field != "weights"}
    bands = prepared.spec.bands or (prepared.layers,)
    columns = [sum(prepared.widths[layer] for layer in band) for band in bands]
    assert (digest(key), columns) == PINNED[name]
    # What ridge can solve in minutes; pixels are for models that learn from pictures.
    assert max(columns) < 10_000 or name == "pixels"


@pytest.mark.parametrize("name", [name for name in SEEDED if name not in SPACES])
def test_keys_with_seeded_weights(name):
    key = made(name).key
    library = name.partition(":")[0]
    packages = ("torch", library)
    assert key["weights"] == {
        "digest": SEEDED[name],
        "untrained": "random:0",
        "drawn_with": {package: version(package).partition("+")[0] for package in packages},
    }


def test_p_the_key_of_random_weights_holds_nothing_that_was_drawn():
    # Vectorised by AVX2 or AVX-512, torch draws other last bits from one seed.
    name = "timm:test_vit"
    key = made(name).key
    module = prepare(resolve(name), Request(name, "random:0"), CPU).backbone.module
    drawn, trained = weights_key(module, 0, "timm"), weights_key(module, None, "timm")
    for values in module.state_dict().values():
        values.copy_(torch.nextafter(values, torch.tensor(torch.inf)))
    assert weights_key(module, 0, "timm") == drawn
    assert weights_key(module, None, "timm") != trained
    other = prepare(resolve(name), Request(name, "random:1"), CPU).key
    assert digest(other) != digest(key)
    for different in ("timm:test_vit2", "timm:test_resnet"):
        assert made(different).key["weights"]["digest"] != key["weights"]["digest"]


def test_the_short_names_are_of_every_family():
    assert {resolve(name).family for name in SPACES} == {*FAMILIES, *TEXT_FAMILIES}
    assert set(PINNED) == set(PICTURES)


@pytest.mark.parametrize("name", SPACES)
def test_short_names_stand_for_what_is_written_out(name):
    short, long = resolve(name), resolve(SPACES[name])
    assert (short.name, long.name) == (name, SPACES[name])
    fields = ("family", "model", "weights", "bands", "layers", "pooling", "columns")
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
        ("pixels:64", ("pixels", "64", None, (), None, None)),
        (
            "open_clip_text:ViT-L-14/openai@embedding",
            ("open_clip_text", "ViT-L-14", "openai", ("embedding",), None, None),
        ),
        ("timm:test_vit@-1#mean", ("timm", "test_vit", None, ("-1",), "mean", None)),
        (
            "alexnet@conv2+-1",
            ("torchvision", "alexnet", "IMAGENET1K_V1", ("conv2", "-1"), "grid6", 512),
        ),
        ("sam#mean~0", ("timm", "samvit_base_patch16", "sa1b", ("features",), "mean", 0)),
        ("resnet18@blocks.1#max", ("timm", "resnet18", None, ("blocks.1",), "max", None)),
    ],
)
def test_grammar(name, expected):
    spec = resolve(name)
    assert spec.name == name
    assert (
        spec.family, spec.model, spec.weights, spec.layers, spec.pooling, spec.columns
    ) == expected  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "bands"),
    [
        ("a", (("a",),)),
        ("a+b", (("a", "b"),)),
        ("a,b", (("a",), ("b",))),
        ("a+b,c.1,0.5+-1", (("a", "b"), ("c.1",), ("0.5", "-1"))),
        ("a+b+a,b,c+a", (("a", "b"), ("c",))),  # each layer once, where it is named first
    ],
)
def test_bands(layers, bands):
    spec = resolve(f"timm:test_vit@{layers}#mean~9")
    assert spec.bands == bands
    assert spec.layers == tuple(layer for band in bands for layer in band)
    assert (spec.pooling, spec.columns) == ("mean", 9)


@pytest.mark.parametrize("name", ["clop", "Clip", "", " ", "no_such_model", "-h"])
def test_an_unknown_name_lists_the_names(name):
    message = r"unknown feature space .*choose from clip, alexnet, sam, efficientnet_lite0.*family:"
    with pytest.raises(ExtractError, match=message):
        resolve(name)


@pytest.mark.parametrize(
    "name",
    ["keras:vgg16", "timm:", "timm:resnet18#", "timm:resnet18~many", "timm:resnet18~-1",
     "timm:resnet18@", "timm:resnet18#grid4#mean", "hf-hub:timm/x", "a:b", "timm:test_vit@a+",
     "timm:test_vit@a,,b", "timm:test_vit@,a", "timm:test_vit@a,+b", "clip@", "alexnet#grid-1"],
)  # fmt: skip
def test_an_unreadable_name_shows_the_grammar(name):
    grammar = r"family:model/weights@layer\+layer,layer#pooling~columns"
    message = rf"cannot read the feature space .*{grammar}.* open_clip, pixels, timm, torchvision"
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
        ("alexnet@conv9", r"torchvision:alexnet has no layer 'conv9': choose from conv1, "),
        ("alexnet#grid0", r"unknown pooling 'grid0': choose from cls, mean, max, flatten"),
        ("torchvision:alexnet@conv6", r"no layer 'conv6': choose from conv1, .*classifier\.6"),
        ("torchvision:resnet18@layer5", r"no layer 'layer5': choose from layer1.* \(67 in all\)"),
        ("test_vit.r160_in1k", None),
    ],
)
def test_what_a_network_lacks_is_said_before_weights_are_looked_for(name, message):
    if message is None:
        assert prepare(resolve(name), Request(name, "random:0"), CPU).layers == ("pooled",)
        return
    with pytest.raises(RoiridgeError, match=message):
        prepare(resolve(name), Request(name, "/no/such/file"), CPU)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:test_vit#grid0", r"unknown pooling 'grid0': choose from cls, mean, max, flatten"),
        ("timm:test_vit#median", r"unknown pooling 'median'"),
        ("timm:test_vit@pooled#grid4", r"layer pooled is a vector: 'grid4' needs places"),
        ("timm:test_resnet@features#cls", r"layer features has no class token: use mean"),
        ("timm:test_vit2@features#cls", r"layer features has no class token: use mean"),
        ("timm:test_resnet@features#grid6", r"has 5 x 5 places: grid6 needs at least 6 x 6; use a"),
        (
            "torchvision:shufflenet_v2_x0_5@stage2.1.branch1",
            r"layer stage2\.1\.branch1 cannot be pooled: it does not run in evaluation mode",
        ),
        ("pixels:16#grid4", r"layer rgb is a vector: 'grid4' needs places; use flatten"),
        ("pixels:16~64", r"pixels are not projected: leave out ~64"),
    ],
)
def test_poolings_that_do_not_fit(name, message):
    with pytest.raises(ExtractError, match=message):
        prepare(resolve(name), Request(name, "random:0"), CPU)


@pytest.mark.parametrize(
    ("names", "wrong"),
    [("cuda:99", ""), ("gpu", "'gpu'"), ("", "''"), ("meta", "'meta'"), ("cpu:x", "'cpu:x'"),
     ("cpu,", "''"), ("cpu,cpux", "'cpux'"), ("hpu", "'hpu'")],
)  # fmt: skip
def test_a_device_that_is_not_there(names, wrong):
    message = rf"--device {names}: cannot be used here \(.*{wrong}.*choose auto, cpu, cuda"
    with pytest.raises(ExtractError, match=message):
        choose_devices(names)


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
    assert default_pooling(Activation(spatial=maps[..., :3])) == "flatten"
    with pytest.raises(ExtractError, match=r"layer x has 4 x 6 places: grid5 needs at least 5 x 5"):
        pool(given, "grid5", "x")
    for nothing in (None, (maps, maps), torch.zeros(2, 3, 4, 5, 6), torch.zeros(2)):
        assert to_activation(nothing).empty
        with pytest.raises(ExtractError, match=r"layer x cannot be pooled"):
            pool(to_activation(nothing), "mean", "x")
    turned = to_activation(maps.permute(0, 2, 3, 1), channels_last=True)
    np.testing.assert_array_equal(turned.spatial, maps)
    tokens = torch.randn(2, 10, 5, generator=torch.Generator().manual_seed(0))
    laid = split_tokens(tokens, 1)
    assert default_pooling(laid) == "cls"
    np.testing.assert_array_equal(pool(laid, "cls", "x"), tokens[:, 0])
    # row by row: the token at (1, 2) is the sixth patch
    np.testing.assert_array_equal(laid.spatial[:, :, 1, 2], tokens[:, 1 + 5])
    registers = split_tokens(tokens, 1, has_class=False)
    assert registers.cls is None
    assert default_pooling(registers) == "flatten"
    assert split_tokens(tokens, 2).spatial is None
    assert split_tokens(tokens[:, :1], 1).spatial is None
    with pytest.raises(ExtractError, match=r"layer x has no square of places: use cls"):
        pool(split_tokens(tokens, 2), "mean", "x")


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
    alone = np.vstack([first(r[None]) for r in rows])
    # Sums of some 70 numbers of size 1, in an order that may depend on the number of rows.
    np.testing.assert_allclose(first(rows), alone, rtol=1e-5, atol=1e-5)
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
