"""The parts of `regress.cost`: shapes, what is tried, and what each kind of model takes."""
