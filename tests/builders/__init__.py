"""Data, fits, submissions and processes that several test files make."""
