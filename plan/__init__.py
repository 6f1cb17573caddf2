"""What a run will take, before it is run: every stage's time, memory and disk, from shapes alone.

This folder asks each stage's `cost` and knows nothing of how they work.
"""
