"""Submissions: expected files, safe reading of zip files, plausibility, other benchmarks."""
