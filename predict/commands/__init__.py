"""The commands of `python -m predict`: signatures and help, without the work."""
