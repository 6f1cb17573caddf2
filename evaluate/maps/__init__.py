"""Maps on the cortical surface: values of each vertex, at its place in the brain.

`surface` loads a mesh of fsaverage, `camera` renders it from each side, `paint` colours views by
any values, `outlines` finds the borders of regions, `values` gathers the values of a subject, and
`map_figure` writes PNG and SVG for papers.
"""
