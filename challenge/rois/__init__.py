"""Regions of interest: masks on fsaverage, label maps, and names of labels."""
