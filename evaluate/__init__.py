"""Stage 3: score fits, tabulate and draw the scores, and write a submission.

Reads the predictions that `regress` wrote to the cache, and the challenge directory. Models are not
loaded, so this stage runs on a machine without torch. `python -m evaluate scores` writes
scores.csv, `submission` the zip that the challenge takes; `check` checks any submission, `score`
scores it, and `ceilings` computes noise ceilings for data that have none.
"""

import lazy_loader

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
