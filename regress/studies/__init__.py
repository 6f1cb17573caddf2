"""Studies: YAML files of models to compare, one per row; `python -m regress.study` fits them."""
