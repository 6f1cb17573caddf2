"""`positional`: where vertices lie, step by step, and a network that is told."""

import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nilearn.datasets import fetch_surf_fsaverage, load_fsaverage
from nilearn.surface import load_surf_mesh
from PIL import Image
from sklearn.base import clone

from base import RoiridgeError
from challenge import Subject, find_subjects
from challenge.fsaverage import coordinates, divide, fsaverage_vertices
from regress.commands.positions import positions
from regress.data.fsaverage_positions import (
    GAP,
    SURFACES,
    describe,
    frames,
    positions_of,
    side_by_side,
)
from regress.data.position_grid import (
    MAX_EXPANSION,
    bounding_box,
    centred,
    least_expansion,
    n_sharing,
    sinusoids,
    to_grid,
)
from regress.models.positional import Positional
from tests.builders.paths import ROOT
from tests.builders.positioned import fit_and_refit

SVG = "{http://www.w3.org/2000/svg}"
SIDES = {"lh": "left", "rh": "right"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Where vertices lie


@pytest.mark.parametrize("hemisphere", SIDES)
def test_a_divided_sphere_is_the_next_of_freesurfers(hemisphere: str) -> None:
    """From the faces of fsaverage4, within fsaverage5's, come fsaverage5's vertices and faces."""
    mesh = load_fsaverage("fsaverage5")["sphere"].parts[SIDES[hemisphere]]
    vertices, faces = mesh.coordinates.astype(float), mesh.faces.astype(int)
    # A face's first quarter keeps its first corner; the other two come with its other quarters.
    n = len(faces) // 4
    others = faces[n:].reshape(n, 3, 3)
    coarse = np.stack([faces[:n, 0], others[:, 2, 1], others[:, 0, 2]], axis=1)
    assert coarse.max() == 2561
    again, divided = divide(vertices[:2562], coarse)
    np.testing.assert_array_equal(divided, faces)
    # The file has two digits after the point.
    np.testing.assert_allclose(again, vertices, atol=0.011)


def test_the_whole_sphere() -> None:
    known = coordinates("sphere")
    for hemisphere, side in SIDES.items():
        sphere = known[hemisphere]
        assert sphere.shape == (163_842, 3)
        np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), 100)
        shipped = load_fsaverage("fsaverage5")["sphere"].parts[side].coordinates
        np.testing.assert_allclose(sphere[:10_242], shipped, atol=0.011)
        # No two at one place, and all over the sphere alike.
        nearest = np.sort(np.round(sphere, 3).view([("", float)] * 3).ravel())
        assert len(np.unique(nearest)) == 163_842
        assert np.abs(sphere.mean(0)).max() < 1e-3


def test_surfaces_are_those_of_nilearn() -> None:
    for surface, name in (("pial", "pial"), ("white", "white_matter"), ("inflated", "inflated")):
        for hemisphere, side in SIDES.items():
            shipped = load_fsaverage("fsaverage5")[name].parts[side].coordinates
            np.testing.assert_allclose(coordinates(surface)[hemisphere][:10_242], shipped)
    with pytest.raises(RoiridgeError, match="unknown surface 'orig': choose from sphere, inflated"):
        coordinates("orig")


def test_a_vertex_in_a_cut_of_the_flat_map_is_at_its_nearest_neighbours() -> None:
    mesh = load_surf_mesh(fetch_surf_fsaverage("fsaverage5")["flat_left"])
    has = np.isin(np.arange(10_242), mesh.faces)
    flat, sphere = coordinates("flat")["lh"], coordinates("sphere")["lh"][:10_242]
    np.testing.assert_allclose(flat[has], mesh.coordinates[has])
    cut = np.flatnonzero(~has)[::50]
    nearest = np.flatnonzero(has)[(sphere[cut] @ sphere[has].T).argmax(1)]
    np.testing.assert_array_equal(flat[cut], flat[nearest])


@pytest.mark.parametrize("surface", SURFACES)
def test_hemispheres_stand_side_by_side(surface: str) -> None:
    placed, apart = coordinates(surface), side_by_side(surface)
    assert np.max(apart["lh"][:, 0]) == pytest.approx(-GAP / 2)
    assert np.min(apart["rh"][:, 0]) == pytest.approx(GAP / 2)
    for hemisphere in SIDES:
        # Moved as a whole, to the left or the right.
        moved = apart[hemisphere] - placed[hemisphere][:, : SURFACES[surface]]
        assert np.std(moved, axis=0).max() < 1e-6
        assert np.max(np.abs(moved[:, 1:])) == 0


