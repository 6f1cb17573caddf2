"""Rules of the ensemble: how much each model is heard at each vertex. One file each.

A rule is a module with `judge(hemisphere, parts)`. Its strengths rest on the held-out pictures
alone, which no fit has seen: a model that has memorised its training pictures gains nothing by it.
"""
