"""The key is a contract: what is pinned here may change only with the schema."""

import math

import pytest

from cache import canonical, digest

KEY = {
    "schema": 1,
    "family": "open_clip",
    "model": "ViT-B-32",
    "quick_gelu": True,
    "weights": {"digest": "00112233445566778899aabbccddeeff", "untrained": "random:0"},
    "preprocessing": {"size": 224, "mean": [0.48145466, 0.5], "interpolation": "bicubic é"},
    "layers": [{"layer": "embedding", "pooling": "flatten", "projection": None}],
    "dtype": "float32",
}
CANONICAL = (
    '{"dtype":"float32","family":"open_clip","layers":[{"layer":"embedding","pooling":"flatten",'
    '"projection":null}],"model":"ViT-B-32","preprocessing":{"interpolation":"bicubic \\u00e9",'
    '"mean":[0.48145466,0.5],"size":224},"quick_gelu":true,"schema":1,"weights":{"digest":'
    '"00112233445566778899aabbccddeeff","untrained":"random:0"}}'
)


def test_canonical_text_and_digest_are_pinned():
    assert canonical(KEY) == CANONICAL
    assert digest(KEY) == "72aeba5f3ac23f08"


def test_the_order_of_fields_does_not_matter():
    turned = dict(reversed(KEY.items()))
    turned["preprocessing"] = dict(reversed(KEY["preprocessing"].items()))
    assert list(turned) != list(KEY)
    assert canonical(turned) == CANONICAL


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"quick_gelu": False},
        {"quick_gelu": 1},
        {"model": "ViT-B-16"},
        {"weights": {"digest": "00112233445566778899aabbccddeeff"}},
        {"layers": []},
        {"autocast": "bfloat16"},
    ],
)
def test_any_change_gives_another_digest(change):
    assert digest({**KEY, **change}) != digest(KEY)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_cannot_be_in_a_key(value):
    with pytest.raises(ValueError, match=r"not JSON compliant"):
        canonical({"mean": value})
