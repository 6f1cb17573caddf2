"""Weights: one key whatever file they come in, and nothing but the right tensors is taken."""

import hashlib
import pickle
import re
import zipfile
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from base import RoiridgeError, load_plugin
from cache import digest
from extract import backbones
from extract.pipeline.devices import Recipe
from extract.run import compute, prepare
from extract.spaces import resolve
from networks import NetworkError
from networks.timm import make as make_timm
from networks.timm import patch_size
from networks.weights import Request, WeightsSource, weights_key

CPU = torch.device("cpu")
VIT = "timm:test_vit"


def network(name="test_vit", seed=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm.create_model(name, pretrained=False).eval()


def prepared(given, name=VIT):
    return prepare(resolve(name), Request(name, str(given)), CPU)


def loaded_key(path, name):
    """Load weights alone: the shapes of hundreds of layers take longer."""
    spec = resolve(name)
    family = load_plugin(backbones, spec.family, "network family")
    return family.load(spec, Request(name, str(path))).key


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
    first = keys["a.safetensors"]
    assert all(key == first for key in keys.values()), keys
    assert set(first["weights"]) == {"digest"}
    # home folders as the shell writes them, where make does not expand them
    with pytest.raises(NetworkError, match=r"no such file"):
        prepared("~/no such.pth")


def test_the_digest_of_weights_is_pinned():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    for number, values in enumerate(module.state_dict().values()):
        values.copy_((torch.arange(values.numel()) / 8 + number).reshape(values.shape))
    pinned = {"digest": "93479fa960b61e8aaa83f9065c6be0cc"}
    assert weights_key(module, None, "timm") == pinned
    module[1].num_batches_tracked += 5
    assert weights_key(module, None, "timm") == pinned
    module[0].weight.data[2, 1] += 1e-6
    assert weights_key(module, None, "timm") != pinned


def test_random_weights_are_of_their_seed_and_say_so():
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    first, again, other = (prepared(f"random:{n}") for n in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.key == again.key
    assert first.key["weights"]["untrained"] == "random:0"
    assert first.key != other.key
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
        "code": ({**state, one: Bomb(marker)}, r"x\.pth: cannot be read"),
        "cut": (state, r"x\.pth: cannot be read"),
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
        with pytest.raises(RoiridgeError, match=r"x\.pth: cannot be read as"):
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
            read = WeightsSource("x", path=path).load()
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
        WeightsSource("x", path=path).load()
    path.write_bytes(b"hello\n")
    with pytest.raises(NetworkError, match=r"\(it is damaged, or of another kind: \w+\); expected"):
        WeightsSource("x", path=path).load()


def test_a_folder_or_nothing_is_no_file(tmp_path):
    for given in (tmp_path, tmp_path / "x.pth", "randm:0"):
        with pytest.raises(NetworkError, match=r"no such file; expected a \.safetensors or PyT"):
            prepared(given)


@pytest.mark.slow
def test_sams_own_release_is_read(tmp_path):
    name = "timm:samvit_base_patch16_224"
    own = network("samvit_base_patch16_224").state_dict()
    release = {f"image_encoder.{k.replace('mlp.fc', 'mlp.lin')}": v for k, v in own.items()}
    torch.save({**release, "prompt_encoder.x": torch.zeros(2)}, tmp_path / "sam.pth")
    torch.save(dict(own), tmp_path / "timm.pth")
    keys = [prepared(tmp_path / f, name).key for f in ("sam.pth", "timm.pth")]
    assert keys[0] == keys[1]


def old_densenet_name(name):
    return re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name)


def old_vit_name(name):
    return re.sub(r"mlp\.([03])\.", lambda m: f"mlp.linear_{1 + int(m[1]) // 3}.", name)


@pytest.mark.parametrize(
    ("name", "rename", "suffix"),
    [
        ("densenet121@features.norm5#mean", old_densenet_name, ".pth"),
        ("densenet121@features.norm5+classifier#mean", old_densenet_name, ".safetensors"),
        ("vit_b_32@encoder.ln#cls", old_vit_name, ".pth"),
    ],
)
def test_e3_torchvisions_old_tensor_names_are_read(tmp_path, name, rename, suffix):
    name = f"torchvision:{name}"
    with torch.device("meta"):
        model = torchvision.models.get_model(resolve(name).model, weights=None)
    state = {n: torch.full((), 0.5).expand(v.shape) for n, v in model.state_dict().items()}
    old = {rename(n): v for n, v in state.items()}
    assert set(old) != set(state)
    new_file, old_file = tmp_path / f"new{suffix}", tmp_path / f"old{suffix}"
    for path, tensors in ((new_file, state), (old_file, old)):
        if suffix == ".pth":
            torch.save(tensors, path)
        else:
            save_file({n: v.contiguous() for n, v in tensors.items()}, path)
    keys = [loaded_key(path, name) for path in (new_file, old_file)]
    assert keys[0] == keys[1]
    torch.save({**old, "zzz": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(NetworkError, match=r"left over zzz$"):
        loaded_key(tmp_path / "x.pth", name)


def test_e3_files_without_versions_of_modules_are_read(tmp_path):
    # MNASNet refuses a state whose version it does not know; safetensors keep none.
    name = "torchvision:mnasnet0_5"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        state = torchvision.models.mnasnet0_5(weights=None).state_dict()
    torch.save(state, tmp_path / "a.pth")
    save_file({n: v.contiguous() for n, v in state.items()}, tmp_path / "b.safetensors")
    keys = [loaded_key(path, name) for path in sorted(tmp_path.iterdir())]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state, "epoch": 3, "args": Namespace(lr=1.0)},
        lambda state: {"state_dict": {f"module.{n}": v for n, v in state.items()}},
        lambda state: {"state_dict": state, "optimizer": {"state": {}, "param_groups": []}},
        lambda state: {f"module._orig_mod.{n}": v for n, v in state.items()},
        lambda state: {f"_orig_mod.module.{n}": v for n, v in state.items()},
        lambda state: {"model": {"state_dict": state}},
    ],
    ids=["model", "module", "state_dict", "compiled", "compiled first", "nested"],
)
def test_e9_wrappings_of_training_programs_are_read(tmp_path, state, wrap):
    torch.save(state, tmp_path / "plain.pth")
    torch.save(wrap(state), tmp_path / "wrapped.pth")
    keys = [prepared(tmp_path / f).key for f in ("plain.pth", "wrapped.pth")]
    assert keys[0] == keys[1]


