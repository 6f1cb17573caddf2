"""Maps: values land on the right vertices of fsaverage, pixels show them, colours mean them."""

import socket
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pytest
from matplotlib.tri import Triangulation
from nilearn.datasets import load_fsaverage
from nilearn.surface import load_surf_data

from base import RoiridgeError
from cache import write_artifact
from challenge import HEMISPHERES, Subject, find_subjects
from evaluate import EvaluateError, save_surface
from evaluate.commands.maps import maps
from evaluate.maps.ablation_values import read_ablation
from evaluate.maps.camera import RenderedView, render_views
from evaluate.maps.outlines import find_borders, place_names
from evaluate.maps.paint import best_space, maps_of, paint, vertex_colours
from evaluate.maps.space_values import describe_sources
from evaluate.maps.surface import Mesh, fsaverage_vertices, load_mesh, place_on_mesh
from evaluate.maps.values import SubjectValues, average
from evaluate.scoring.vertex_files import ARRAYS, read_vertices, vertices_file, write_vertices
from tests.builders.commands import call
from tests.builders.fits import write_fits


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    """Load the mesh that nilearn ships."""
    return load_mesh("fsaverage5")


@pytest.fixture(scope="module")
def pictures(mesh: Mesh) -> dict[tuple[str, str], RenderedView]:
    """Photograph all views, by hemisphere and view."""
    return {(p.hemisphere, p.view): p for p in render_views(mesh, 300)}


@pytest.fixture
def subject(simulated: Path) -> Subject:
    """Give the first simulated subject."""
    return find_subjects(simulated, "01")[0]


def known_of(mesh: Mesh, subject: Subject, **more: object) -> SubjectValues:
    """Make a subject whose score counts its columns up to 100."""
    sides = {}
    for h in HEMISPHERES:
        vertices = fsaverage_vertices(subject, h)
        sides[h] = place_on_mesh(np.linspace(0, 100, len(vertices)), vertices, mesh.n_vertices)
    labels = {h: np.zeros(mesh.n_vertices) for h in HEMISPHERES}
    share = {h: values / 100 for h, values in sides.items()}
    return SubjectValues("01", sides, share, share, **({"labels": labels} | more))  # type: ignore[arg-type]


def write_known(out: Path, subject: Subject, run: str = "ensemble", split: str = "heldout") -> None:
    """Write a vertex file in which r is the place of the column, and so on."""
    hemispheres = {}
    for h in HEMISPHERES:
        n = subject.n_vertices(h)
        of = {name: np.linspace(0.01, 1, n, dtype=np.float32) for name in ARRAYS}
        of |= {name: np.zeros(n, bool) for name in ("excluded", "constant")}
        hemispheres[h] = of | {"covered": np.ones(n, bool), "score": 100 * of["r"]}
    write_vertices(vertices_file(out, run, subject.name), hemispheres,
                   {"run": run, "split": split})  # fmt: skip


def test_each_division_of_the_mesh_appends_midpoints() -> None:
    # The rule by which fsaverage goes on from fsaverage5: what was there keeps its place.
    for side in ("left", "right"):
        sphere = load_fsaverage("fsaverage5")["sphere"].parts[side].coordinates.astype(float)
        sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
        for n in (12, 42, 162, 642, 2562):
            old, new = sphere[:n], sphere[n : 4 * n - 6]
            nearest = np.argsort(new @ old.T, axis=1)[:, -2:]
            middle = old[nearest].sum(1)
            middle /= np.linalg.norm(middle, axis=1, keepdims=True)
            assert (middle * new).sum(1).min() > 1 - 1e-6


def test_columns_land_on_the_vertices_of_the_label_maps(mesh: Mesh, subject: Subject) -> None:
    masks = subject.folder / "roi_masks"
    for h in HEMISPHERES:
        columns = np.load(masks / f"{h}.streams_challenge_space.npy")
        surface = np.load(masks / f"{h}.streams_fsaverage_space.npy")
        measured = np.load(masks / f"{h}.all-vertices_fsaverage_space.npy") != 0
        vertices = fsaverage_vertices(subject, h)
        for n in (163_842, mesh.n_vertices):
            found = place_on_mesh(columns, vertices, n)
            np.testing.assert_array_equal(np.isfinite(found), measured[:n])
            np.testing.assert_array_equal(found[measured[:n]], surface[:n][measured[:n]])


