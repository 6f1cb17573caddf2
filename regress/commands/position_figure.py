"""The figure of the positions of an ROI's vertices: steps from coordinates to sinusoids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from base import list_choices, replacing, say
from challenge import HEMISPHERES, Subject, SubjectChoice, find_subjects
from regress.data import position_grid as grid
from regress.data.fsaverage_positions import describe, frames, positions_of, side_by_side
from regress.errors import RegressError
from regress.models.positional import Positional

# SVGs of equal positions have equal bytes, and their text stays text.
SETTINGS: Any = {"svg.hashsalt": "roiridge", "svg.fonttype": "none", "font.size": 8}
WORDS = {"lh": "left hemisphere", "rh": "right hemisphere", "both": "both hemispheres"}
VIEW = {"elev": 15, "azim": -70}
SHARED, ALONE, BRAIN = "#D55E00", "#0072B2", "#d0d0d0"


def write_figure(
    data: Path,
    folder: Path,
    subject: SubjectChoice,
    roi: str,
    hemisphere: str,
    surface: str,
    expansion: int | float | str,
    frequencies: int,
) -> None:
    """Draw the figure, and write it as PNG and SVG; the arguments are those of the command."""
    try:
        Positional(surface=surface, expansion=expansion, frequencies=frequencies).check_parameters()
    except ValueError as error:
        raise RegressError(str(error)) from error
    first_subject = find_subjects(data, subject)[0]
    span = _span(hemisphere)
    sides, columns = _columns(first_subject, roi, span)
    places = torch.from_numpy(positions_of(first_subject, surface, sides, columns))
    member = torch.zeros(len(places), dtype=torch.int64)
    group_frames = frames(places, member, expansion)
    name = f"subj{first_subject.name}.{hemisphere}.{roi}.{surface}"
    simulated = ", SIMULATED" if first_subject.simulated else ""
    figure = draw(
        places,
        float(group_frames.expansions[0]),
        frequencies,
        np.concatenate([side_by_side(surface)[side] for side in span]),
        f"subject {first_subject.name}{simulated}: {roi}, {WORDS[hemisphere]}, {len(places)} "
        f"vertices on fsaverage's {surface} surface",
    )
    say(describe(group_frames))
    for suffix in (".png", ".svg"):
        path = folder / f"{name}{suffix}"
        # Without date and version, equal figures have equal bytes.
        metadata: Any = {"Date": None} if suffix == ".svg" else {"Software": None}
        with mpl.rc_context(SETTINGS), replacing(path) as temporary:
            figure.savefig(temporary, metadata=metadata, facecolor="white", dpi=200)
        say(f"-> {path}")


def _span(hemisphere: str) -> Sequence[str]:
    if hemisphere not in WORDS:
        raise RegressError(f"--hemisphere {hemisphere}: expected lh, rh or both")
    return HEMISPHERES if hemisphere == "both" else (hemisphere,)


def _columns(
    subject: Subject, roi: str, span: Sequence[str]
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    regions = [region for side in span for region in subject.regions(side)]
    matches = [region for region in regions if region.name == roi]
    if not matches:
        names = dict.fromkeys(region.name for region in regions)
        raise RegressError(f"--roi {roi}: subject {subject.name} has {list_choices(roi, names)}")
    sides = np.concatenate(
        [np.repeat(region.hemisphere, len(region.vertices)) for region in matches]
    )
    return sides, np.concatenate([region.vertices for region in matches])


def draw(
    places: Tensor, expansion: float, frequencies: int, brain: NDArray[np.float64], title: str
) -> Figure:
    """Draw the steps from coordinates to sinusoids, a panel each.

    Parameters
    ----------
    places : Tensor (n_vertices, n_axes)
        Coordinates of one group of vertices, mm.
    expansion : float
        Cells of the grid per mm.
    frequencies : int
        Number of sines, and of cosines, along each axis.
    brain : array (n_all_vertices, n_axes)
        Coordinates of the surface, for the background, mm.
    title : str
        The figure's title.
    """
    box = grid.bounding_box(places)
    coarse = grid.to_grid(places, box)
    fine = grid.to_grid(places, box, expansion)
    centred = grid.centred(fine, box, expansion)
    waves = grid.sinusoids(centred, frequencies)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(13, 8), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, ha="left", x=0.01, fontsize=11)
        rows: Any = figure.subfigures(2, 1, height_ratios=(3, 2))
        projection: Any = {"projection": "3d"} if places.shape[1] == 3 else {}
        panels: Any = rows[0].subplots(1, 4, subplot_kw=projection)
        _surface(panels[0], places, box, brain)
        _cells(panels[1], coarse, "2. integer grid in the box: 1 cell a mm")
        _cells(panels[2], fine, f"3. expanded grid: factor {expansion:g}")
        _cells(panels[3], centred, "4. origin at the box's centre", fine)
        for panel in panels[3:]:
            panel.plot(*([0],) * places.shape[1], "+", color="black", markersize=12)
        lower: Any = rows[1].subplots(1, 5, width_ratios=(2.4, 1, 1, 1, 1))
        _heat(lower[0], waves, centred)
        _waves(lower[1:], waves, centred)
    return figure


def _points(axes: Any, points: Tensor, **style: Any) -> None:
    options = {"depthshade": False} if points.shape[1] == 3 else {}
    axes.scatter(*points.T.numpy(), **{"s": 9, "linewidths": 0} | options | style)


def _surface(axes: Any, places: Tensor, box: Tensor, brain: NDArray[np.float64]) -> None:
    background = torch.from_numpy(brain[:: max(1, len(brain) // 20_000)])
    # Rasterised even in an SVG, which would otherwise have twenty thousand circles.
    _points(axes, background, s=1, color=BRAIN, alpha=0.3, rasterized=True)
    _points(axes, places, s=4, color=ALONE)
    corners = box.numpy()
    if places.shape[1] == 3:
        for edge in _edges(corners):
            axes.plot(*edge.T, color="black", linewidth=0.8)
        _set_view(axes)
    else:
        low, size = corners[0], corners[1] - corners[0]
        axes.add_patch(mpl.patches.Rectangle(low, *size, fill=False, linewidth=0.8))
    axes.set_aspect("equal")
    axes.set_title("1. coordinates, mm, and their box")


def _set_view(axes: Any) -> None:
    """View a 3-D panel from the back left, with so few ticks that none overlap."""
    axes.view_init(**VIEW)
    axes.tick_params(labelsize=6, pad=-2)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y"), (axes.zaxis, "z")):
        axis.set_major_locator(MaxNLocator(3))
        axis.set_label_text(name)
        axis.labelpad = -8


def _edges(corners: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the twelve edges of a box, as pairs of points."""
    ends = np.array(np.meshgrid(*corners.T, indexing="ij")).reshape(3, -1).T
    pairs = [(a, b) for a in range(8) for b in range(a + 1, 8)]
    return [ends[[a, b]] for a, b in pairs if (ends[a] != ends[b]).sum() == 1]