def test_columns_lie_where_their_vertices_do(simulated: Path) -> None:
    subject = find_subjects(simulated, "01")[0]
    sides = np.array(["rh", "lh", "rh", "lh"])
    columns = np.array([5, 0, 64, 59])
    found = positions_of(subject, "pial", sides, columns)
    for side, column, place in zip(sides, columns, found, strict=True):
        vertex = fsaverage_vertices(subject, side)[column]
        shipped = load_fsaverage("fsaverage5")["pial"].parts[SIDES[side]].coordinates
        edge = shipped[:, 0].max() + GAP / 2 if side == "lh" else shipped[:, 0].min() - GAP / 2
        np.testing.assert_allclose(place, shipped[vertex] - [edge, 0, 0], rtol=1e-5)


def _far(folder: Path) -> Subject:
    """Move the last three vertices to where only the whole of fsaverage has any."""
    file = folder / "subj01" / "roi_masks" / "lh.all-vertices_fsaverage_space.npy"
    mask = np.load(file)
    last = np.flatnonzero(mask)[-3:]
    mask[[20_000, 30_000, 163_841]] = mask[last]
    mask[last] = 0
    np.save(file, mask)
    return find_subjects(folder, "01")[0]


def test_vertices_without_a_place(broken: Any) -> None:
    subject = _far(broken())
    here = np.repeat("lh", 60), np.arange(60)
    with pytest.raises(RoiridgeError) as caught:
        positions_of(subject, "pial", *here)
    said = str(caught.value)
    assert "subject 01: 3 of 60 vertices have no place on the pial surface" in said
    assert "take --params.surface sphere" in said
    # The command that it gives is one that Python reads.
    compile(re.findall(r'python -c "(.*?)"', said)[0], "", "exec")
    found = positions_of(subject, "sphere", *here)
    assert np.isfinite(found).all()


def test_a_dataset_without_masks_of_fsaverage(broken: Any) -> None:
    folder = broken()
    file = folder / "subj01" / "roi_masks" / "rh.all-vertices_fsaverage_space.npy"
    file.unlink()
    subject = find_subjects(folder, "01")[0]
    with pytest.raises(RoiridgeError, match=r"rh\.all-vertices_.*npy: missing, .* such as mlp"):
        positions_of(subject, "sphere", np.array(["lh", "rh"]), np.array([0, 0]))


# From places to sinusoids


def test_each_step_by_hand() -> None:
    places = torch.tensor([[10.0, -2.0], [10.2, -2.1], [13.0, 2.0]])
    box = bounding_box(places)
    np.testing.assert_allclose(box, [[10, -2.1], [13, 2]], rtol=1e-6)
    coarse = to_grid(places, box)
    np.testing.assert_array_equal(coarse, [[0, 0], [0, 0], [3, 4]])
    assert n_sharing(coarse) == 2
    fine = to_grid(places, box, 4)
    np.testing.assert_array_equal(fine, [[0, 0], [1, 0], [12, 16]])
    assert n_sharing(fine) == 0
    middle = centred(fine, box, 4)
    np.testing.assert_array_equal(middle, [[-6, -8], [-5, -8], [6, 8]])
    # Waves of 2 pi and 2 pi * 10 cells: 100 to the power 0 and 1/2.
    expected = [
        [np.sin(x), np.sin(x / 10), np.cos(x), np.cos(x / 10),
         np.sin(y), np.sin(y / 10), np.cos(y), np.cos(y / 10)]
        for x, y in [(-6, -8), (-5, -8), (6, 8)]
    ]  # fmt: skip
    np.testing.assert_allclose(sinusoids(middle, 2), expected, atol=1e-6)


def test_the_least_expansion_keeps_vertices_apart() -> None:
    assert least_expansion(torch.tensor([[0.0, 0], [0.3, 0], [5, 0]])) == 2
    assert least_expansion(torch.tensor([[0.0, 0], [0.16, 0], [5, 0]])) == 4
    assert least_expansion(torch.tensor([[0.0, 0, 0], [1, 0, 0]])) == 1
    # Two at one place stay together; the third needs 2.
    assert least_expansion(torch.tensor([[0.0, 0], [0, 0], [0.3, 0]])) == 2
    rng = np.random.default_rng(0)
    places = torch.from_numpy(rng.uniform(0, 10, (60, 3)))
    found = least_expansion(places)
    sharing = [n_sharing(to_grid(places, bounding_box(places), k)) for k in range(1, found + 1)]
    assert found <= MAX_EXPANSION
    assert sharing[-1] == 0
    assert all(sharing[:-1])


