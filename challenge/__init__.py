"""The files of the Algonauts 2023 challenge: readers, checks, and a simulator.

A `Subject` reads the files of its folder one by one, and raises an error that names the file and
the fix where a file is invalid. `challenge.simulator` writes the same layout with a known ground
truth. Nothing here depends on networks, models or scores.
"""

import lazy_loader

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
