"""The parts of `regress.costs.units`: shapes, what is tried, and what each kind of model takes."""
