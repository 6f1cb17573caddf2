"""Metrics: one file each, found by name.

A metric is a module with `compute(pair)`: from responses, predictions, ceilings and r of an
`evaluate.metrics._inputs.Pair` it returns one float64 per vertex, NaN where its rule excludes the
vertex (a noise ceiling of 0) or where it needs a ceiling and there is none. `scores.csv` has a
column for three of them; every metric in this folder is in `scores.json`, and each figure there is
its mean over vertices. A definition that is no mean over vertices is in
`evaluate/submission/other_benchmarks.py`.
"""
