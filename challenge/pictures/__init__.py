"""The stimuli: their order, decoding, and test pictures seen in training."""
