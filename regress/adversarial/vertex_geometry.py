"""Geometry of vertices for critics: hemispheres, ROIs and neighbours on the mesh."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from challenge.fsaverage import neighbours
from regress.data.vertex_columns import Layout
from regress.errors import RegressError

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class VertexGeometry:
    """Geometry of some vertices of the cortical sheet.

    Attributes
    ----------
    hemispheres : array of int (n_vertices,)
        Number of each vertex' hemisphere.
    rois : tuple of array of int
        The vertices of each ROI; ROIs may overlap, and leave vertices out.
    edges : array of int (n_edges, 2)
        Pairs of neighbours on the mesh, each pair once.
    """

    hemispheres: Numbers
    rois: tuple[Numbers, ...]
    edges: Numbers

    @classmethod
    def line(cls, n_vertices: int) -> Self:
        """Return the geometry of vertices in a row, in one hemisphere and one ROI."""
        row = np.arange(n_vertices)
        return cls(np.zeros(n_vertices, np.int64), (row,), np.stack([row[:-1], row[1:]], 1))

    @classmethod
    def from_layout(
        cls, layout: Layout, columns: Numbers, on_fsaverage: Mapping[str, Numbers]
    ) -> Self:
        """Return the geometry of some columns of a fit, where columns of one vertex are neighbours.

        For each hemisphere, `on_fsaverage` has the vertex of fsaverage that each of the responses'
        columns is.
        """
        at = np.full(len(layout.vertices), -1)
        at[columns] = np.arange(len(columns))
        inside = [at[roi][at[roi] >= 0] for roi in layout.columns.values()]
        hemispheres, vertices = layout.hemispheres[columns], layout.vertices[columns]
        edges = [np.empty((0, 2), np.int64)]
        for hemisphere in np.unique(hemispheres):
            indices = np.flatnonzero(hemispheres == hemisphere)
            vertex, number = np.unique(vertices[indices], return_inverse=True)
            at_vertex = sparse.csr_array((np.ones(len(indices)), (indices, number)))
            pairs = neighbours(on_fsaverage[str(hemisphere)][vertex])
            near = sparse.csr_array((np.ones(len(pairs)), pairs.T), [len(vertex)] * 2)
            # Columns of one vertex, or of neighbouring ones, are neighbours.
            joined = at_vertex @ (near + near.T + sparse.eye_array(len(vertex))) @ at_vertex.T
            edges.append(np.stack(sparse.triu(joined, 1).tocsr().nonzero(), 1))
        return cls(
            np.unique(hemispheres, return_inverse=True)[1],
            tuple(roi for roi in inside if len(roi)),
            np.concatenate(edges),
        )

    def check(self, n_vertices: int) -> None:
        """Check that the geometry is of as many vertices as the responses."""
        arrays: list[ArrayLike] = [*self.rois, self.edges.ravel()]
        highest = max((int(np.max(array)) for array in arrays if np.size(array)), default=-1)
        if len(self.hemispheres) != n_vertices or highest >= n_vertices:
            raise RegressError(
                f"sheet: found {len(self.hemispheres)} vertices, the highest that is named "
                f"{highest}; expected {n_vertices}, as the responses have"
            )
