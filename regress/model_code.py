"""The code of a model that its user may edit, as a digest."""

import re
import sys

from base import code_digest, digest, entry_digest
from regress.encoding_model import Encoder

# Tables whose entries a parameter names: those that the estimator reads, and so has imported.
TABLES = {
    "loss": ("regress.training.losses", "LOSSES"),
    "optimiser": ("regress.training.optimisers", "OPTIMISERS"),
    "schedule": ("regress.training.optimisers", "SCHEDULES"),
    "discriminators": ("regress.adversarial.critics", "CRITICS"),
    "sampler": ("regress.diffusion.schedulers", "SAMPLERS"),
}


def model_code(estimator: Encoder) -> str:
    """Digest the code of a model: of its plug-in, and of the losses and so on that it names.

    Returns
    -------
    str
        Sixteen hexadecimal digits; a change of them means a new fit.
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
