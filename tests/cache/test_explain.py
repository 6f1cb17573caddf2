"""explain: which fields of a key differ, in words."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache import FeatureStore, canonical
from cache.commands.explain import explain
from cache.key import differences
from tests.builders.cache_verbs import OTHER, caller
from tests.builders.feature_rows import KEY, UNTRAINED, write


@pytest.fixture
def out(tmp_path):
    return tmp_path / "derivatives"


@pytest.fixture
def store(out):
    return FeatureStore(out / "features")


@pytest.fixture
def main(out, capsys):
    return caller(out, capsys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=8,
)
KEYS = st.dictionaries(st.sampled_from(["layers", "model", "weights", "size"]), JSON, min_size=1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(here=KEYS, there=KEYS)
def test_keys_differ_exactly_where_a_field_does(here, there):
    found = differences(here, there)
    assert (not found) == (canonical(here) == canonical(there))
    assert set(found) == set(differences(there, here))
    assert not differences(here, json.loads(canonical(here)))


def test_differences_go_by_dotted_path():
    here = {
        "weights": {"digest": "a" * 32},
        "preprocessing": {"size": 224, "mean": (0.5, 0.5)},
        "layers": [{"layer": "a", "pooling": "cls"}, {"layer": "b", "pooling": "cls"}],
    }
    there = {
        "weights": {"digest": "b" * 32, "untrained": "random:0"},
        "preprocessing": {"size": 336, "mean": [0.5, 0.5]},
        "layers": [{"layer": "a", "pooling": "mean"}],
        "autocast": "bfloat16",
    }
    assert set(differences(here, there)) == {
        "autocast", "layers[0].pooling", "layers[1]", "preprocessing.size", "weights.digest",
        "weights.untrained",
    }  # fmt: skip
    assert differences({"a": 1}, {"a": 1.0}) == {"a": (1, 1.0)}


def test_a_miss_is_explained(store):
    assert explain(KEY, []) == ["no other feature space is kept: there is nothing to compare with"]
    write(store, range(3))
    write(store, range(3), UNTRAINED)
    far = {"schema": 1, "family": "timm", "weights": {"digest": "cc"}, "layers": ["y"]}
    write(store, range(3), far, "sam")
    entries = store.entries()
    clip, random = (store.path("clip", key).stem for key in (KEY, UNTRAINED))
    assert explain(KEY, entries) == [f"{clip}: has this very key, so it is no miss"]
    # the nearest of any name
    assert explain({**KEY, "dtype": "float16"}, entries) == [
        f"{clip}: the nearest; 1 field of the key differs",
        "  dtype: float16 here, absent there (kept in another type of number)",
    ]
    # all of one name, though another is nearer
    (first, other, _, _) = explain({**far, "layers": ["x"]}, entries, "clip")[:4]
    assert first == f"{clip}: 2 fields of the key differ"
    assert other == "  family: timm here, absent there (another family of networks)"
    found = explain(OTHER, entries, "clip")
    assert f"{random}: 3 fields of the key differ" in found
    assert (
        "  weights.untrained: absent here, random:0 there (weights of one side are random)" in found
    )
    assert "  weights.digest: cc here, bb there (other weights)" in found


def test_digests_are_shortened_as_long_as_they_differ(store):
    same = "0123456789abcdef" * 2
    write(store, range(3), {"weights": {"digest": same}})
    found = explain({"weights": {"digest": same[:-1] + "0"}}, store.entries())[1]
    assert found == f"  weights.digest: {same[:-1]}0 here, {same} there (other weights)"
    found = explain({"weights": {"digest": "f" * 32}}, store.entries())[1]
    assert found == "  weights.digest: ffffffff… here, 01234567… there (other weights)"


def test_explain_takes_names_and_files(main, store, tmp_path):
    write(store, range(3))
    write(store, range(3), UNTRAINED)
    write(store, range(3), OTHER, "sam")
    latest = store.path("clip", UNTRAINED)
    os.utime(latest, (2e9, 2e9))
    status, said = main("explain", "clip", "sam")
    assert status == 0
    assert f"{latest.stem} (here) beside" in said
    assert f"{store.path('sam', OTHER).stem} (here) beside" in said
    assert "the nearest; 1 field" in said
    _, shown = main("show", "sam", "--json")
    key, bare, bad = (tmp_path / f"{n}.json" for n in ("meta", "bare", "bad"))
    key.write_text(shown)
    bare.write_text(json.dumps(OTHER))
    elsewhere = tmp_path / "elsewhere"
    write(FeatureStore(elsewhere / "features"), range(3))
    for file in (key, bare, store.path("sam", OTHER)):
        status, said = main("explain", file, at=elsewhere)
        assert status == 0
        assert f"{file} (here) beside" in said
        assert "weights.digest: cc here, aa there (other weights)" in said
    for text, message in [
        ("{", "read as JSON"),
        ("[]", "holds list"),
        ('{"key": 3}', "holds no"),
    ]:
        bad.write_text(text)
        status, said = main("explain", bad)
        assert (status, message in said) == (2, True)
    assert main("explain", "clop")[0] == 2
    status, said = main("explain", tmp_path / "absent.json")
    assert (status, "absent.json: there is no such file" in said) == (2, True)


def test_computed_and_imported_features_are_not_compared(store):
    write(store, range(3), {"imported": {"name": "ratings", "digest": "ee"}}, "ratings")
    write(store, range(3), OTHER, "sam")
    (first, *_) = explain(KEY, store.entries())
    assert first.startswith("sam-")
    (first, *_) = explain({"imported": {"name": "x", "digest": "ff"}}, store.entries())
    assert first.startswith("ratings-")
