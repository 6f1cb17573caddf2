"""`python -m extract`: stage 1, pictures to feature spaces."""

import sys
from pathlib import Path
from typing import Literal

from base.command import run


def extract(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str | int = "all",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    weights: list[str] = [],  # noqa: B006
    device: str = "auto",
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
) -> None:
    """Compute the feature spaces of all pictures, training and test, that have none yet.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made.
    subject : str or int
        A subject's number, or "all".
    spaces : list of str
        Feature spaces: clip, alexnet, sam, efficientnet_lite0, any timm model by name, or
        family:model/weights@layer#pooling~columns.
    weights : list of str
        SPACE=FILE to take weights from a file, SPACE=random:SEED for untrained ones.
    device : str
        auto (a GPU if there is one), cpu, cuda, cuda:N or mps.
    precision : str
        float32, or autocast in bfloat16 or float16; it is part of the features' key.
    """
    # The networks take seconds to import: only now, so that --help is quick and Ctrl-C is heard.
    from extract.stage import compute_features

    compute_features(data, out, str(subject), spaces, weights, device, precision)


EXAMPLES = [
    "python -m extract --data data --spaces clip alexnet sam",
    "python -m extract --spaces sam --weights sam=sam_vit_b.safetensors --precision bfloat16",
]

if __name__ == "__main__":
    sys.exit(run(extract, "extract", EXAMPLES))
