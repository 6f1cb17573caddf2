"""One file a network family: `load(spec, request)` gives a `Backbone`."""
