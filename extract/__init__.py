"""Stage 1: pictures to feature spaces, written once to the cache.

Only this folder holds networks. A network family is a file in `extract/backbones`, a named feature
space an entry in `extract/spaces.py`; `extract/run.py` computes a space, `extract/stage.py` all.
"""
