"""What `test_regress_models` shares with other tests."""

from base import plugin_names
from regress import models

# It reads pictures, and has a file of tests of its own.
ON_PICTURES = ("vit",)


MODELS = [name for name in plugin_names(models) if name not in ON_PICTURES]


# A few large steps are enough for a hundred pictures. A vertex that stops on its own is what the
# same vertex is among others.
QUICK = {
    "linear": {"epochs": 40, "lr": 0.05, "batch": 64, "scope": "vertex"},
    "mlp": {"epochs": 25, "lr": 0.02, "batch": 64, "scope": "vertex", "width": 16},
    "conv1d": {"epochs": 25, "lr": 0.02, "batch": 64, "scope": "vertex", "channels": 4},
    "shallow": {"epochs": 25, "lr": 0.02, "batch": 64, "scope": "vertex", "width": 16},
    "diffusion": {"epochs": 25, "lr": 5e-3, "batch": 64, "scope": "vertex", "width": 16}
    | {"latent": 6, "samples": 2, "steps": 4, "blocks": 1},
    "positional": {"epochs": 25, "lr": 0.02, "batch": 64, "scope": "vertex", "width": 8},
    # Any columns are a picture of one place.
    "unet": {"epochs": 15, "lr": 0.02, "batch": 64, "over": "tokens", "places": 1, "depth": 0},
}
