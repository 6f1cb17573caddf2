"""Weights: one key whatever file they come in, and nothing but the right tensors is taken."""

import pickle
import re
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from base import RoiridgeError
from extract.run import compute, prepare
from extract.spaces import resolve
from networks import NetworkError
from networks.weights import Found, Request, weights_key

CPU = torch.device("cpu")
VIT = "timm:test_vit"


def network(name="test_vit", seed=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(name, pretrained=False).eval()


def prepared(given, name=VIT):
    return prepare(resolve(name), Request(name, str(given)), CPU)


@pytest.fixture(scope="module")
def state():
    return {k: v.clone().contiguous() for k, v in network().state_dict().items()}


def test_the_file_format_is_not_in_the_key(tmp_path, state):
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "my weights=1.bin")
    keys = {}
    for path in tmp_path.iterdir():
        made = prepared(path)
        keys[path.name] = made.key
        assert made.backbone.origin == f"file {path.name}"
    assert len(keys) == 4
    random = prepared("random:3").key
    assert random["weights"].pop("untrained") == "random:3"
    assert all(key == random for key in keys.values()), keys
    # home folders as the shell writes them, where make does not expand them
    with pytest.raises(NetworkError, match=r"no such file"):
        prepared("~/no such.pth")


def test_the_digest_of_weights_is_pinned():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    for number, values in enumerate(module.state_dict().values()):
        values.copy_((torch.arange(values.numel()) / 8 + number).reshape(values.shape))
    pinned = {"digest": "93479fa960b61e8aaa83f9065c6be0cc"}
    assert weights_key(module, None) == pinned
    module[1].num_batches_tracked += 5
    assert weights_key(module, 7) == {**pinned, "untrained": "random:7"}
    module[0].weight.data[2, 1] += 1e-6
    assert weights_key(module, None) != pinned


def test_random_weights_are_of_their_seed_and_say_so():
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    first, again, other = (prepared(f"random:{n}") for n in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.key == again.key
    assert first.key["weights"]["untrained"] == "random:0"
    assert first.key["weights"]["digest"] != other.key["weights"]["digest"]
    assert first.backbone.origin == "random, seed 0"
    torch.manual_seed(0)
    reference = timm.create_model("test_vit", pretrained=False).state_dict()
    own = first.backbone.module.state_dict()
    assert all(torch.equal(own[name], reference[name]) for name in reference)


@pytest.mark.parametrize(
    "given", ["random:", "random:x", "random:-1", "random:1.5", "random:²", "random:" + "9" * 30]
)
def test_a_seed_is_a_whole_number(given):
    with pytest.raises(NetworkError, match=rf"--weights {VIT}={given}: expected random:SEED"):
        prepared(given)


def test_missing_left_over_and_misshapen_tensors(tmp_path, state):
    path = tmp_path / "x.safetensors"
    less = {k: v for k, v in state.items() if k != "norm.weight"}
    save_file(less, path)
    with pytest.raises(
        NetworkError, match=r"x\.safetensors are of another.*: missing norm\.weight$"
    ):
        prepared(path)
    save_file({**state, "zzz": torch.zeros(1)}, path)
    with pytest.raises(NetworkError, match=r"left over zzz$"):
        prepared(path)
    save_file({**state, "norm.weight": torch.zeros(7)}, path)
    with pytest.raises(NetworkError, match=r"wrong shape norm\.weight is \(7,\), expected \(64,\)"):
        prepared(path)


NETWORKS = {
    "open_clip:ViT-B-32/openai": lambda: open_clip.create_model("ViT-B-32"),
    VIT: lambda: timm.create_model("test_vit"),
    "timm:test_efficientnet": lambda: timm.create_model("test_efficientnet"),
    "torchvision:alexnet@conv1": torchvision.models.alexnet,
    "torchvision:shufflenet_v2_x0_5": torchvision.models.shufflenet_v2_x0_5,
}


@pytest.fixture(scope="module", params=NETWORKS)
def thin(request):
    """Give a network and its tensors, with one value each: small on disk, right in shape."""
    with torch.device("meta") if "open_clip" not in request.param else nullcontext():
        own = NETWORKS[request.param]().state_dict()
    return request.param, {k: torch.full((), 0.5).expand(v.shape) for k, v in own.items()}


def test_a_whole_file_is_taken(tmp_path, thin):
    name, state = thin
    torch.save(state, tmp_path / "x.pth")
    assert "untrained" not in prepared(tmp_path / "x.pth", name).key["weights"]


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "other", "empty", "code", "cut"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_faults_in_the_file_of_any_family(tmp_path, thin, fault):
    name, state = thin
    marker, path = tmp_path / "ran", tmp_path / "x.pth"
    one = next(tensor for tensor in state if tensor.endswith("weight"))
    shown = re.escape(one.removeprefix("features.") if "alexnet" in name else one)
    named = r"x\.pth(:| are of another network)"
    files = {
        "missing": ({k: v for k, v in state.items() if k != one}, rf"{named}.*[Mm]issing.*{shown}"),
        "extra": ({**state, "zzz": torch.zeros(1)}, rf"{named}.*(left over|Unexpected).*zzz"),
        "shape": ({**state, one: torch.zeros(7)}, rf"{named}.*(shape|mismatch).*{shown}"),
        "other": (network("test_resnet").state_dict(), rf"{named}.*[Mm]issing"),
        "empty": ({}, r"x\.pth"),
        "code": ({**state, one: Bomb(marker)}, r"x\.pth: cannot be (read|loaded)"),
        "cut": (state, r"x\.pth: cannot be (read|loaded)"),
    }
    content, message = files[fault]
    torch.save(content, path)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RoiridgeError, match=message):
        prepared(path, name)
    assert not marker.exists()