def test_e9_averaged_weights_are_taken_as_timm_takes_them(tmp_path, state, capsys):
    averaged = {n: v + 1 for n, v in state.items()}
    path = tmp_path / "x.pth"
    torch.save({"state_dict": state, "state_dict_ema": averaged}, path)
    read = WeightsSource("x", path=path).load()
    assert "holds state_dict_ema and state_dict; state_dict_ema is taken" in capsys.readouterr().out
    expected = timm.models.load_state_dict(str(path))
    assert all(torch.equal(read[n], expected[n]) for n in expected)
    assert set(read) == set(expected)


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.register_buffer("size", torch.tensor(5))
        self.scale = torch.nn.Parameter(torch.ones(3).half())
        self.mask = torch.arange(4.0)  # an attribute, and no part of the state
        self.sides = [1, 2]

    def forward(self, x):
        return self.body(x) * self.mask[:, None, None] * self.sides[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_e9_tensors_of_a_torchscript_archive_are_read(tmp_path, how):
    path, module = tmp_path / "x.pt", drawn_small()
    example = torch.zeros(1, 3, 8, 8)
    made = torch.jit.script(module) if how == "script" else torch.jit.trace(module, example)
    made.save(str(path))
    read, expected = WeightsSource("x", path=path).load(), made.state_dict()
    assert set(read) == set(expected) == set(module.state_dict())
    for name, values in expected.items():
        assert read[name].dtype == values.dtype
        assert torch.equal(read[name], values), name
    # The programs are not looked at: an archive with none, or with damaged ones, is read too.
    damaged = tmp_path / "y.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(damaged, "w") as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item))
    assert set(WeightsSource("y", path=damaged).load()) == set(expected)


def drawn_small():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Small().eval()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("fault", ["code", "cut", "beyond", "no tensors"])
def test_e9_a_hostile_archive_is_refused_in_our_words(tmp_path, fault):
    marker, path = tmp_path / "ran", tmp_path / "x.pt"
    torch.jit.trace(drawn_small(), torch.zeros(1, 3, 8, 8)).save(str(path))
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in files if name.endswith("/data.pkl"))
    if fault == "code":
        files[pickled] = pickle.dumps(Bomb(marker))
    elif fault == "cut":
        files[pickled] = files[pickled][:-40]
    elif fault == "beyond":  # fewer bytes than the tensors claim
        files = {n: b[:4] if "/data/" in n else b for n, b in files.items()}
    else:
        files[pickled] = pickle.dumps([1, 2])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(NetworkError, match=r"x\.pt: (cannot be read|expected)") as refused:
        prepared(path)
    assert "weights_only" not in str(refused.value)
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_e9_a_torchscript_clip_gives_the_features_of_its_state(tmp_path):
    name = "open_clip:ViT-B-32/openai"
    own = open_clip.create_model("ViT-B-32").state_dict()
    clip = Tree({n: torch.full((), 0.5).expand(v.shape) for n, v in own.items()})
    settings = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}
    for setting, value in settings.items():
        clip.register_buffer(setting, torch.tensor(value))
    torch.jit.script(clip).save(str(tmp_path / "x.pt"))
    torch.save({n: v for n, v in clip.state_dict().items() if n in own}, tmp_path / "y.pt")
    keys = [loaded_key(tmp_path / file, name) for file in ("x.pt", "y.pt")]
    assert keys[0] == keys[1]
    assert keys[0]["quick_gelu"] is True  # of the tag, whatever file the weights come from


