"""The verbs of `python -m cache` that read and remove stored files."""
