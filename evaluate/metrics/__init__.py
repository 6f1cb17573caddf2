"""Metrics: one file each, loaded by name.

A metric is a module with `compute(pair)`: from responses, predictions, ceilings and r of an
`evaluate.metrics._inputs.Pair` it returns one float64 per vertex, NaN where the metric excludes the
vertex (a noise ceiling of 0) or where it needs a ceiling and there is none. `scores.csv` has
columns for three of them; `scores.json` has the mean over vertices of every metric in this folder.
Scores that are not means over vertices are in `evaluate/submission/other_benchmarks.py`.
"""
