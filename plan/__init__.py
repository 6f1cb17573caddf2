"""Forecast of the time, memory and disk of every stage, from shapes alone.

The package calls each stage's cost functions and does not depend on how the stages work.
"""
