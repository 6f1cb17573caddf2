"""Readers of untrusted files that never run code in them."""
