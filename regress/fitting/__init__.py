"""From a request to fits on disk."""
