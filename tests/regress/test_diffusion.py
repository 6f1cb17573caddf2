"""The diffusion model: its code, its noise, what it draws, and how sure it is."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.diffusion.code_algebra import encode, metric
from regress.diffusion.codes import principal
from regress.diffusion.memory_limits import check_latent
from regress.diffusion.schedulers import (
    COMMON,
    LEVELS,
    SAMPLERS,
    Noising,
    draw_noise,
    even_levels,
    sample_code,
)
from regress.errors import RegressError
from regress.models.diffusion import Diffusion
from tests.builders.diffusion_data import QUICK, Arrays, _data

QUICK |= {"steps": 10, "samples": 4}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_code_is_that_of_scikit_learns_components() -> None:
    Y = _data()[1]
    code, scores, left = principal(Responses([Y]), 5, 0)
    reference = PCA(5, svd_solver="full").fit(Y.astype(np.float64))
    lengths = np.linalg.norm(code, axis=1)
    np.testing.assert_allclose(lengths, reference.singular_values_ / np.sqrt(len(Y)), rtol=1e-3)
    agree = np.abs(np.sum(code / lengths[:, None] * reference.components_, 1))
    np.testing.assert_allclose(agree, 1, atol=1e-3)
    np.testing.assert_allclose(scores.std(0), 1, rtol=1e-3)
    rest = Y - reference.inverse_transform(reference.transform(Y))
    np.testing.assert_allclose(left, (rest**2).mean(0), rtol=1e-2)


def test_codes_are_found_again_whatever_the_order_of_the_groups() -> None:
    rng = np.random.default_rng(0)
    member = torch.tensor([1, 0, 2, 0, 1, 1, 0, 2, 2, 0])
    code = torch.from_numpy(rng.standard_normal((3, 10)))
    codes = torch.from_numpy(rng.standard_normal((7, 3, 3)))
    responses = torch.stack([codes[:, g] @ code[:, v] for v, g in enumerate(member)], 1)
    found = encode(responses, code, member, metric(code, member, 3))
    np.testing.assert_allclose(found, codes, atol=1e-9)
    # Fewer vertices than numbers: the code that is found stands for the same responses.
    alone = metric(code[:, :1], member[:1] * 0, 1)
    found = encode(responses[:, :1], code[:, :1], member[:1] * 0, alone)
    np.testing.assert_allclose(found[:, 0] @ code[:, :1], responses[:, :1], atol=1e-9)


def test_levels_are_spread_over_all_that_there_are() -> None:
    below = np.nextafter(np.float32(1), np.float32(0))
    found = even_levels(torch.tensor([0.0, 0.5, below]), 4).reshape(4, 3)
    assert found[:, 0].tolist() == [0, 250, 500, 750]
    assert found[:, 1].tolist() == [125, 375, 625, 875]
    assert found[-1, 2] == LEVELS - 1
    Noising().rates(found.flatten())


def _gaussian(variance: float, mean: float) -> Any:
    """Give the best denoiser of a normal code: what is expected given the noisy one."""

    def denoise(noisy: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        alpha, sigma = Noising().rates(levels)
        about = noisy - alpha * mean
        spread = alpha**2 * variance + sigma**2
        code, noise = mean + alpha * variance / spread * about, sigma / spread * about
        return alpha * noise - sigma * code

    return denoise


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_with_the_best_denoiser_samplers_draw_what_they_should(sampler: str) -> None:
    # The numbers of a code are denoised each alone here: many of them are many draws.
    noise = torch.from_numpy(draw_noise(2, 250, 20_000, np.random.default_rng(0)))
    drawn = torch.stack([sample_code(_gaussian(0.25, 3.0), one, sampler, 2, 1) for one in noise])
    assert drawn.mean() == pytest.approx(3, abs=0.02)
    assert drawn.std() == pytest.approx(0.5, rel=0.05)
    # All pictures are drawn from the same noise, and the two draws from opposite.
    assert torch.equal(drawn[:, 0], drawn[:, 1])
    np.testing.assert_allclose(drawn.mean(0), np.full((2, 1, 20_000), 3), atol=0.02)


def test_ddpm_is_that_of_diffusers() -> None:
    """Its own scheduler draws noise itself: seeded alike, the steps are the same."""
    noise = torch.randn(11, 3, generator=torch.Generator().manual_seed(5))
    denoise, scheduler = _gaussian(0.5, 1.0), DDPMScheduler(**COMMON, clip_sample=False)
    scheduler.set_timesteps(10)
    code, rng = noise[0].expand(1, 1, 3), torch.Generator().manual_seed(7)
    fresh = [noise[0]]
    for level in scheduler.timesteps:
        state = rng.get_state()
        fresh.append(torch.randn(1, 1, 3, generator=rng)[0, 0])
        rng.set_state(state)
        given = denoise(code, level.expand(1))
        code = scheduler.step(given, level, code, generator=rng).prev_sample
    mine = sample_code(denoise, torch.stack(fresh), "ddpm", 1, 1)
    np.testing.assert_allclose(mine, code, atol=1e-5)


@pytest.mark.slow
def test_it_draws_both_of_two_modes_and_the_mean_between_them() -> None:
    rng = np.random.default_rng(0)
    X = 0.01 * rng.standard_normal((600, 3)).astype(np.float32)
    Y = rng.choice([-2, 2], (600, 1)) + 0.2 * rng.standard_normal((600, 4))
    own = {"epochs": 30, "validation": 0, "schedule": "constant"}
    model = Diffusion(**{**QUICK, "latent": 2, "width": 64, "steps": 20, "samples": 16, **own}).fit(
        X, Y.astype(np.float32)
    )
    made = model.sample(X[:1], 400)[:, 0]
    low, high = (made < -1).all(1).mean(), (made > 1).all(1).mean()
    assert low > 0.25
    assert high > 0.25
    assert low + high > 0.8
    # The prediction is the mean of the draws, and neither mode.
    assert np.abs(model.predict(X[:1])).max() < 1
    assert model.spread(X[:1]) == pytest.approx(Y.std(0)[None], rel=0.3)


def test_it_predicts_beyond_the_mean_and_the_same_each_time() -> None:
    (X, Y), (Z, measured) = _data(), _data(seed=1)
    model = Diffusion(**QUICK).fit(X, Y)
    predicted = model.predict(Z)
    rest = ((measured - predicted) ** 2).mean()
    assert rest < 0.75 * ((measured - Y.mean(0)) ** 2).mean()
    np.testing.assert_array_equal(Diffusion(**QUICK).fit(X, Y).predict(Z), predicted)
    other = Diffusion(**QUICK, random_state=1).fit(X, Y).predict(Z)
    assert np.abs(other - predicted).max() > 1e-3
    # A picture's prediction does not depend on those beside it.
    np.testing.assert_allclose(model.predict(Z[7:8]), predicted[7:8], atol=1e-5)
    np.testing.assert_allclose(model.spread(Z[7:8]), model.spread(Z)[7:8], rtol=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_mean_of_the_draws_is_what_more_draws_converge_to(sampler: str) -> None:
    X, Y = _data()
    few = Diffusion(**{**QUICK, "epochs": 8}, sampler=sampler).fit(X, Y)
    many = few.sample(X[:20], 200, random_state=3)
    apart = np.abs(few.predict(X[:20]) - many.mean(0)).mean()
    # Pairs of opposite noise: far nearer than four independent draws are.
    assert apart < 0.3 * many.std(0).mean() / 2


@pytest.mark.slow
def test_the_spread_is_as_large_as_predictions_are_wrong() -> None:
    (X, Y), (Z, measured) = _data(1000), _data(1000, seed=1)
    model = Diffusion(**{**QUICK, "epochs": 40, "samples": 16}).fit(X, Y)
    wrong = ((measured - model.predict(Z)) ** 2).mean(0) ** 0.5
    spread = (model.spread(Z) ** 2).mean(0) ** 0.5
    assert (spread**2).mean() == pytest.approx((wrong**2).mean(), rel=0.1)
    np.testing.assert_allclose(spread / wrong, 1, atol=0.4)
    assert np.corrcoef(spread, wrong)[0, 1] > 0.8
    inside = (np.abs(measured - model.predict(Z)) < 1.96 * model.spread(Z)).mean()
    assert inside == pytest.approx(0.95, abs=0.03)


def test_few_draws_tell_the_spread_of_many() -> None:
    """How far plain draws of the same noise are off says how far these are."""
    X, Y = _data(200)
    model = Diffusion(**{**QUICK, "epochs": 5, "samples": 16}).fit(X, Y)
    network, few = model.network_, model.spread(X[:5])
    within = (model.sample(X[:5], 16).var(0) + network.left.numpy()) ** 0.5 * network.factor.numpy()
    network.set_sampler("dpm", 10, 300)
    many = model.spread(X[:5])
    off, plainly_off = (float(np.std(one / many)) for one in (few, within))
    assert off < 0.06
    assert off < plainly_off / 2


def test_the_log_says_what_the_code_keeps(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = _data()
    caplog.set_level(logging.INFO, "regress")
    Diffusion(**QUICK, validation=0.25, random_state=2).fit(X, Y)
    said = [line for line in caplog.messages if "keeps" in line]
    kept = PCA(8).fit(Y).explained_variance_ratio_.sum()
    shares = [float(line.split("keeps ")[1].split(" %")[0]) / 100 for line in said]
    assert len(shares) == 2
    assert shares[0] == pytest.approx(kept, abs=0.03)
    assert 0 < shares[1] < shares[0]


def test_the_best_weights_are_those_of_the_lowest_held_out_error(tmp_path: Path) -> None:
    X, Y = _data(120, noise=4)
    Diffusion(**{**QUICK, "lr": 0.02, "epochs": 30}, log=tmp_path / "a.csv").fit(X, Y)
    model = Diffusion(**{**QUICK, "lr": 0.02, "epochs": 30}).fit(X, Y)
    rows = [line.split(",") for line in (tmp_path / "a-fit.csv").read_text().splitlines()]
    at = rows[0].index("validation_loss")
    losses = [float(row[at]) for row in rows[1:] if row[3] == "all"]
    best = int(model.epochs_[0])
    assert 0 < best < len(losses)
    assert losses[best - 1] == min(losses)


def test_a_loss_of_nan_stops_with_the_step() -> None:
    X, Y = _data()
    with pytest.raises(RegressError, match=r"NaN or infinite at step \d+, .*lower lr"):
        Diffusion(**{**QUICK, "lr": 1e30}).fit(X, Y)


def test_saved_and_loaded_it_says_the_same() -> None:
    X, Y = _data()
    model = Diffusion(**QUICK, scope=np.repeat(["a", "b"], 12)).fit(X, Y)
    loaded = Diffusion(**QUICK).restore(model.state())
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.spread(X), model.spread(X))
    np.testing.assert_array_equal(loaded.sample(X[:3], 4), model.sample(X[:3], 4))
    # Refitted, it keeps the factor that was found on validation pictures.
    factor = model.network_.factor.clone()
    assert (factor != 1).all()
    assert torch.equal(model.refit(X, Y).network_.factor, factor)


def _two(n: int = 300) -> tuple[NDArray[Any], Joint, Arrays]:
    """Give two subjects, with vertices in other orders, who saw other pictures."""
    (X, Y), (Z, W) = _data(n), _data(n, seed=1)
    order = np.random.default_rng(3).permutation(24)[:18]
    return (
        np.concatenate([X, Z]),
        Joint([Responses([Y]), Responses([W[:, order]])]),
        (Z, W[:, order]),
    )


def test_subjects_codes_are_turned_to_agree() -> None:
    X, y, _ = _two()
    model = Diffusion(**{**QUICK, "epochs": 2}).fit(X, y)
    halves = [model._select_vertices(columns).network_ for columns in model._subjects()]
    X, Y = _data(500, seed=5, noise=0.0)
    order = np.random.default_rng(3).permutation(24)[:18]
    codes = [
        half.encode(torch.from_numpy(seen))[0][:, 0].numpy()
        for half, seen in zip(halves, (Y, Y[:, order]), strict=True)
    ]
    # The same pictures, without noise, have the same codes, as far as these hold any signal.
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(codes[0].T, codes[1].T, strict=True)]
    assert np.average(r, weights=codes[0].var(0)) > 0.8


def test_two_subjects_are_told_apart_and_each_is_predicted_from_its_own() -> None:
    X, y, (Z, W) = _two()
    model = Diffusion(**QUICK).fit(X, y)
    predicted = model.predict(Z)
    assert predicted.shape == (300, 42)
    mean = ((W - W.mean(0)) ** 2).mean()
    assert ((W - predicted[:, 24:]) ** 2).mean() < 0.75 * mean
    assert model.spread(Z[:5]).shape == (5, 42)
    # What the trunk sees is shifted by who is looking.
    network = model.network_
    assert float(network.get_parameter("whom").detach().abs().max()) > 0
    alone = [model._select_vertices(columns).network_.eval() for columns in model._subjects()]
    with torch.no_grad():
        first, second = (own.encode_pictures(torch.from_numpy(Z[:4])) for own in alone)
        assert float((first - second).abs().max()) > 1e-3
        alone[1].subjects[:] = 0
        np.testing.assert_allclose(alone[1].encode_pictures(torch.from_numpy(Z[:4])), first)


def test_a_subject_begins_from_two_others() -> None:
    X, y, _ = _two()
    own = {**QUICK, "epochs": 20}
    start = Diffusion(**own).fit(X, y).refit(X, y).state()
    Z, W = _data(60, seed=7)
    (P, measured) = _data(500, seed=8)
    begun = Diffusion(**own, start=start).fit(Z, W)
    assert (begun.network_.subjects == -1).all()
    alone = Diffusion(**own).fit(Z, W)
    rest = [((measured - m.predict(P)) ** 2).mean() for m in (begun, alone)]
    assert rest[0] < rest[1]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"latent": 0}, "latent: found 0, expected a whole number from 1 on"),
        ({"samples": 0}, "samples: found 0, expected a whole number from 2 on"),
        ({"steps": 30}, "steps: found 30, expected a divisor of 1000"),
        ({"sampler": "euler"}, "sampler: found 'euler', expected ddim, ddpm, dpm"),
        ({"loss": "l1"}, "loss: found 'l1', .*expected mse"),
        ({"unet": "/nowhere"}, "unet /nowhere: there is no such folder; expected a folder with"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Diffusion(**wrong).fit(*_data(50))


@pytest.mark.parametrize(
    ("latent", "own", "found"),
    [
        (100_000, {}, r"need \d+ GB to train, and this machine has \d+ GB; expected at most 269"),
        (10_000, {"scope": np.arange(300) % 2}, r"\(groups: 2\).*expected at most 256, since no"),
    ],
)
def test_a_code_longer_than_responses_have_components_is_refused_at_once(
    latent: int, own: dict[str, Any], found: str
) -> None:
    X, Y = _data(300)
    start = time.monotonic()
    with pytest.raises(RegressError, match=f"latent: found {latent}; .*{found}"):
        Diffusion(**QUICK | own | {"latent": latent}).fit(X, np.tile(Y, (1, 13))[:, :300])
    assert time.monotonic() - start < 5
    # What a group has fewer of is 0: the default serves an ROI of five vertices.
    assert (
        Diffusion(**QUICK | {"latent": 40, "epochs": 1}).fit(X, Y[:, :5]).predict(X).shape[1] == 5
    )


def test_a_code_that_memory_cannot_hold_is_refused() -> None:
    member = np.repeat(np.arange(50), 10_000)
    responses = Responses([np.broadcast_to(np.float32(0), (20_000, len(member)))])
    with pytest.raises(RegressError, match=r"expected at most (\d+), which fits") as error:
        check_latent(9_999, responses, member, 64, 64)
    fits = int(str(error.value).rsplit(" ", 1)[1])
    check_latent(fits, responses, member, 64, 64)
    with pytest.raises(RegressError, match=f"expected at most {fits}"):
        check_latent(fits + 1, responses, member, 64, 64)


def test_ridge_needs_no_diffusion() -> None:
    code = (
        "import sys, regress.commands.fit, regress.models.ridge; print('diffusers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
