"""Each stage as its command does it, in a process of its own; the time to start is not counted."""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.scale.data import Size, write_data, write_features

Work = Callable[[], object]
NETWORK = "alexnet_conv"


def prepare(stage: str, folder: Path, size: Size, options: dict[str, Any]) -> Work:
    """Make what a stage needs, and give what is to be timed.

    Parameters
    ----------
    stage : str
        A key of `STAGES`.
    folder : Path
        An empty folder.
    size : Size
        How much of everything.
    options : dict
        Of the stage.

    Returns
    -------
    callable
        The stage.
    """
    data, out = folder / "data", folder / "out"
    write_data(data, size)
    common: dict[str, Any] = {"data": data, "out": out}
    if stage == "extract":
        return _extract(common, options)
    spaces = write_features(data, out, size)
    if stage == "ablate":
        from regress.commands.ablate import ablate

        return lambda: ablate(**common, spaces=spaces, device="cpu")
    from regress.commands.fit import fit

    fitting = {**common, "spaces": spaces, "device": "cpu"}
    if stage == "fit":
        return lambda: fit(**fitting, **options)
    # Fits that differ, on the same pictures: scored together, they are an ensemble.
    for number in range(options["fits"]):
        fit(**fitting, model="ridge", folds=5 + number)
    from evaluate.commands.scores import scores

    if stage == "evaluate":
        return lambda: scores(**common)
    from evaluate.commands.report import report

    scores(**common)
    return lambda: report(**common)


def _extract(common: dict[str, Any], options: dict[str, Any]) -> Work:
    from extract.__main__ import extract

    extract(**common, spaces=["pixels:4"])
    return lambda: extract(**common, device="cpu", **options)


def main() -> None:
    """Do one piece of work; print its seconds and gigabytes."""
    asked = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=asked["folder"]) as folder:
        work = prepare(asked["stage"], Path(folder), Size(**asked["size"]), asked["options"])
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print("\n" + json.dumps({"seconds": seconds, "gigabytes": peak}))


if __name__ == "__main__":
    main()
