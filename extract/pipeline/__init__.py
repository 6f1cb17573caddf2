"""Pictures through networks: each decoded once, on one device or several, in shards."""