class Tree(torch.nn.Module):
    """Modules with parameters under given names."""

    def __init__(self, tensors):
        super().__init__()
        for name, values in tensors.items():
            first, _, rest = name.partition(".")
            if not rest:
                self.register_parameter(first, torch.nn.Parameter(values, requires_grad=False))
        firsts = dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name)
        for first in firsts:
            inside = {
                n.partition(".")[2]: v for n, v in tensors.items() if n.startswith(f"{first}.")
            }
            self.add_module(first, Tree(inside))

    def forward(self, x):
        return x


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_n3_a_timm_network_without_its_classifier_or_with_another(tmp_path, name):
    full = network(name)
    without, other = (
        timm.create_model(name, pretrained=False, num_classes=count) for count in (0, 7)
    )
    shared = full.state_dict()
    for number, module in enumerate((full, without, other)):
        fitting = {n: v for n, v in shared.items() if n in module.state_dict()
                   and module.state_dict()[n].shape == v.shape}  # fmt: skip
        module.load_state_dict(fitting, strict=False)
        torch.save(dict(module.state_dict()), tmp_path / f"{number}.pth")
    made = [prepared(tmp_path / f"{number}.pth", f"timm:{name}") for number in range(3)]
    assert made[0].key == made[1].key == made[2].key
    batch = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    rows = [compute([one], batch)[0] for one in made]
    # The same operations on the same numbers.
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])
    # A tensor that features do pass is in the key, and may not be lacking.
    changed = dict(shared)
    body = next(n for n in changed if n.endswith("weight"))
    torch.save({**changed, body: changed[body] + 1}, tmp_path / "3.pth")
    assert prepared(tmp_path / "3.pth", f"timm:{name}").key != made[0].key
    del changed[body]
    torch.save(changed, tmp_path / "4.pth")
    with pytest.raises(NetworkError, match=rf"missing {re.escape(body)}"):
        prepared(tmp_path / "4.pth", f"timm:{name}")


def test_n3_features_of_earlier_versions_keep_their_key(tmp_path, state):
    path = tmp_path / "x.pth"
    torch.save(state, path)
    made = prepared(path)
    # As the whole state was digested before, classifier and all.
    total = hashlib.sha256()
    for name, values in sorted(state.items()):
        total.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        total.update(values.numpy().tobytes())
    former = {**made.key, "weights": {"digest": total.hexdigest()[:32]}}
    assert made.former_key == former != made.key
    recipe = Recipe([resolve(VIT)], [Request(VIT, str(path))], "float32", "float32", None, 0, {})
    (new,) = recipe.prepare(CPU)
    assert new.key == made.key
    (old,) = replace(recipe, stored_names={digest(former): [VIT]}).prepare(CPU)
    assert old.key == former
    stored = {digest(key): [VIT] for key in (former, made.key)}
    (both,) = replace(recipe, stored_names=stored).prepare(CPU)
    assert both.key == made.key


def test_e12_weights_that_were_trained_with_quickgelu(tmp_path):
    name = "vit_base_patch32_clip_224/openai"
    asked = f"timm:{name}"
    variant = name.replace("_clip_", "_clip_quickgelu_")
    (tmp_path / "x.pth").write_bytes(b"")
    with pytest.raises(NetworkError, match=rf"trained with QuickGELU.*write timm:{variant} for"):
        prepared(tmp_path / "x.pth", asked)
    # The variant gets as far as reading the file, and random weights fit any activation.
    with pytest.raises(NetworkError, match=r"x\.pth: cannot be read"):
        prepared(tmp_path / "x.pth", f"timm:{variant}")
    assert (
        make_timm(variant.replace("/", "."), 0)[0].blocks[0].mlp.act.__class__.__name__
        == "QuickGELU"
    )


def test_e12_no_message_recommends_weights_that_are_refused():
    with pytest.raises(NetworkError, match=r"such as (\S+) or (\S+)$") as refused:
        patch_size("test_resnet.r160_in1k")
    names = re.search(r"such as (\S+) or (\S+)$", str(refused.value)).groups()
    for name in names:
        assert timm.is_model(name)
        notes = timm.get_pretrained_cfg(name).notes or ()
        assert not notes or "quickgelu" in name
