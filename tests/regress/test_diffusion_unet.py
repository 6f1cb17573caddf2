"""The diffusion model begun from a UNet in diffusers' format, and the files of its fits."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from cache import FeatureStore, read_artifact
from challenge import find_subjects
from regress import load_design, load_fit
from regress.commands.fit import fit as regress
from regress.data.design import find_spaces
from regress.errors import RegressError
from regress.models.diffusion import Diffusion
from tests.builders.diffusion_data import QUICK, _data


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a tiny UNet of random weights, and save it as diffusers does."""
    folder = tmp_path_factory.mktemp("unet")
    torch.manual_seed(3)
    blocks = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    UNet2DConditionModel(
        sample_size=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=6,
        attention_head_dim=4,
        down_block_types=blocks[0],
        up_block_types=blocks[1],
    ).save_pretrained(folder)
    return folder


def test_it_begins_as_the_unet_that_is_given_and_trains_all_of_it(unet: Path) -> None:
    X, Y = _data(60)
    given = UNet2DConditionModel.from_pretrained(unet).state_dict()
    own = {**QUICK, "unet": str(unet), "steps": 4, "samples": 2, "epochs": 3}
    model = Diffusion(**own, scope=np.repeat(["a", "b"], 12))
    model.fit(X, Y)
    state = model.state()
    held = {n.removeprefix("denoiser.unet."): v for n, v in state.items() if ".unet." in n}
    assert held.keys() == given.keys()
    still = [name for name in given if np.array_equal(held[name], given[name])]
    # A picture is one token: attention to it alone is 1, whatever the query, so that what scales
    # the query has a gradient of 0, or of rounding on some processors.
    assert [name for name in still if ".norm2." not in name] == []
    # By little: it began there.
    apart = np.mean([np.abs(held[n] - given[n].numpy()).mean() for n in given])
    size = np.mean([np.abs(given[n].numpy()).mean() for n in given])
    assert apart < 0.2 * size
    assert set(model.shared_names()) >= {"denoiser.config", "denoiser.unet.conv_in.weight"}
    # All groups stop together, and without the folder it predicts the same.
    assert len(set(model.epochs_.tolist())) == 1
    loaded = Diffusion(**{**own, "unet": "/moved"}).restore(state)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_with_a_unet_it_beats_the_mean(unet: Path) -> None:
    (X, Y), (Z, measured) = _data(200), _data(100, seed=1)
    own = {**QUICK, "unet": str(unet), "steps": 4, "samples": 2, "epochs": 12}
    rest = measured - Diffusion(**own).fit(X, Y).predict(Z)
    assert (rest**2).mean() < 0.75 * ((measured - Y.mean(0)) ** 2).mean()


def test_a_unet_that_cannot_be_is_named(unet: Path, tmp_path: Path) -> None:
    def refused(said: str) -> None:
        with pytest.raises(ValueError, match=said):
            Diffusion(unet=str(tmp_path / "pipeline")).fit(*_data(50))

    shutil.copytree(unet, tmp_path / "pipeline" / "unet")
    Diffusion(unet=str(tmp_path / "pipeline")).check_parameters()
    inside = tmp_path / "pipeline" / "unet"
    config = json.loads((inside / "config.json").read_text())
    for change, said in (
        ({"_class_name": "UNet2DModel"}, "found a UNet2DModel, expected a UNet2DConditionModel"),
        ({"addition_embed_type": "text_time"}, "has addition_embed_type 'text_time'"),
        ({"out_channels": 8}, "takes 4 channels and gives 8"),
        ({"block_out_channels": [80_000, 160_000]}, r"weights need \d+ GB .* give a smaller one"),
    ):
        (inside / "config.json").write_text(json.dumps(config | change))
        refused(said)
    (inside / "config.json").write_text("{")
    refused("config.json: is not what diffusers writes")
    (inside / "config.json").write_text(json.dumps(config))
    whole = inside / "diffusion_pytorch_model.safetensors"
    whole.write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(RegressError, match="unet: cannot be loaded: "):
        Diffusion(unet=str(tmp_path / "pipeline")).fit(*_data(50))
    whole.rename(inside / "diffusion_pytorch_model.bin")
    refused("found no .*safetensors; diffusion_pytorch_model.bin is a pickle, which is not opened")
    (inside / "config.json").unlink()
    refused("holds no config.json; expected a folder with")


@pytest.mark.slow
def test_files_hold_the_spread(simulated: Path, unet: Path, tmp_path: Path) -> None:
    subject = find_subjects(simulated)[0]
    store, rows = FeatureStore(tmp_path / "features"), {}
    rng = np.random.default_rng(0)
    for split, name in (("train", "training"), ("test", "test")):
        truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :8]
        for digest, row in zip(subject.picture_digests(split), truth, strict=True):
            rows.setdefault(digest, row + 0.3 * rng.standard_normal(8))
    layers = [{"layer": "a", "pooling": "flatten", "projection": None}]
    with store.writer("known", {"made": "known", "layers": layers}, {"origin": "x"}) as writer:
        writer.add(list(rows), np.array(list(rows.values()), np.float32))
    design = load_design(subject, store, find_spaces(store, ["known"]))
    own = {**QUICK, "latent": 4, "epochs": 2, "samples": 2, "steps": 2, "unet": str(unet)}
    regress(
        simulated, tmp_path, "01", "diffusion", ["known"], "cpu", group_by="hemisphere", params=own
    )
    files = sorted(tmp_path.glob("fits/*/subj01/*.h5"))
    assert len(files) == sum(len(subject.regions(h)) for h in ("lh", "rh"))
    for path in files[::9]:
        arrays = read_artifact(path)[0]
        assert not [name for name in arrays if ".unet." in name]
        model, meta = load_fit(path)
        # All ROIs were predicted in one go: the same but for rounding.
        near = {"rtol": 1e-4, "atol": 1e-5}
        predicted = arrays["test_predictions"], arrays["test_spread"]
        np.testing.assert_allclose(model.predict(design.test), predicted[0], **near)
        np.testing.assert_allclose(model.spread(design.test), predicted[1], **near)
        assert arrays["test_spread"].shape == arrays["test_predictions"].shape
        assert (arrays["test_spread"] > 0).all()
        assert meta["settings"]["parameters"]["unet"] == str(unet)
