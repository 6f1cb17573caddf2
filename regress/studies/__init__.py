"""Studies: models to compare, a row each, in YAML files; `python -m regress.study` fits them."""
