"""Execution of work: in this process, in several processes, or in the jobs of a cluster.

A stage lists its units of work and hands them over; each unit writes its own results.
"""

import lazy_loader

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
