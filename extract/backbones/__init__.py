"""Network families, one in each file, whose `load(spec, request)` returns a `Backbone`."""
