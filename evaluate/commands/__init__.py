"""The commands of `python -m evaluate`, one file each."""
