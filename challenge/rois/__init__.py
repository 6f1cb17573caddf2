"""Regions of interest on fsaverage: masks, label maps, and where vertices lie."""
