"""Digest the code of a model that its user may edit."""

import re
import sys

from base import code_digest, digest
from base.code import entry_digest
from regress.encoding_model import Encoder

# Parameters that name entries of a table. The estimator has imported the tables that it reads.
TABLES = {
    "loss": ("regress.training.losses", "LOSSES"),
    "optimiser": ("regress.training.optimisers", "OPTIMISERS"),
    "schedule": ("regress.training.optimisers", "SCHEDULES"),
    "discriminators": ("regress.adversarial.critics", "CRITICS"),
    "sampler": ("regress.diffusion.schedulers", "SAMPLERS"),
}


def model_code(estimator: Encoder) -> str:
    """Return a digest of a model's plug-in and of the losses, optimisers and so on that it names.

    A change of the digest means a new fit.
    """
    parts = {"model": code_digest(sys.modules[type(estimator).__module__])}
    parameters = estimator.get_params(deep=False)
    for parameter in TABLES.keys() & parameters.keys():
        module, table = TABLES[parameter]
        entries = getattr(sys.modules.get(module), table, {})
        words = re.findall(r"\w+", str(parameters[parameter]))
        for name in sorted(set(words) & set(entries)):
            parts[f"{parameter} {name}"] = entry_digest(module, table, name)
    return digest(parts)
