"""Maps on the cortical surface: what is known of each vertex, where it lies in the brain.

`surface` puts values of the responses' columns on a mesh of fsaverage, `camera` looks at it once
from each side, `paint` turns any values into pictures with that, `outlines` finds the borders of
regions, `values` gathers what there is to show of a subject, and `command` writes PNG and SVG for
papers.
"""
