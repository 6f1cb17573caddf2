"""Stage 1: compute feature spaces of pictures, and store them in the cache.

A network family is a file in `extract/backbones`, a named feature space an entry in
`extract/spaces.py`; `extract/run.py` computes a space, `extract/pipeline/stage.py` all of them.
"""

import os

# Set before torch is loaded, so that waiting threads sleep. Busy waiting would keep processors from
# the processes that decode pictures and from the network's other threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
