"""Contributions of feature spaces: subsets, variance partitioning, sums kept on disk."""
