"""Noise ceilings from ncsnr and from repeated trials, and published counts of NSD."""