def _cells(axes: Any, points: Tensor, title: str, cells: Tensor | None = None) -> None:
    """Draw vertices in their cells; vertices that share a cell have another colour."""
    cells = points if cells is None else cells
    _, number, count = torch.unique(cells, dim=0, return_inverse=True, return_counts=True)
    shared = (count > 1)[number]
    _points(axes, points[~shared], color=ALONE)
    if shared.any():
        _points(axes, points[shared], s=14, color=SHARED)
    if points.shape[1] == 3:
        _set_view(axes)
    axes.set_aspect("equal")
    axes.set_title(f"{title}\n{int(shared.sum())} of {len(points)} vertices share a cell")


def _heat(axes: Axes, waves: Tensor, centred: Tensor) -> None:
    order, n_axes = torch.argsort(centred[:, 0]), centred.shape[1]
    axes.imshow(
        waves[order].T.numpy(),
        aspect="auto",
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        interpolation="nearest",
    )
    half = waves.shape[1] // n_axes // 2
    middles = [(number + 0.5) * half - 0.5 for number in range(2 * n_axes)]
    names = [f"{name} {axis}" for axis in "xyz"[:n_axes] for name in ("sin", "cos")]
    axes.set_yticks(middles, names)
    for edge in range(1, 2 * n_axes):
        axes.axhline(edge * half - 0.5, color="black", linewidth=0.5)
    axes.set_xlabel("vertices, from left to right")
    axes.set_title("5. sinusoids of each axis, short waves above long ones")


def _waves(panels: Sequence[Any], waves: Tensor, centred: Tensor) -> None:
    """Draw some waves on the two longest axes."""
    extent = centred.max(0).values - centred.min(0).values
    across, up = sorted(torch.argsort(extent)[-2:].tolist())
    width = waves.shape[1] // centred.shape[1]
    frequencies = width // 2
    # One short and one long wave along each of the two axes.
    selection = [(axis, number) for number in (0, frequencies // 2) for axis in (across, up)]
    for panel, (axis, number) in zip(panels, selection, strict=True):
        colours = waves[:, axis * width + number].numpy()
        _points(panel, centred[:, [across, up]], c=colours, cmap="RdBu_r", vmin=-1, vmax=1)
        panel.set_aspect("equal")
        panel.set_xlabel("xyz"[across])
        panel.set_ylabel("xyz"[up])
        panel.set_title(f"sin {'xyz'[axis]}, wave {number + 1} of {frequencies}")
