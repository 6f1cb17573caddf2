"""Contributions of feature spaces: fits of subsets, on moments that are cached on disk."""
