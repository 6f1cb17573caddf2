"""The stimuli: their order and decoding."""
