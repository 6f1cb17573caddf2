"""Time, memory and disk of features, from networks tried on a few pictures."""
