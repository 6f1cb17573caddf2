"""Files from outside, read without running them."""
