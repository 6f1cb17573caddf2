"""The parts of `unet`: an encoder-decoder of maps, and readouts that know places."""

from regress.unet.fields import read_fields
from regress.unet.maps import Maps

__all__ = ["Maps", "read_fields"]
