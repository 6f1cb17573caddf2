"""Fitted encoders on any pictures: predicted responses, and how far to trust them.

What is predicted for a picture is what the submission would hold for it: all fits of a subject,
weighted by the held-out responses.
"""

import lazy_loader

import extract  # noqa: F401, before torch is loaded: it sets how torch's threads wait

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
