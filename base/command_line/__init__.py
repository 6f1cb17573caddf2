"""The command line: flags and YAML from signatures, calls in messages, make targets."""
