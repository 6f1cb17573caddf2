"""Rules of the ensemble: the weight of each model at each vertex before normalisation.

A rule is a module with `judge(hemisphere, parts)`, which returns a strength for each part, model
and vertex. Strengths depend on held-out pictures alone, which no fit has seen: a model that has
memorised its training pictures gains nothing.
"""

DEFAULT = "per_vertex"