def test_values_of_another_hemisphere_are_refused(subject: Subject) -> None:
    with pytest.raises(RoiridgeError, match=r"64 values for 60 vertices .* another subject"):
        place_on_mesh(np.zeros(64), fsaverage_vertices(subject, "lh"))


def test_vertices_that_the_mesh_lacks_are_left_out_and_none_moves() -> None:
    vertices = np.array([3, 10_241, 10_242, 163_841])
    found = place_on_mesh(np.array([1.0, 2, 3, 4]), vertices, 10_242)
    assert np.flatnonzero(np.isfinite(found)).tolist() == [3, 10_241]
    assert found[[3, 10_241]].tolist() == [1, 2]
    assert place_on_mesh(np.array([1.0, 2, 3, 4]), vertices)[163_841] == 4


def test_a_known_region_shows_where_it_lies(
    mesh: Mesh, subject: Subject, pictures: dict[tuple[str, str], RenderedView]
) -> None:
    # Where the back of the brain is on the page, seen from each side.
    at_right = {("lh", "lateral"), ("lh", "ventral"), ("rh", "medial")}
    for h in HEMISPHERES:
        early = np.load(subject.folder / f"roi_masks/{h}.streams_challenge_space.npy") == 1
        vertices = fsaverage_vertices(subject, h)[early]
        pial = load_fsaverage("fsaverage5")["pial"].parts[{"lh": "left", "rh": "right"}[h]]
        assert pial.coordinates[vertices, 1].max() < -60
        for view in ("lateral", "medial", "ventral"):
            vertex = pictures[h, view].vertex
            columns = np.nonzero(np.isin(vertex, vertices))[1] / vertex.shape[1]
            assert len(columns) > 3
            assert (columns > 0.9).all() if (h, view) in at_right else (columns < 0.1).all()
        # Up is up: the vertex highest in the brain is above the one lowest.
        vertex, up = pictures[h, "lateral"].vertex, mesh.shapes[h, "inflated"].coordinates[:, 2]
        rows = np.nonzero(vertex >= 0)[0]
        assert np.corrcoef(rows, up[vertex[vertex >= 0]])[0, 1] < -0.98


def test_lateral_and_medial_show_the_outside_and_the_inside(
    mesh: Mesh, pictures: dict[tuple[str, str], RenderedView]
) -> None:
    for h, outwards in (("lh", -1), ("rh", 1)):
        x = outwards * mesh.shapes[h, "inflated"].coordinates[:, 0]
        seen = {view: np.unique(pictures[h, view].vertex)[1:] for view in ("lateral", "medial")}
        assert x[seen["lateral"]].mean() > 10 > -10 > x[seen["medial"]].mean()
        assert len(np.intersect1d(*seen.values())) < 0.1 * mesh.n_vertices


def test_flat_pixels_show_the_triangle_that_matplotlib_finds(
    mesh: Mesh, pictures: dict[tuple[str, str], RenderedView]
) -> None:
    shape = mesh.shapes["lh", "flat"]
    vertex = pictures["lh", "flat"].vertex
    rows, columns = np.nonzero(vertex >= 0)
    at = shape.coordinates[vertex[rows, columns], :2]
    # The page's scale, found from what is shown; then back from pixels to the flat map.
    scale = [np.polyfit(p, c, 1) for p, c in ((columns, at[:, 0]), (rows, at[:, 1]))]
    assert scale[0][0] == pytest.approx(-scale[1][0], rel=0.01)
    x, y = (np.polyval(fit, p) for fit, p in zip(scale, (columns, rows), strict=True))
    within = Triangulation(*shape.coordinates[:, :2].T, shape.faces).get_trifinder()(x, y)
    corners = shape.faces[within]
    shown = (corners == vertex[rows, columns][:, None]).any(1)
    assert shown[within >= 0].mean() > 0.97


