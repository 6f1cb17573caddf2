"""Submissions: expected files, zip files read without trust, plausibility, other benchmarks."""
