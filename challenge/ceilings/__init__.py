"""Noise ceilings: from ncsnr, from repeated trials, and the published numbers."""