def test_a_pixel_has_its_vertex_colour_and_nothing_else(
    mesh: Mesh, subject: Subject, pictures: dict[tuple[str, str], RenderedView]
) -> None:
    known = known_of(mesh, subject)
    shown = maps_of(known)[0]
    for picture in pictures.values():
        rgba = paint(picture, shown, known)
        vertex = picture.vertex
        value = known.score[picture.hemisphere][vertex]
        there = (vertex >= 0) & np.isfinite(value)
        expected = mpl.colormaps["inferno"](np.round(value[there] / 100 * 255).astype(int))
        np.testing.assert_allclose(rgba[there] / 255, expected, atol=1 / 255)
        assert (rgba[vertex < 0] == 0).all()
        bare = rgba[(vertex >= 0) & ~there]
        assert (bare[:, 0] == bare[:, 1]).all()
        assert (bare[:, 3] == 255).all()


def test_scales_are_dark_where_low_and_brighten_evenly(mesh: Mesh, subject: Subject) -> None:
    alike = known_of(mesh, subject).score
    known = known_of(mesh, subject, unique={"a": {h: v / 100 for h, v in alike.items()}})
    found = [m for m in maps_of(known) if not m.categories]
    assert [m.name for m in found] == ["score", "r", "ceiling", "unique-a"]
    # What may lie below 0 has a scale of its own, which diverges there.
    for shown in found[:-1]:
        order = np.argsort(shown.values["lh"])[: subject.n_vertices("lh")]
        luminance = vertex_colours(shown, "lh")[order, :3] @ (0.2126, 0.7152, 0.0722)
        assert luminance[0] < 0.15 < 0.7 < luminance[-1], shown.name
        assert (np.diff(luminance) > -1e-3).all(), shown.name


def test_the_best_space_has_the_greatest_r() -> None:
    a, b = np.array([0.5, 0.1, -0.2, np.nan]), np.array([0.2, 0.3, -0.1, np.nan])
    which, r = best_space({"a": {"lh": a, "rh": a}, "b": {"lh": b, "rh": b}})
    np.testing.assert_array_equal(which["lh"], [0, 1, 1, np.nan])
    np.testing.assert_array_equal(r["rh"], [0.5, 0.3, -0.1, np.nan])


def test_a_mean_is_over_the_subjects_that_have_the_vertex() -> None:
    def one(*values: float) -> SubjectValues:
        sides = {h: np.array(values) for h in HEMISPHERES}
        return SubjectValues(
            "0", sides, sides, sides, labels={h: np.array([1.0, 0, 2]) for h in sides}
        )

    found = average([one(1, np.nan, np.nan), one(3, 4, np.nan)])
    np.testing.assert_array_equal(found.score["lh"], [2, 4, np.nan])
    np.testing.assert_array_equal(found.labels["rh"], [1, 0, 2])


def test_outlines_lie_on_borders_and_names_within_regions(
    mesh: Mesh, subject: Subject, pictures: dict[tuple[str, str], RenderedView]
) -> None:
    picture = render_views(mesh, 600, {h: fsaverage_vertices(subject, h) for h in HEMISPHERES})[6]
    labels = np.nan_to_num(
        place_on_mesh(
            np.load(subject.folder / "roi_masks/lh.streams_challenge_space.npy"),
            fsaverage_vertices(subject, "lh"),
            mesh.n_vertices,
        )
    )
    halo, line = find_borders(picture, labels)
    on_page = labels[picture.vertex]
    assert line.any()
    assert not (line & ~halo).any()
    inner = np.zeros_like(line)
    inner[3:-3, 3:-3] = np.all(
        [on_page[3 + i : on_page.shape[0] - 3 + i, 3:-3] == on_page[3:-3, 3:-3] for i in (-3, 3)]
        + [on_page[3:-3, 3 + i : on_page.shape[1] - 3 + i] == on_page[3:-3, 3:-3] for i in (-3, 3)],
        axis=0,
    )
    assert line[inner].mean() < 0.02
    names = place_names(picture, labels, ["early", "midventral"])
    x, y = names["early"]
    assert on_page[int(y), int(x)] == 1