def test_each_group_has_its_own_box_and_sharing_is_told() -> None:
    places = torch.tensor([[0.0, 0], [9, 9], [0.3, 0], [9.001, 9], [5, 5]])
    found = frames(places, torch.tensor([0, 1, 0, 1, 0]), "auto")
    np.testing.assert_allclose(found.boxes, [[[0, 0], [5, 5]], [[9, 9], [9.001, 9]]])
    np.testing.assert_array_equal(found.expansions, [2, 1])
    np.testing.assert_array_equal(found.sharing, [0, 2])
    assert describe(found) == (
        "positions: 1 to 2 cells a mm, 2 of 5 places, in 1 of 2 groups, share a cell with "
        "another and get the same weights"
    )
    apart = frames(places[:3], torch.tensor([0, 1, 0]), 3)
    assert describe(apart) == "positions: 3 cells a mm, each place has a cell of its own"
    # Of several subjects, vertices at the same place are no accident.
    twice = torch.cat([places, places])
    again = frames(twice, torch.tensor([0, 1, 0, 1, 0]).repeat(2), "auto")
    np.testing.assert_array_equal(again.expansions, [2, 1])
    np.testing.assert_array_equal(again.sharing, [0, 2])


@pytest.mark.parametrize(("hemisphere", "surface"), [("lh", "sphere"), ("both", "flat")])
def test_the_figure_shows_the_steps(
    simulated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    hemisphere: str,
    surface: str,
) -> None:
    own: dict[str, Any] = {"hemisphere": hemisphere, "surface": surface, "expansion": 0.1}
    positions(simulated, tmp_path, roi="early", **own)
    said = capsys.readouterr().out
    name = f"subj01.{hemisphere}.early.{surface}"
    picture = Image.open(tmp_path / "positions" / f"{name}.png")
    assert picture.size == (2600, 1600)
    drawn = ET.parse(tmp_path / "positions" / f"{name}.svg").getroot()
    texts = " ".join("".join(text.itertext()) for text in drawn.iter(f"{SVG}text"))
    assert "SIMULATED" in texts
    # The same count in the picture and in what is printed.
    sharing = int(re.findall(r"(\d+) of \d+ places", said)[0])
    assert sharing > 0
    assert texts.count(f"{sharing} of") == 2
    assert (tmp_path / "positions" / f"{name}.svg").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"roi": "V9"}, "--roi V9: subject 01 has V1v, V1d"),
        ({"hemisphere": "left"}, "--hemisphere left: expected lh, rh or both"),
        ({"surface": "orig"}, "surface: found 'orig', expected one of sphere"),
        ({"frequencies": 0}, "frequencies: found 0, expected a whole number from 1 on"),
    ],
)
def test_a_figure_of_nothing(
    simulated: Path, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(RoiridgeError, match=said):
        positions(simulated, tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


# The network


def _patch(n: int, seed: int = 0) -> np.ndarray:
    """Scatter vertices over a patch of 40 x 30 mm, 5 mm deep."""
    return np.random.default_rng([seed, 9]).uniform(0, 1, (n, 3)) * [40, 30, 5]


def _smooth(places: np.ndarray) -> np.ndarray:
    """Give five weights of each vertex, smooth and nonlinear functions of its place."""
    x, y, z = places.T / 10
    weights = [
        np.sin(1.5 * x),
        np.cos(y) * np.sin(x),
        x * y / 6 - 1,
        np.cos(2 * y + z),
        np.tanh(x - 2),
    ]
    return np.array(weights)


def _data(n: int, v: int, noise: float = 1, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Give pictures, responses that are a known function of picture and place, and places."""
    rng = np.random.default_rng(seed)
    places = _patch(v, seed)
    X = rng.standard_normal((n, 12)).astype(np.float32)
    Y = X[:, :5] @ _smooth(places)
    Y = Y / Y.std(0) + noise * rng.standard_normal((n, v)) + 2
    return X, Y.astype(np.float32), places


def _r(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    p, m = predicted - predicted.mean(0), measured - measured.mean(0)
    norms = np.linalg.norm(p, axis=0) * np.linalg.norm(m, axis=0)
    return (p * m).sum(0) / np.where(norms > 0, norms, 1)


QUICK: dict[str, Any] = {"epochs": 40, "lr": 0.01, "batch": 64, "patience": 8}


@pytest.mark.parametrize("blocks", [0, 1])
def test_responses_that_are_a_function_of_place_are_recovered(blocks: int) -> None:
    """Of vertices, too, that were not trained on: nothing is held of a vertex but its mean."""
    X, Y, places = _data(400, 200, noise=2)
    train, test, seen = slice(0, 100), slice(100, None), np.arange(200) % 4 > 0
    own: dict[str, Any] = {"expansion": 0.5, "frequencies": 8, "width": 16, "blocks": blocks}
    found = {}
    for name, order in (
        ("right", np.arange(200)),
        ("wrong", np.random.default_rng(1).permutation(200)),
    ):
        told = places[order]
        model = Positional(positions=told[seen], **own, **QUICK).fit(X[train], Y[train][:, seen])
        state = model.state() | {
            "place": told.astype(np.float32),
            "member": np.zeros(200, np.int64),
            "moves": np.ones(200, np.float32),
            "offset": Y[train].mean(0),
            "epochs_": np.ones(200, np.int64),
        }
        r = _r(Positional(**own).restore(state).predict(X[test]), Y[test])
        found[name] = r[seen].mean(), r[~seen].mean()
    # Noise of twice the signal's deviation: 1 / sqrt(5) is all that any model can reach.
    assert min(found["right"]) > 0.3
    assert found["wrong"][0] < found["right"][0] - 0.1
    assert abs(found["wrong"][1]) < 0.1


def test_vertices_that_share_a_cell_get_the_same_weights() -> None:
    X, Y, places = _data(200, 30)
    places[7] = places[3] + 0.01
    model = Positional(positions=places, expansion=1, width=8, **{**QUICK, "epochs": 5}).fit(X, Y)
    predicted = model.predict(X) - model.network_.offset.detach().numpy()
    np.testing.assert_allclose(predicted[:, 7], predicted[:, 3], atol=1e-5)
    assert np.abs(predicted[:, 8] - predicted[:, 3]).max() > 0.01


def test_both_hemispheres_in_a_group_are_told_apart(simulated: Path) -> None:
    """The spheres have one centre: the same vertices of both would be at the same places."""
    subject = find_subjects(simulated, "01")[0]
    sides, columns = np.repeat(["lh", "rh"], 40), np.tile(np.arange(40), 2)
    places = positions_of(subject, "sphere", sides, columns)
    found = frames(torch.from_numpy(places), torch.zeros(80, dtype=torch.int64), "auto")
    assert int(found.sharing.sum()) == 0
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 6)).astype(np.float32)
    Y = np.where(sides == "lh", X[:, :1], X[:, 1:2]) + 0.5 * rng.standard_normal((300, 80))
    model = Positional(positions=places, width=16, **QUICK).fit(X[:200], Y[:200])
    predicted = model.predict(X[200:])
    assert _r(predicted, Y[200:]).min() > 0.7


@pytest.mark.parametrize("blocks", [0, 2])
def test_groups_trained_together_are_those_trained_alone(blocks: int) -> None:
    X, Y, places = _data(400, 90)
    # One is noise and stops at once, and the groups do not stand in the order of their names.
    Y[:, 30:60] = np.random.default_rng(1).standard_normal((400, 30))
    Y[:, 80] = 1.5
    scope = np.repeat(["slow", "noise", "part"], [30, 30, 30])
    own: dict[str, Any] = {"width": 16, "blocks": blocks, "dropout": 0.2, "frequencies": 8}
    own |= {"lr": 0.01, "epochs": 12, "batch": 64, "patience": 2}
    together = Positional(positions=places, scope=scope, **own).fit(X[:300], Y[:300])
    assert len(set(together.epochs_.tolist())) > 1
    predicted = together.predict(X[300:])
    refitted = clone(together).fit(X[:300], Y[:300]).refit(X, Y).predict(X)
    for name in ("slow", "noise", "part"):
        here = scope == name
        alone = Positional(positions=places[here], **own).fit(X[:300], Y[:300][:, here])
        np.testing.assert_array_equal(alone.epochs_, together.epochs_[here])
        np.testing.assert_allclose(alone.predict(X[300:]), predicted[:, here], atol=1e-4)
        again = alone.refit(X, Y[:, here]).predict(X)
        np.testing.assert_allclose(again, refitted[:, here], atol=1e-4)
    assert (predicted[:, 80] == 1.5).all()


def test_saved_and_loaded_all_or_some_groups() -> None:
    X, Y, places = _data(200, 60)
    scope = np.repeat([3, 1, 2], 20)
    own: dict[str, Any] = {"blocks": 1, "width": 8, "frequencies": 4}
    model = Positional(positions=places, scope=scope, **own, **{**QUICK, "epochs": 6}).fit(X, Y)
    predicted = model.predict(X)
    loaded = Positional(**own).restore(model.state())
    np.testing.assert_array_equal(loaded.predict(X), predicted)
    some = np.array([50, 41, 3])
    state = model.state(some)
    # What is shared is saved of the groups that they are in.
    assert len(state["head"]) == len(state["box"]) == 2
    part = Positional(**own).restore(state)
    np.testing.assert_allclose(part.predict(X), predicted[:, some], atol=1e-5)
    # What was loaded knows the places, and can be trained on.
    again = loaded.set_params(epochs=6, lr=0.01, batch=64, scope=scope).refit(X, Y)
    np.testing.assert_allclose(
        again.predict(X), clone(model).fit(X, Y).refit(X, Y).predict(X), atol=1e-4
    )


@pytest.mark.parametrize("loss", ["mse", "pearson", "huber"])
def test_shuffled_pictures_score_at_chance(loss: str) -> None:
    X, Y, places = _data(900, 40)
    shuffled = np.random.default_rng(3).permutation(450)
    model = Positional(positions=places, loss=loss, width=16, **{**QUICK, "epochs": 15})
    right = _r(clone(model).fit(X[:450], Y[:450]).predict(X[450:]), Y[450:]).mean()
    wrong = _r(clone(model).fit(X[:450][shuffled], Y[:450]).predict(X[450:]), Y[450:]).mean()
    # Vertices that share weights are wrong together: what counts are the pictures.
    assert abs(wrong) < 4 / np.sqrt(450)
    assert right > 0.5


SCRIPT = """
import sys
import torch
import regress.training.loop as training

from tests.builders.positioned import fit_and_refit

torch.set_num_threads(1)
training.EVERY, training.SHARE = 0, 0
fit_and_refit(sys.argv[1])
"""


def test_killed_and_taken_up_gives_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    path = tmp_path / "kept-fit.h5"
    while process.poll() is None and not path.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    assert not (tmp_path / "kept-refit.h5").exists(), "too far before it could be killed"
    found, expected = fit_and_refit(tmp_path), fit_and_refit(None)
    # The noise was best before its first epoch.
    assert sorted(set(expected["epochs_"].tolist()))[0] == 0
    assert len(set(expected["epochs_"].tolist())) > 1
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"positions": None},
            r"positions: found None, expected an array \(30, 2 or 3\)",
        ),
        (
            {"positions": np.zeros((4, 3))},
            r"positions: found shape \(4, 3\), expected an",
        ),
        ({"positions": np.zeros((30, 4))}, r"positions: found shape \(30, 4\), expected"),
        ({"positions": np.full((30, 3), np.nan)}, "positions: found NaN or infinite values"),
        ({"surface": "orig"}, "surface: found 'orig', expected one of sphere, inflated, pial"),
        ({"expansion": 0}, "expansion: found 0, expected auto or a number above 0"),
        ({"expansion": "most"}, "expansion: found 'most', expected auto or a number above 0"),
        ({"width": 0}, "width: found 0, expected a whole number from 1 on"),
        ({"frequencies": 2.5}, "frequencies: found 2.5, expected a whole number from 1 on"),
        ({"blocks": -1}, "blocks: found -1, expected a whole number from 0 on"),
    ],
)
def test_bad_parameters(wrong: dict[str, Any], said: str) -> None:
    X, Y, places = _data(40, 30)
    with pytest.raises(ValueError, match=said):
        Positional(**{"positions": places} | wrong).fit(X, Y)
