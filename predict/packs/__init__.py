"""Packs of encoders: what predicts, in one verified file."""
