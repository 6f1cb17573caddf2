"""Forecasts: rates of this machine, and the time, memory and disk of work."""
