"""Feature spaces from and for other programs: import, export, pack."""