def test_unique_parts_come_from_the_files_of_the_ablation(tmp_path: Path) -> None:
    def keep(spaces: list[str], r2: float, responses: str = "r", created: str = "1") -> None:
        arrays = {"pearson_r": np.full(4, r2 + 0.5), "r2": np.full(4, r2)}
        key = {"responses": responses, "spaces": spaces, "seed": created}
        meta = {"kind": "ablation", "spaces": spaces, "key": key}
        name = f"lh-{'-'.join(spaces)}{responses}{created}.h5"
        path = tmp_path / "ablations/subj01" / name
        write_artifact(path, arrays, meta | {"provenance": {"created": created}})

    for created, shift in (("1", 0.0), ("2", 0.01)):
        keep(["a"], 0.1 + shift, created=created)
        keep(["b"], 0.2 + shift, created=created)
        keep(["a", "b"], 0.25, created=created)
    keep(["a", "b", "c"], 0.9, "of other responses")
    found = read_ablation(tmp_path, "01", "lh", {"responses": "r"})
    assert found is not None
    np.testing.assert_allclose(found.alone["a"], 0.61)
    np.testing.assert_allclose(found.unique["a"], 0.25 - 0.21)
    np.testing.assert_allclose(found.unique["b"], 0.25 - 0.11)
    assert read_ablation(tmp_path, "01", "rh", {"responses": "r"}) is None


def test_the_command_writes_png_and_svg(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated)
    write_fits(tmp_path, simulated, spaces=("clip",), digest="c" * 16, seed=1)
    for one in find_subjects(simulated):
        for run in ("ensemble", "ridge-0123456789abcdef", "ridge-" + "c" * 16):
            write_known(tmp_path, one, run)
    done = call("evaluate", "maps", "--data", simulated, "--out", tmp_path, "--subject", "02")
    assert done.returncode == 0, done.stderr
    assert "subject 02: 123 of 123 vertices are on fsaverage5" in done.stdout
    assert "SIMULATED" in done.stdout
    folder = tmp_path / "maps" / "ensemble"
    names = ("best-space", "ceiling", "r", "score")
    assert {f.name for f in folder.iterdir()} == {
        f"02-{name}.{type_}" for name in names for type_ in ("png", "svg")
    }
    text = "".join(ET.parse(folder / "02-score.svg").getroot().itertext())
    for words in ("Noise-normalised score", "SIMULATED", "subject 02", "ceiling", "left"):
        assert words in text
    # What was scored counts, not what could be: there are test responses too.
    assert "the ensemble of all fits, held-out pictures" in text
    compared = "".join(ET.parse(folder / "02-best-space.svg").getroot().itertext())
    assert "ridge on each space alone, held-out pictures" in compared
    assert "ensemble" not in compared


def test_subjects_that_were_scored_on_different_pictures_have_no_mean(
    simulated: Path, tmp_path: Path
) -> None:
    write_fits(tmp_path, simulated)
    for one, split in zip(find_subjects(simulated), ("test", "heldout"), strict=True):
        write_known(tmp_path, one, split=split)
        write_known(tmp_path, one, "ridge-0123456789abcdef", split)
    with pytest.raises(
        RoiridgeError, match=r"different pictures \(test of subject 01, held-out of subject 02\)"
    ):
        maps(simulated, tmp_path)


def test_what_spaces_are_compared_by_is_said_for_each_subject() -> None:
    assert describe_sources({"01": "ablation", "02": "ablation"}) == "ablation"
    told = describe_sources({"01": "ablation", "02": "ridge", "03": "ridge"})
    assert told == "ablation (subject 01); ridge (subjects 02, 03)"


