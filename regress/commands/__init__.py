"""One file per command of stage 2."""
