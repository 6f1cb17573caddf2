"""Stage 1: pictures to feature spaces, written once to the cache.

Only this folder holds networks. A network family is a file in `extract/backbones`, a named feature
space an entry in `extract/spaces.py`; `extract/run.py` computes a space,
`extract/pipeline/stage.py` all.
"""

import os

# Before torch is loaded: threads that wait sleep. Turning in place, they would hold the processors
# that the processes which decode pictures, and the network's own other threads, wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
