"""Time, memory and disk of work: rates of this machine, and costs made of them."""
