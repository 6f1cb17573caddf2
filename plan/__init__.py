"""Forecast of the time, memory and disk of every stage, which asks each what it takes."""
