"""Speed and memory beside the peers and the floors; each file is one command."""
