"""The ensemble: what its weights are, and that its held-out score is honest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from cache import FeatureStore
from challenge import find_subjects
from challenge.simulator import simulate
from evaluate.commands.compare import compare
from evaluate.commands.scores import scores
from evaluate.commands.submission import submission
from evaluate.ensembles import per_roi, per_vertex, stacked
from evaluate.ensembles.per_vertex import strength
from evaluate.errors import EvaluateError
from evaluate.fits.hemisphere import Hemisphere
from evaluate.metrics._correlation import correlation
from evaluate.scoring.ensemble import (
    combine,
    compute_strengths,
    normalise_strengths,
    split_pictures,
)
from regress.commands.fit import fit as regress
from tests.builders.fits import load, write_fits
from tests.builders.small import SMALL


def test_weights_are_not_negative_and_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    vertices = [np.sort(rng.choice(40, n, replace=False)) for n in (30, 20, 10)]
    strengths = [np.maximum(0, rng.standard_normal(len(v))) for v in vertices]
    weights, first = normalise_strengths(50, vertices, strengths, [0] * 3)
    covered = first >= 0
    total = np.zeros(50)
    for where, weight in zip(vertices, weights, strict=True):
        assert (weight >= 0).all()
        total[where] += weight
    np.testing.assert_allclose(total[covered], 1, rtol=1e-14)
    assert (total[~covered] == 0).all()
    assert not covered[40:].any()


def test_without_any_strength_all_models_weigh_the_same() -> None:
    both, one = np.arange(4), np.array([0, 1])
    weights, _ = normalise_strengths(4, [both, one], [np.zeros(4), np.array([0.0, 2.0])], [0, 0])
    assert weights[0].tolist() == [0.5, 0, 1, 1]
    assert weights[1].tolist() == [0.5, 1]


def test_unchosen_classes_only_fill_in() -> None:
    streams, early = np.array([0, 1]), np.array([1, 2, 3])
    weights, first = normalise_strengths(5, [streams, early], [np.ones(2), np.ones(3)], [0, 2])
    assert weights[0].tolist() == [1, 1]
    assert weights[1].tolist() == [0, 1, 1]
    assert first.tolist() == [0, 0, 2, 2, -1]


def test_strength_of_useless_loud_and_constant_predictions() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((300, 40))
    good = y + rng.standard_normal(y.shape)
    useless = rng.standard_normal(y.shape)
    assert strength(y, useless).mean() < 0.02 * strength(y, good).mean()
    assert (strength(y, -good) == 0).all()
    assert (strength(y, np.zeros_like(y)) == 0).all()
    # Ten times as loud is heard a tenth as much, so that it adds the same to the sum.
    np.testing.assert_allclose(strength(y, 10 * good), strength(y, good) / 10, rtol=1e-12)
    assert (strength(y[:4], good[:4]) == 0).all()


def mixtures() -> dict[str, tuple[list[float], list[float]]]:
    """How much signal each of several models sees, and how loud each is."""
    return {
        "good and useless": ([1.0, 0.0], [1.0, 1.0]),
        "good and loud useless": ([1.0, 0.0], [1.0, 5.0]),
        "five alike": ([0.7] * 5, [1.0] * 5),
        "one good of six": ([1.0, 0.1, 0.1, 0.1, 0.1, 0.1], [1.0] * 6),
        "falling": ([1.0, 0.7, 0.4, 0.1], [1.0, 0.5, 2.0, 1.0]),
    }


def strengths_of(rule: str, y: np.ndarray, models: list[np.ndarray]) -> list[np.ndarray]:
    """Judge models that cover the same vertices."""
    if rule == "stacked":
        return list(stacked.stack(y, np.stack(models)))
    return [{"per_roi": per_roi, "per_vertex": per_vertex}[rule].strength(y, m) for m in models]


@pytest.mark.parametrize("name", mixtures())
@pytest.mark.parametrize("n_heldout", [30, 900])
@pytest.mark.parametrize("rule", ["per_roi", "per_vertex", "stacked"])
def test_neither_the_best_model_nor_the_average_is_much_better(
    name: str, n_heldout: int, rule: str
) -> None:
    gains, loudness = mixtures()[name]
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((n_heldout + 400, 80))
    y = 0.6 * signal + rng.standard_normal(signal.shape)
    models = [
        loud * (gain * signal + 0.7 * rng.standard_normal(signal.shape))
        for gain, loud in zip(gains, loudness, strict=True)
    ]
    seen, new = slice(None, n_heldout), slice(n_heldout, None)
    everywhere = [np.arange(80)] * len(models)
    strengths = strengths_of(rule, y[seen], [model[seen] for model in models])
    weights, _ = normalise_strengths(80, everywhere, strengths, [0] * len(models))
    ensemble = sum(w * model[new] for w, model in zip(weights, models, strict=True))
    best = max(correlation(y[new], model[new]).mean() for model in models)
    average = correlation(y[new], sum(model[new] for model in models)).mean()
    assert correlation(y[new], ensemble).mean() > max(best, average) - 0.03
    if 0.0 in gains:
        assert weights[gains.index(0.0)].mean() < (0.1 if rule == "stacked" else 0.03)


@pytest.mark.parametrize("n_heldout", [30, 900])
def test_stacking_hears_models_that_say_the_same_as_one(n_heldout: int) -> None:
    rng = np.random.default_rng(2)
    one, other, y_noise, *own = rng.standard_normal((5, n_heldout + 400, 60))
    y = one + other + 2 * y_noise
    first, second = one + 0.7 * own[0], other + 0.7 * own[1]
    models = [first, first, first.copy(), second]
    seen, new = slice(None, n_heldout), slice(n_heldout, None)
    found = {}
    for rule in ("per_vertex", "stacked"):
        strengths = strengths_of(rule, y[seen], [model[seen] for model in models])
        weights, _ = normalise_strengths(60, [np.arange(60)] * 4, strengths, [0] * 4)
        mixed = sum(w * model[new] for w, model in zip(weights, models, strict=True))
        found[rule] = correlation(y[new], mixed).mean()
    assert found["stacked"] > found["per_vertex"] + 0.03
    assert 0.4 < weights[3].mean() < 0.6


def test_stacking_is_non_negative_least_squares() -> None:
    # Of one vertex there is no other to learn from: what scipy gives for the centred data.
    rng = np.random.default_rng(3)
    predicted = rng.standard_normal((4, 50, 1))
    y = np.array([1.0, 0.5, -1.0, 0.0]) @ predicted[..., 0] + rng.standard_normal(50)
    expected = nnls((predicted[..., 0] - predicted.mean(1)).T, y - y.mean())[0]
    assert (expected == 0).any()
    np.testing.assert_allclose(stacked.stack(y[:, None], predicted)[:, 0], expected)


def test_halves_keep_equal_pictures_together() -> None:
    pictures = np.array([b"a", b"b", b"c", b"a", b"d", b"e", b"b", b"f"])
    second = split_pictures(pictures, 0)
    assert second[0] == second[3]
    assert second[1] == second[6]
    assert len(set(pictures[second])) == 3
    assert (second == split_pictures(pictures, 0)).all()
    assert any((second != split_pictures(pictures, seed)).any() for seed in range(1, 9))


@pytest.fixture
def noise(simulated: Path, tmp_path: Path) -> Hemisphere:
    """Six runs of predictions that have nothing to do with the responses."""

    def forget(arrays: dict[str, Any], meta: dict[str, Any]) -> None:
        rng = np.random.default_rng(
            [int(meta["digest"][0]), len(arrays["vertices"]), arrays["vertices"].sum()]
        )
        for split in ("test_predictions", "heldout_predictions"):
            arrays[split] = rng.standard_normal(arrays[split].shape).astype(np.float32)

    for i in range(6):
        write_fits(tmp_path, simulated, digest=f"{i}" * 16, subject="01", change=forget)
    return load(simulated, tmp_path)


@pytest.mark.parametrize("rule", ["per_vertex", "stacked"])
def test_pure_noise_scores_nothing_on_held_out_pictures(noise: Hemisphere, rule: str) -> None:
    everything = range(len(noise.models))
    measured = noise.measured("heldout")
    honest, naive = [], []
    for seed in range(8):
        strengths = compute_strengths(noise, seed, rule)
        found = combine(noise, "heldout", strengths, everything)
        honest.append(correlation(measured, found.predictions).mean())
    # What it would be with weights from the very pictures that are scored:
    same = replace(strengths, halves=(strengths.whole, strengths.whole),
                   half_selections=(strengths.selection, strengths.selection))  # fmt: skip
    found = combine(noise, "heldout", same, everything)
    naive = correlation(measured, found.predictions).mean()
    assert abs(np.mean(honest)) < 0.05
    assert naive > np.mean(honest) + 0.1


def test_useless_fits_do_not_spoil_the_ensemble(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, digest="a" * 16, noise=0.5, subject="01")
    write_fits(tmp_path, simulated, digest="b" * 16, noise=50, seed=1, subject="01")
    both = load(simulated, tmp_path)
    good = [i for i, model in enumerate(both.models) if model.run.endswith("a")]
    strengths = compute_strengths(both)
    measured = both.measured("test")
    alone, joined = (
        correlation(measured, combine(both, "test", strengths, which).predictions).mean()
        for which in (good, range(len(both.models)))
    )
    assert joined > alone - 0.02


def test_a_model_that_memorised_its_training_pictures_is_not_heard(tmp_path: Path) -> None:
    # A thousand random columns and no penalty: every training response is hit, nothing is learned.
    data = tmp_path / "data"
    simulate(data, **(SMALL | {"subjects": 1, "train_images": 300, "picture_size": 16}))
    (subject,) = find_subjects(data)
    splits = ("train", "test")
    signals = [
        np.load(subject.folder / "truth" / f"lh_{split}ing_signal.npy".replace("testing", "test"))
        for split in splits
    ]
    digests = [digest for split in splits for digest in subject.picture_digests(split)]
    rng = np.random.default_rng(0)
    spaces = {
        "knows": np.concatenate(signals)[:, ::20],
        "memorises": rng.standard_normal((len(digests), 1000)),
    }
    store = FeatureStore(tmp_path / "features")
    once = np.unique(digests, return_index=True)[1]
    for name, rows in spaces.items():
        with store.writer(name, {"name": name}, {"origin": "the test"}) as writer:
            writer.add([digests[i] for i in once], rows[once].astype(np.float32))
        regress(data, tmp_path, "1", "ridge", [name], heldout=0.3, params={"alphas": [1e-3]})
    hemisphere = load(data, tmp_path)
    memory = [i for i, m in enumerate(hemisphere.models) if m.meta["spaces"] == ["memorises"]]
    measured = hemisphere.measured("heldout")
    wrong = [correlation(measured[:, hemisphere.vertices[i]], hemisphere.predictions(i, "heldout"))
             for i in memory]  # fmt: skip
    assert abs(np.concatenate(wrong).mean()) < 0.1
    for rule in ("per_roi", "per_vertex", "stacked"):
        everything = compute_strengths(hemisphere, rule=rule).whole
        weights, _ = normalise_strengths(
            hemisphere.n_vertices, hemisphere.vertices, everything, [0] * len(everything)
        )
        heard = np.zeros(hemisphere.n_vertices)
        for i in memory:
            heard[hemisphere.vertices[i]] += weights[i]
        assert heard.mean() < 0.1, rule


def test_an_unknown_rule_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    message = "--ensemble: found 'best', expected one of average, per_roi, per_vertex, stacked"
    for verb in (scores, submission):
        with pytest.raises(EvaluateError, match=message):
            verb(tmp_path, tmp_path, ensemble="best")
    with pytest.raises(EvaluateError, match=message):
        compare(["a", "b"], tmp_path, tmp_path, ensemble="best")


def test_the_average_is_the_mean(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated, digest="a" * 16, subject="01")
    write_fits(tmp_path, simulated, digest="b" * 16, seed=1, subject="01")
    both = load(simulated, tmp_path)
    found = combine(
        both, "test", compute_strengths(both, rule="average"), range(len(both.models)), ["streams"]
    )
    early = [i for i, model in enumerate(both.models) if model.roi == "early"]
    mean = np.mean([both.predictions(i, "test") for i in early], axis=0)
    mine = found.predictions[:, both.vertices[early[0]]]
    np.testing.assert_allclose(mine, mean, rtol=1e-5)


def test_a_vertex_of_one_model_has_that_models_prediction(simulated: Path, tmp_path: Path) -> None:
    hemisphere = load(simulated, write_fits(tmp_path, simulated, subject="01"))
    whole = range(len(hemisphere.models))
    found = combine(
        hemisphere, "test", compute_strengths(hemisphere), whole, ["streams", "residual"]
    )
    assert found.covered.all()
    filled = hemisphere.n_vertices - sum(
        len(v)
        for model, v in zip(hemisphere.models, hemisphere.vertices, strict=True)
        if model.roi_class in ("streams", "residual")
    )
    assert found.n_filled == filled
    for i, model in enumerate(hemisphere.models):
        if model.roi_class == "streams":
            mine = found.predictions[:, hemisphere.vertices[i]]
            np.testing.assert_array_equal(mine, model.predictions("test"))


def test_vertices_without_a_model_are_told(simulated: Path, tmp_path: Path) -> None:
    hemisphere = load(simulated, write_fits(tmp_path, simulated, subject="01"))
    first = [0]
    found = combine(hemisphere, "test", compute_strengths(hemisphere), first)
    assert np.flatnonzero(found.covered).tolist() == sorted(hemisphere.vertices[0])
    assert (found.predictions[:, ~found.covered] == 0).all()
    assert find_subjects(simulated)[0].n_vertices("lh") == len(found.covered)


@pytest.mark.parametrize("jitter", [False, True])
def test_r8_constant_responses_do_not_drown_the_stack_of_the_others(jitter: bool) -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((30, 8)).astype(np.float32)
    models = np.stack([y + k * rng.standard_normal(y.shape) for k in (1, 2)]).astype(np.float32)
    y[:, 3] = 0.1
    found = {}
    for name in ("exact", "rounded"):
        if jitter and name == "rounded":
            y[::2, 3] = np.nextafter(y[::2, 3], np.float32(1))
        found[name] = stacked.stack(y, models)
    # What is but a rounding must not be blown up to the others' spread.
    np.testing.assert_allclose(found["rounded"], found["exact"], atol=1e-5)
