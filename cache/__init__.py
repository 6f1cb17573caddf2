"""Arrays stored by key: written atomically, and verified when read.

The stages exchange data only through this package, and only this package opens HDF5. Feature spaces
(`FeatureStore`) hold a row per picture, named by the digest of the picture's file; artifacts
(`write_artifact`) hold the result of a stage, as plain arrays and JSON. Chunks and metadata carry
checksums, so that a flipped byte is an error and never a number.
"""

import lazy_loader

# A name is imported when it is used: what a command does not need costs it no time.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
