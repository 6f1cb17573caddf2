from .encoder import Encoder, load_encoder
from .errors import PredictError

__all__ = ["Encoder", "PredictError", "load_encoder"]