def test_without_vertices_the_command_to_run_is_said(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated)
    with pytest.raises(RoiridgeError, match=r"subj01\.h5: no such file: run make evaluate .*first"):
        maps(simulated, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mesh": "fsaverage6"}, "unknown mesh 'fsaverage6': choose from auto, fsaverage5"),
        ({"outlines": "V1"}, "unknown ROI class 'V1' to outline: choose from prf-visualrois"),
    ],
)
def test_unknown_names_are_refused(
    simulated: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    write_known(tmp_path, find_subjects(simulated)[0])
    with pytest.raises(RoiridgeError, match=message):
        maps(simulated, tmp_path, subject="01", **change)


def test_the_mesh_is_loaded_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert load_mesh("auto").name in {"fsaverage5", "fsaverage"}


def _asymmetric() -> dict[str, np.ndarray]:
    """Return two maps whose hemispheres differ in every part, NaN outside."""
    values = {h: np.full((2, 163842), np.nan, np.float32) for h in ("lh", "rh")}
    values["lh"][0, 7], values["lh"][1, 100000] = 1, 2
    values["rh"][0, 163841], values["rh"][1, :3] = 3, (4, 5, 6)
    return values


def test_maps_as_data_come_back_exactly_and_on_their_side(tmp_path: Path) -> None:
    values = _asymmetric()
    files = save_surface(values, tmp_path / "map", ["gifti", "mgh", "npz"])
    assert len(files) == 5
    for hemisphere, structure in (("lh", "CortexLeft"), ("rh", "CortexRight")):
        image = nib.load(tmp_path / f"map.{hemisphere}.func.gii")
        assert image.meta["AnatomicalStructurePrimary"] == structure
        np.testing.assert_array_equal(np.stack(image.agg_data()), values[hemisphere])
        read = load_surf_data(str(tmp_path / f"map.{hemisphere}.func.gii"))
        np.testing.assert_array_equal(read.T, values[hemisphere])
        volume = np.asarray(nib.load(tmp_path / f"map.{hemisphere}.mgh").dataobj)
        np.testing.assert_array_equal(volume[:, 0, 0].T, values[hemisphere])
    with np.load(tmp_path / "map.npz") as content:
        assert str(content["subject"]) == "fsaverage"
        np.testing.assert_array_equal(content["data"][:, :163842], values["lh"])
        np.testing.assert_array_equal(content["data"][:, 163842:], values["rh"])


@pytest.mark.parametrize(
    ("values", "formats", "message"),
    [
        ({"lh": np.zeros(163842)}, ["mgh"], "expected lh and rh"),
        ({"lh": np.zeros(10242), "rh": np.zeros(10242)}, ["mgh"], r"\(1, 10242\).*163842"),
        (_asymmetric(), ["nifti"], "unknown format 'nifti'.*mgh"),
    ],
)
def test_other_maps_are_refused(
    tmp_path: Path, values: dict[str, np.ndarray], formats: list[str], message: str
) -> None:
    with pytest.raises(EvaluateError, match=message):
        save_surface(values, tmp_path / "map", formats)
    assert not list(tmp_path.iterdir())


def test_the_command_saves_every_map_and_the_rois_as_data(simulated: Path, tmp_path: Path) -> None:
    write_fits(tmp_path, simulated)
    place = ("--data", simulated, "--out", tmp_path, "--subject", "01")
    assert call("evaluate", "scores", *place).returncode == 0
    done = call("evaluate", "maps", *place, "--format", "gifti", "mgh", "npz")
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stdout
    (folder,) = (tmp_path / "maps").glob("ridge-*")
    assert not list(folder.glob("*.png"))
    subject = Subject(simulated / "subj01")
    scores = read_vertices(tmp_path, folder.name, "01")
    for hemisphere in ("lh", "rh"):
        surface = nib.load(folder / f"01-r.{hemisphere}.func.gii").agg_data()
        expected = np.full(163842, np.nan)
        expected[fsaverage_vertices(subject, hemisphere)] = scores.field("r")[hemisphere]
        np.testing.assert_allclose(surface, expected, rtol=1e-6)
        stem = tmp_path / "maps" / "rois" / f"01-prf-visualrois.{hemisphere}"
        labels, _, names = nib.freesurfer.read_annot(f"{stem}.annot")
        image = nib.load(f"{stem}.label.gii")
        np.testing.assert_array_equal(image.agg_data(), labels)
        assert list(image.labeltable.get_labels_as_dict().values()) == [n.decode() for n in names]
        for roi in subject.rois(hemisphere):
            if roi.roi_class == "prf-visualrois":
                places = fsaverage_vertices(subject, hemisphere)[roi.vertices]
                assert {names[n].decode() for n in labels[places]} <= {roi.name}
    refused = call("evaluate", "maps", *place, "--format", "nifti")
    assert refused.returncode == 2
    assert "--format: found 'nifti'" in refused.stderr
