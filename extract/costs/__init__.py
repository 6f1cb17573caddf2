"""Forecast of time, memory and disk of features, from trials of networks on a few pictures."""
