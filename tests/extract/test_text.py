"""`clip_text`: rows are what open_clip's own text encoder gives, each caption encoded once."""

from dataclasses import replace

import h5py
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import normalize

from base import RoiridgeError
from cache import FeatureStore
from challenge import find_subjects
from execute.status import read_progress
from extract.spaces import resolve
from extract.text.captions import read_captions
from extract.text.text_space import extract_text, prepare_text
from extract.text.text_tower import TextTower
from networks import NetworkError
from networks.weights import Request
from tests.builders.captioned import LONG, SAID, name_pictures, said_of, write_coco, write_plain
from tests.builders.commands import call

CPU = torch.device("cpu")
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def text_spec(model="RN50/openai", rest="@embedding"):
    spec = resolve(f"open_clip:{model}{rest}")
    return replace(spec, name="clip_text", family="open_clip_text")


def prepared(captions, model="RN50/openai", rest="@embedding", given="random:0", **options):
    request = Request("clip_text", str(given))
    return prepare_text(text_spec(model, rest), request, captions, CPU, **options)


@pytest.fixture(scope="module")
def subjects(simulated):
    return find_subjects(simulated, "all")


@pytest.fixture(scope="module")
def named(subjects):
    return name_pictures(subjects)


@pytest.fixture
def captions(named, tmp_path):
    """Give each picture two of a few captions, the same twice to some."""
    rows = [(name, said) for number, (name, _) in named.items() for said in said_of(number)]
    return read_captions([write_plain(tmp_path / "captions.csv", rows)])


