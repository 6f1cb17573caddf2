"""`python -m extract`: stage 1, pictures to feature spaces."""

import sys
from pathlib import Path
from typing import Literal

from base import convert_paths
from base.command_line.parser import run
from challenge import SubjectChoice


@convert_paths
def extract(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    weights: list[str] = [],  # noqa: B006
    captions: list[str] = [],  # noqa: B006
    device: str = "auto",
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
    dtype: Literal["float32", "float16"] = "float32",
    workers: int = -1,
    executor: str = "local",
    cluster: Path | None = None,
) -> None:
    """Compute the feature spaces of all training and test pictures that are not stored yet.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The output folder.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    spaces : list of str
        Feature spaces: clip, alexnet, sam, efficientnet_lite0, any timm model by name, or
        family:model/weights@layer+layer,layer#pooling~columns; `python -m extract layers SPACE`
        lists the layers of a network.
    weights : list of str
        SPACE=FILE to read weights from a file, SPACE=random:SEED for untrained ones.
    captions : list of str
        For clip_text: COCO's captions_train2017.json and captions_val2017.json with NSD's
        nsd_stim_info_merged.csv, or a CSV with the columns picture and caption.
    device : str
        auto (a GPU if there is one), cpu, cuda, cuda:N or mps; several, separated by commas such as
        cuda:0,cuda:1, share the pictures.
    precision : str
        float32, or autocast in bfloat16 or float16; it is part of the features' key.
    dtype : str
        Type of the stored rows: float32, or float16, which is an error where a value does not fit.
    workers : int
        Number of processes that decode pictures ahead of each device; by default as many as there
        are spare processors.
    executor : str
        local, or slurm: in jobs of a cluster, for which this command waits.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …

    Examples
    --------
    >>> extract("data", subject="01", spaces=["pixels:8"], device="cpu")
    52 pictures of 1 subject on cpu
    ...
    pixels:8: 52 pictures computed, 0 there already -> derivatives/features/pixels_8-...
    """
    # The networks take seconds to import, which would delay --help and Ctrl-C.
    from extract.pipeline.stage import Options, compute_features

    options = Options(device, precision, dtype, workers, captions, executor, cluster)
    compute_features(data, out, subject, spaces, weights, options)


def layers(space: str, deep: bool = False) -> None:
    """List the layers of a feature space's network, with shapes; no weights are needed.

    Parameters
    ----------
    space : str
        A feature space: clip, or family:model/weights@layer#pooling~columns.
    deep : bool
        true to list all modules of a network that has many.
    """
    from extract.layer_listing import list_layers

    list_layers(space, deep)


EXAMPLES = [
    "python -m extract layers clip",
    "python -m extract --data data --spaces clip alexnet sam",
    "python -m extract --spaces sam --weights sam=sam_vit_b.safetensors --precision bfloat16",
]


def main() -> int:
    """Run the verb `layers`, or else the extraction; return the exit status."""
    if sys.argv[1:2] == ["layers"]:
        return run({"layers": layers}, "extract", EXAMPLES)
    return run(extract, "extract", EXAMPLES)


if __name__ == "__main__":
    sys.exit(main())