def test_weights_without_batch_counters(tmp_path):
    full = network("test_resnet").state_dict()
    older = {k: v for k, v in full.items() if not k.endswith("num_batches_tracked")}
    assert len(older) < len(full)
    torch.save(dict(full), tmp_path / "new.pth")
    torch.save(older, tmp_path / "old.pth")
    name = "timm:test_resnet"
    new, old = (prepared(tmp_path / f"{n}.pth", name) for n in ("new", "old"))
    assert new.key == old.key
    batch = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(compute([new], batch)[0], compute([old], batch)[0])


class Bomb:
    """Makes a file when a careless reader unpickles it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("wrap", ["pickle", "torch", "torch in a state"])
def test_code_in_a_weights_file_is_never_run(tmp_path, wrap, state):
    marker, path = tmp_path / "ran", tmp_path / "x.pth"
    if wrap == "pickle":
        path.write_bytes(pickle.dumps(Bomb(marker)))
    else:
        torch.save(Bomb(marker) if wrap == "torch" else {**state, "b": Bomb(marker)}, path)
    for name in (VIT, "open_clip:ViT-B-32/openai") if wrap == "torch" else (VIT,):
        with pytest.raises(RoiridgeError, match=r"x\.pth: cannot be (read as|loaded into)"):
            prepared(path, name)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))  # noqa: S301
    assert marker.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_damaged_files_are_refused_in_words_or_have_another_key(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    tensors = {"a": torch.arange(40.0), "b": torch.ones(3)}
    if suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=suffix == ".pth")
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    damaged = [content[:length] for length in (0, 1, 2, 10, 30, len(content) // 2)]
    damaged += [b"hello\n", b"\x89PNG\r\n\x1a\n" + bytes(50), b'{"a": 1}', pickle.dumps({"a": 1})]
    for _ in range(80):
        changed = bytearray(content)
        changed[generator.integers(len(changed))] ^= int(generator.integers(1, 256))
        damaged.append(bytes(changed))
    refused = 0
    for attempt in damaged:
        path.write_bytes(attempt)
        try:
            read = Found("x", path=path).load()
        except NetworkError:
            refused += 1
        else:  # neither format has checksums: the key digests what was really read
            assert all(isinstance(v, torch.Tensor) for v in read.values())
    assert refused >= 15
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(NetworkError, match=rf"x{suffix}: cannot be read as weights \(.+\); expec"):
        prepared(path)


def test_why_a_file_is_no_weights_is_said_in_our_words(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"a": np.zeros(3)}, path)
    with pytest.raises(NetworkError, match=r"\(it holds more than tensors: numpy\.\S+\); expected"):
        Found("x", path=path).load()
    path.write_bytes(b"hello\n")
    with pytest.raises(NetworkError, match=r"\(it is damaged, or of another kind: \w+\); expected"):
        Found("x", path=path).load()


def test_a_folder_or_nothing_is_no_file(tmp_path):
    for given in (tmp_path, tmp_path / "x.pth", "randm:0"):
        with pytest.raises(NetworkError, match=r"no such file; expected a \.safetensors or PyT"):
            prepared(given)


def test_sams_own_release_is_read(tmp_path):
    name = "timm:samvit_base_patch16_224"
    own = network("samvit_base_patch16_224").state_dict()
    release = {f"image_encoder.{k.replace('mlp.fc', 'mlp.lin')}": v for k, v in own.items()}
    torch.save({**release, "prompt_encoder.x": torch.zeros(2)}, tmp_path / "sam.pth")
    torch.save(dict(own), tmp_path / "timm.pth")
    keys = [prepared(tmp_path / f, name).key for f in ("sam.pth", "timm.pth")]
    assert keys[0] == keys[1]
