"""Simulated datasets in the challenge's layout, with a known truth."""

from challenge.simulator.dataset import simulate

__all__ = ["simulate"]