def create(name, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return open_clip.create_model(name, pretrained=None, **options).eval()


@pytest.fixture(scope="module")
def small():
    """RN50 with the weights of seed 0, as open_clip itself builds it."""
    return create("RN50", force_quick_gelu=True), open_clip.get_tokenizer("RN50")


@torch.inference_mode()
def by_hand(network, wanted):
    """Do what open_clip's documentation shows, each caption once, and take the means."""
    model, tokenizer = network
    distinct = sorted({caption for captions in wanted for caption in captions})
    features = model.encode_text(tokenizer(distinct))
    features /= features.norm(dim=-1, keepdim=True)
    known = dict(zip(distinct, features.numpy(), strict=True))
    return np.stack([np.mean([known[c] for c in captions], axis=0) for captions in wanted])


def note_batches(space):
    """Note the shape of what the tower is given, batch by batch."""
    shapes = []
    space.tower.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    return shapes


@pytest.mark.slow
def test_rows_are_open_clips_encode_text(subjects, named, tmp_path):
    captions = read_captions(write_coco(tmp_path, {number: said_of(number) for number in named}))
    texts, store = captions.for_subjects(subjects), FeatureStore(tmp_path / "features")
    space = prepared(captions, "ViT-B-32/openai")
    assert extract_text(space, texts, store) == len(texts)
    entry = store.find("clip_text")
    assert (entry.untrained, entry.meta["origin"]) == (True, "random, seed 0")
    network = create("ViT-B-32", force_quick_gelu=True), open_clip.get_tokenizer("ViT-B-32")
    for subject in subjects:
        found = store.read(entry, subject.picture_digests("test"))
        assert (found.dtype, found.shape) == (np.float32, (12, 512))
        expected = by_hand(network, [said_of(int(n)) for n in subject.nsd_ids("test")])
        np.testing.assert_allclose(found, expected, **CLOSE)
    lengths = np.linalg.norm(store.read(entry, list(texts)), axis=1)
    assert 0.99999 < lengths.max() < 1.00001  # of one caption twice
    assert lengths.min() < 0.999  # a mean is not normalised again


@pytest.mark.parametrize(
    ("name", "context"),
    [("RN50", 77), ("PE-Core-T-16-384", 32), ("MobileCLIP-S1", 77),
     ("coca_ViT-B-32", 76)],
)  # fmt: skip
@torch.inference_mode()
def test_towers_of_every_kind_equal_encode_text(name, context):
    # CLIP's own class, and that of other image towers; a shorter context; no causal mask; a class
    # token behind the words.
    model, tokenizer = create(name), open_clip.get_tokenizer(name)
    texts = [tokenizer(said) for said in ([SAID[0], LONG], SAID[5:])]
    assert texts[0].shape == (2, context)
    expected = [normalize(model.encode_text(tokens), dim=-1) for tokens in texts]
    tower = TextTower(model)
    for tokens, other in zip(texts, expected, strict=True):
        torch.testing.assert_close(normalize(tower.embed(tokens), dim=-1), other, **CLOSE)


def test_what_the_key_holds(captions):
    key = prepared(captions).key
    assert {**key, "weights": sorted(key["weights"])} == {
        "schema": 1,
        "family": "open_clip_text",
        "model": "RN50",
        "quick_gelu": True,
        "weights": ["digest", "drawn_with", "untrained"],
        "tokenizer": {"name": "SimpleTokenizer", "settings": {}, "digest": "ab7316202ece1f45"},
        "context_length": 77,
        "pooling": "mean of normalised, not normalised again",
        "projection": None,
        "captions": captions.digest,
        "dtype": "float32",
    }
    other = prepared(
        captions, rest="~64", given="random:1", precision="bfloat16", dtype="float16"
    ).key
    changed = {name for name in other if other[name] != key.get(name)}
    assert changed == {"weights", "projection", "dtype", "autocast"}
    assert other["weights"] == {**key["weights"], "untrained": "random:1"}


@pytest.mark.slow
def test_the_image_tower_is_not_in_the_key(captions, small, tmp_path):
    state = dict(small[0].state_dict())
    changed = {name: state[name] + 1 for name in ("visual.conv1.weight", "logit_scale")}
    torch.save({**state, **changed}, tmp_path / "clip.pt")
    torch.save(state, tmp_path / "same.pt")
    space, same = (prepared(captions, given=tmp_path / file) for file in ("clip.pt", "same.pt"))
    assert (space.origin, prepared(captions).origin) == ("file clip.pt", "random, seed 0")
    assert space.key == same.key
    save_file({"logit_scale": state["logit_scale"]}, tmp_path / "part.safetensors")
    with pytest.raises(NetworkError, match=r"part\.safetensors are of another network.*: missing"):
        prepared(captions, given=tmp_path / "part.safetensors")


def test_added_pictures_alone_are_computed(subjects, captions, tmp_path, small):
    store = FeatureStore(tmp_path / "features")
    space = prepared(captions)
    encoded = note_batches(space)
    first, both = captions.for_subjects(subjects[:1]), captions.for_subjects(subjects)
    assert extract_text(space, first, store) == 52
    distinct = {text for texts in first.values() for text in texts}
    assert [tuple(shape) for shape in encoded] == [(len(distinct), 11)]  # not 77 tokens
    before = store.read(store.find("clip_text"), list(first))
    assert extract_text(space, both, store) == len(both) - 52 > 0
    encoded.clear()
    assert extract_text(space, both, store) == 0
    assert not encoded
    rows = store.read(store.find("clip_text"), list(both))
    np.testing.assert_array_equal(rows[:52], before)
    np.testing.assert_allclose(rows, by_hand(small, both.values()), **CLOSE)


@pytest.fixture
def distinct(named, tmp_path):
    """Give each picture a caption of its own."""
    said = [(name, f"picture {number}") for number, (name, _) in named.items()]
    return read_captions([write_plain(tmp_path / "distinct.csv", said)])


def test_interrupted_and_run_again(subjects, distinct, tmp_path, monkeypatch):
    monkeypatch.setattr("extract.text.text_space.CHUNK", 10)
    store, texts = FeatureStore(tmp_path / "features"), distinct.for_subjects(subjects[:1])
    space = prepared(distinct)
    batches = note_batches(space)

    def press_ctrl_c(*_):
        if len(batches) == 3:
            raise KeyboardInterrupt

    pressed = space.tower.register_forward_pre_hook(press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        extract_text(space, texts, store)
    pressed.remove()
    assert extract_text(space, texts, store) == 52 - 20
    whole = FeatureStore(tmp_path / "whole")
    monkeypatch.setattr("extract.text.text_space.CHUNK", 256)
    extract_text(space, texts, whole)
    rows = [s.read(s.find("clip_text"), list(texts)) for s in (store, whole)]
    np.testing.assert_allclose(*rows, **CLOSE)


def test_out_of_memory_halves_the_batch(subjects, distinct, tmp_path, capsys):
    texts, rows = dict(list(distinct.for_subjects(subjects).items())[:20]), []
    space = prepared(distinct)

    def too_large(_, given):
        if len(given[0]) > 6:
            raise torch.OutOfMemoryError

    for folder in ("whole", "halves"):
        store = FeatureStore(tmp_path / folder)
        extract_text(space, texts, store)
        rows.append(store.read(store.find("clip_text"), list(texts)))
        space.tower.register_forward_pre_hook(too_large)
    np.testing.assert_allclose(*rows, **CLOSE)
    assert "clip_text: out of memory with 20 captions; trying 10" in capsys.readouterr().out


def test_captions_past_the_context_are_cut_and_counted(subjects, named, tmp_path, small, capsys):
    # 75 words fit exactly with the two marks around them.
    texts = [LONG, " ".join(["dog"] * 75), " ".join(["dog"] * 76), "sheep"]
    said = [(name, texts[n % 4]) for n, (name, _) in enumerate(named.values())]
    captions = read_captions([write_plain(tmp_path / "long.csv", said)])
    store, wanted = FeatureStore(tmp_path / "features"), captions.for_subjects(subjects)
    assert extract_text(prepared(captions), wanted, store) == len(wanted)
    assert capsys.readouterr().out.count("clip_text: 2 of 4 captions are cut at 77 tokens") == 1
    four = dict(sorted((texts, digest) for digest, texts in wanted.items()))
    rows = store.read(store.find("clip_text"), list(four.values()))
    np.testing.assert_allclose(rows, by_hand(small, four), **CLOSE)


def test_projected_and_in_lower_precision(subjects, captions, tmp_path, capsys):
    texts, rows = dict(list(captions.for_subjects(subjects).items())[:3]), []
    lower = {"precision": "bfloat16", "dtype": "float16"}
    spaces = [prepared(captions, **options) for options in ({}, {"rest": "~64"}, lower)]
    for number, space in enumerate(spaces):
        store = FeatureStore(tmp_path / str(number))
        extract_text(space, texts, store)
        entry = store.find("clip_text")
        rows.append(store.read(entry, list(texts)))
        with h5py.File(entry.path) as opened:
            assert opened["features"].dtype == space.key["dtype"]
    np.testing.assert_allclose(spaces[1].projection(rows[0]), rows[1], **CLOSE)
    assert rows[1].shape == (3, 64)
    assert 0 < np.abs(rows[0] - rows[2]).max() < 0.02
    assert "clip_text: bfloat16 beside float32, cosine 0.99" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "rest", "message"),
    [
        ("RN50/openai", "@blocks.3", r"clip_text: a text tower has no layer blocks\.3; expected"),
        ("RN50/openai", "#mean", r"clip_text: pooling 'mean', .*expected none: leave out #mean"),
        ("ViT-B-23/openai", "", r"no model 'ViT-B-23': choose from .*ViT-B-32"),
        ("RN50", "", r"names no weights: write open_clip_text:RN50/TAG with a tag from openai"),
        ("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k", "", r"with xlm-roberta-base of Hugging"),
        ("ViT-B-16-SigLIP/webli", "", r"reads texts with timm/ViT-B-16-SigLIP of Hugging Face's"),
        ("RN50/openai", "", r"--weights clip_text=/no/file: there is no such file"),
    ],
)
def test_spaces_that_cannot_be(captions, model, rest, message):
    with pytest.raises(RoiridgeError, match=message):
        prepared(captions, model, rest, given="/no/file")


def test_n1_features_of_captions_are_recorded(simulated, named, tmp_path):
    rows = [(name, said) for number, (name, _) in named.items() for said in said_of(number)]
    path = write_plain(tmp_path / "captions.csv", rows)
    space, out = "open_clip_text:RN50/openai", tmp_path / "out"
    done = call("extract", "--data", simulated, "--out", out, "--device", "cpu", "--spaces", space,
                "--weights", f"{space}=random:0", "--captions", path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    [progress] = read_progress(out)
    assert [(unit.name, unit.state) for unit in progress.units] == [(space, "done")]
    assert progress.units[0].about["seconds"] > 0
