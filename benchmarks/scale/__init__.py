"""How time and memory of every stage grow, and what follows for work that is far larger."""
