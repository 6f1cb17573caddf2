"""The fits that stage 2 wrote, and whether they belong to the data on disk."""
