"""Network families, one in each file, whose `load(spec, request)` returns a `Backbone`.

`spec` is a space, with model, weights and layers; `request` the user's choice of its weights.
"""
