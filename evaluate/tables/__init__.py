"""Tables and figures of scores, studies and ablations."""
