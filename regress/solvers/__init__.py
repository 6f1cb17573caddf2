"""Ridge regression on shared sums, with himalaya's arguments; nothing here knows about brains."""
