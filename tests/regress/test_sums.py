"""Sums over pictures, and what follows from them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regress.solvers.heldout_scores import penalty_basis, quadratic
from regress.solvers.moments import feature_moments, response_moments
from tests.builders.ridge_inputs import plain

SPECTRA = st.sampled_from(
    [
        np.random.default_rng(0).uniform(4e3, 1.2e4, 60),
        1e6 * np.arange(1, 61) ** -1.5,
        1e7 * np.exp(-np.arange(60) / 4.0),
        np.concatenate([np.zeros(20), np.geomspace(1e-3, 1e8, 40)]),
        np.full(60, 3.0),
    ]
)


def test_moments_add_and_keep_digits_far_from_zero() -> None:
    X, Y = plain()
    X, Y = (X + 1000).astype("float32"), (Y - 500).astype("float32")
    rows = np.arange(120)
    centres = (X.mean(0), Y.mean(0))
    parts = [feature_moments(X, part, centres[0]) for part in (rows[:50], rows[50:])]
    whole = parts[0] + parts[1]
    exact = X.astype(float) - X.astype(float).mean(0)
    np.testing.assert_allclose(whole.about(whole.x / 120), exact.T @ exact, atol=1e-2, rtol=1e-4)
    np.testing.assert_allclose((whole - parts[1]).xx, parts[0].xx, atol=1e-9)
    responses = response_moments(X, Y, rows, centres)
    measured = Y.astype(float) - Y.astype(float).mean(0)
    np.testing.assert_allclose(
        responses.about(whole, whole.x / 120, responses.y / 120), exact.T @ measured, atol=0.05
    )


@given(SPECTRA, st.integers(2, 20), st.floats(-3, 3), st.floats(1, 9))
@settings(max_examples=400, deadline=None)
def test_a_few_penalties_stand_for_all(
    spectrum: np.ndarray, n_alphas: int, low: float, decades: float
) -> None:
    alphas = np.logspace(low, low + decades, n_alphas)
    some, mix = penalty_basis(spectrum, alphas, np.zeros(1, np.float32))
    kept = spectrum[:, None] / (spectrum[:, None] + alphas)
    pairs = kept[:, None] * kept[None]
    np.testing.assert_allclose(pairs[..., some] @ mix.T, pairs, atol=2e-6)
    assert len(some) <= n_alphas
    assert np.abs(mix).max() < 10


def test_the_double_sum() -> None:
    rng = np.random.default_rng(0)
    E = rng.standard_normal((150, 150))
    E, C, shrink = E + E.T, rng.standard_normal((150, 7)), rng.random((4, 150))
    weighted = shrink[:, :, None] * C[None]
    np.testing.assert_allclose(
        quadratic(E, C, shrink), np.einsum("ait,ij,ajt->at", weighted, E, weighted), rtol=1e-10
    )
