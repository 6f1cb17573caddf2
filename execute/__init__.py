"""Work in tasks: what it costs, and who does it where."""
