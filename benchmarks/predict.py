"""Prediction beside extraction alone, at full size: time, memory, and what novelty says.

`python -m benchmarks.predict` simulates a subject with 39,548 vertices, fits ridge on AlexNet, and
predicts PNGs of 425 x 425 pixels that it has not seen. Every contender runs in a process of its
own; the seconds are those of the work, without the imports, unless "typed" is said. Novelty is
compared with the true error of the demo's data, on pictures of other kinds.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy.stats import spearmanr

from benchmarks.extract import write_pictures
from challenge.simulator import simulate
from challenge.simulator.anatomy import draw_cortex
from challenge.simulator.image_features import describe_picture
from challenge.simulator.photographs import Source, find_photographs
from challenge.simulator.scenes import Scenery
from challenge.simulator.surface_patch import draw_patches
from challenge.simulator.tuning import (
    Stimuli,
    draw_tuning,
    hidden_layer,
    shared_readouts,
    signals,
)
from predict import load_encoder
from predict.novelty import Novelty
from regress.commands.fit import fit
from regress.models.ridge import Ridge

FULL = {"subjects": 1, "train_images": 300, "test_images": 60, "vertices": 19318, "seed": 0}
SPACE = "alexnet"
# A picture, and the meaning (n_latent,) of its objects.
Scene = tuple[Image.Image, np.ndarray]


def main() -> None:
    """Run everything, or one contender in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10000, help="for the growth of memory")
    parser.add_argument("--novelty-only", action="store_true")
    parser.add_argument("--run", nargs=3, metavar=("CONTENDER", "FOLDER", "PICTURES"))
    arguments = parser.parse_args()
    if arguments.run:
        contender, folder, pictures = arguments.run
        start = time.perf_counter()
        CONTENDERS[contender](Path(folder), Path(pictures))
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds, "gigabytes": peak}))
        return
    if arguments.novelty_only:
        novelty()
        return
    subprocess.run([sys.executable, "-m", "benchmarks.predict", "--novelty-only"], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: a child begins with its parent's peak memory.
        measure("prepare", folder, folder)
        for count in (arguments.pictures, arguments.many):
            (folder / str(count)).mkdir()
            write_pictures(folder / str(count), count, 425 if count == arguments.pictures else 64)
        throughput(folder, folder / str(arguments.pictures) / "pictures", arguments.pictures)
        memory(folder, folder / str(arguments.many) / "pictures", arguments.many)
        typed(folder)
        explorer(folder)


def prepare(folder: Path, _: Path) -> None:
    """Simulate a subject, compute features, fit ridge, and make the encoder."""
    simulate(folder / "data", photos="builtin", **FULL)
    ours("extract", folder, "--spaces", SPACE)
    fit(folder / "data", folder / "out", "01", "ridge", [SPACE], "cpu", name="full")
    start = time.perf_counter()
    encoder = load_encoder(folder / "out" / "fits" / "full", "01", folder / "data")
    seconds = time.perf_counter() - start
    print(f"{encoder.n_vertices} vertices; encoder made in {seconds:.1f} s", file=sys.stderr)


def ours(module: str, folder: Path, *words: object) -> None:
    """Run a command of this project."""
    command = [sys.executable, "-m", *module.split(), *map(str, words)]
    command += ["--data", str(folder / "data"), "--out", str(folder / "out")]
    subprocess.run(command, check=True, capture_output=True)


def extraction(folder: Path, pictures: Path) -> None:
    """Compute and store features alone."""
    import torch

    from base import sha256_files
    from cache import FeatureStore
    from extract.pipeline.shared_passes import extract_spaces
    from extract.run import prepare as prepare_space
    from extract.spaces import resolve
    from networks.weights import Request

    space = prepare_space(resolve(SPACE), Request(SPACE, None), torch.device("cpu"))
    paths = sorted(pictures.iterdir())
    store = FeatureStore(folder / f"alone-{len(paths)}")
    extract_spaces([space], list(zip(sha256_files(paths), paths, strict=True)), store, 1)


def _predict(vertices: str, folder: Path, pictures: Path) -> None:
    from predict.commands.images import images

    name = f"{vertices}-{len(list(pictures.iterdir()))}"
    place = (folder / "data", folder / "out")
    images(pictures, *place, "01", ["full"], vertices=vertices, name=name, device="cpu")


def means(folder: Path, pictures: Path) -> None:
    """Predict means of ROIs and novelty."""
    _predict("none", folder, pictures)


def all_vertices(folder: Path, pictures: Path) -> None:
    """Predict means of ROIs, novelty and all vertices."""
    _predict("float32", folder, pictures)


CONTENDERS = {
    "prepare": prepare,
    "extraction": extraction,
    "means": means,
    "vertices": all_vertices,
}


def measure(contender: str, folder: Path, pictures: Path) -> dict[str, float]:
    """Run a contender in its own process."""
    command = [sys.executable, "-m", "benchmarks.predict", "--run", contender]
    done = subprocess.run(
        [*command, str(folder), str(pictures)], check=True, stdout=subprocess.PIPE, text=True
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def throughput(folder: Path, pictures: Path, count: int) -> None:
    """Compare with extraction alone."""
    alone = measure("extraction", folder, pictures)
    print(f"{count} PNGs of 425 x 425: {SPACE} alone {alone['seconds']:.1f} s")
    for contender, bar in (("means", 1.1), ("vertices", 1.3)):
        result = measure(contender, folder, pictures)
        ratio = result["seconds"] / alone["seconds"]
        print(
            f"  {contender}: {result['seconds']:.1f} s, {ratio:.2f} x of extraction alone (bar "
            f"{bar}), {result['gigabytes']:.2f} GB"
        )


def memory(folder: Path, pictures: Path, count: int) -> None:
    """Compare the peak memory of few and of many small pictures, with all vertices."""
    few = folder / "few"
    few.mkdir()
    for path in sorted(pictures.iterdir())[: count // 10]:
        (few / path.name).symlink_to(path)
    peaks = [measure("vertices", folder, source)["gigabytes"] for source in (few, pictures)]
    print(f"memory: {peaks[0]:.2f} GB for {count // 10} pictures, {peaks[1]:.2f} GB for {count}")


def typed(folder: Path) -> None:
    """Time commands from the words typed to the answer, with warm files."""
    picture = folder / "one.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (425, 425, 3), np.uint8)).save(
        picture
    )
    load = (
        "import roiridge as rr, sys; "
        "encoder = rr.load_encoder(sys.argv[1], '01', sys.argv[2]); encoder.predict(sys.argv[3])"
    )
    fits, data = folder / "out" / "fits" / "full", folder / "data"
    place = ["--data", data, "--out", folder / "out", "--subject", "01"]
    for label, words in {
        "roiridge predict one.png": ["-m", "roiridge", "predict", picture, *place],
        "roiridge --help": ["-m", "roiridge", "--help"],
        "load_encoder and one picture": ["-c", load, fits, data, picture],
    }.items():
        command = [sys.executable, *map(str, words)]
        for _ in range(2):  # the first run warms the files
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
        print(f"{label}: {time.perf_counter() - start:.1f} s typed")


def explorer(folder: Path) -> None:
    """Time the explorer's answer to a picture after the first one, with the page that shows it."""
    words = ["--data", folder / "data", "--out", folder / "out", "--subject", "01"]
    command = [sys.executable, "-m", "predict", "explore", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        address = next(line.split()[-1] for line in lines if "http://" in line)
        rng = np.random.default_rng(0)
        for _ in range(3):  # the first one warms the network
            picture = Image.fromarray(rng.integers(0, 256, (425, 425, 3), np.uint8))
            content = io.BytesIO()
            picture.save(content, "PNG")
            start = time.perf_counter()
            n_bytes = len(upload(address, content.getvalue()))
            seconds = time.perf_counter() - start
        process.terminate()
    print(
        f"explorer: {seconds:.2f} s from the picture to its page of {n_bytes / 1e6:.1f} MB (bar 2)"
    )


def upload(address: str, content: bytes) -> bytes:
    """Send a picture to the explorer, and return the page that it leads to."""
    head = (
        '--part\r\nContent-Disposition: form-data; name="pictures"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    body = head.encode() + content + b"\r\n--part--\r\n"
    request = urllib.request.Request(
        address, body, {"Content-Type": "multipart/form-data; boundary=part"}
    )
    with urllib.request.urlopen(request) as answer:
        page: bytes = answer.read()
    return page


def novelty() -> None:
    """Correlate novelty with the true error over pictures like and unlike the training ones.

    The brain is the simulator's, so that the noise-free response to any picture is known: half of
    its photographs are trained on. Ridge is fitted on 300 noisy responses.
    """
    rng = np.random.default_rng(0)
    materials = find_photographs("builtin").materials
    source, other = (Source("half", materials[n::2]) for n in range(2))
    sets = {
        "training": draw_scenes(source, 330, rng),
        "same photographs": draw_scenes(source, 60, rng),
        "other photographs": draw_scenes(other, 60, rng),
    }
    plain = sets["same photographs"]
    sets["inverted contrast"] = [(ImageOps.invert(image), m) for image, m in plain]
    sets["textures"] = [(scramble(image, rng), 0 * m) for image, m in plain]
    noise = rng.integers(0, 256, (60, 128, 128, 3), np.uint8)
    sets["noise"] = [(Image.fromarray(n), 0 * plain[0][1]) for n in noise]
    kinds = np.repeat(list(sets), [len(pictures) for pictures in sets.values()])
    pictures = [picture for pictures in sets.values() for picture in pictures]
    features = describe([image for image, _ in pictures])
    signal = respond(pictures, rng)
    held = np.flatnonzero(kinds == "training")[300:]
    train, test = np.arange(300), kinds != "training"
    noisy = signal[train] + rng.standard_normal(signal[train].shape).astype(np.float32)
    model = Ridge().fit(features[train], noisy)
    error = ((model.predict(features) - signal) ** 2).mean(1)
    trained = Novelty.fit({SPACE: features[train]}, {SPACE: features[held]})
    distances = trained.distances({SPACE: features})
    print("novelty (median percentile), distance and true error (mean squared), by kind")
    for kind in list(sets)[1:]:
        part = kinds == kind
        percentile = np.median(trained.percentiles(distances[part]))
        print(f"  {kind:18}{percentile:6.0f}{np.median(distances[part]):8.2f}"
              f"{error[part].mean():8.2f}")  # fmt: skip
    rank = spearmanr(distances[test], error[test]).statistic
    ties = spearmanr(trained.percentiles(distances[test]), error[test]).statistic
    print(
        f"rank correlation with the true error: distance {rank:.2f}, novelty {ties:.2f} (bar 0.5)"
    )


def draw_scenes(source: Source, count: int, rng: np.random.Generator) -> list[Scene]:
    """Draw crops of photographs, with the meaning that the simulated brain sees in them."""
    # Objects of a photograph mean the same in all sets: they are drawn from its own seed.
    scenery = Scenery(source, np.random.default_rng(1))
    return [scenery.compose(rng, 128) for _ in range(count)]


def scramble(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Shuffle the phases of a picture: its spectrum stays, as a texture."""
    pixels = np.asarray(image, np.float64)
    phases = np.angle(np.fft.fft2(rng.standard_normal(pixels.shape[:2])))[..., None]
    spectrum = np.fft.fft2(pixels, axes=(0, 1))
    mean = spectrum[:1, :1].copy()
    spectrum = spectrum * np.exp(1j * phases)
    spectrum[:1, :1] = mean
    values = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def describe(images: list[Image.Image]) -> np.ndarray:
    """Compute AlexNet's features."""
    import torch

    from extract.run import compute
    from extract.run import prepare as prepare_space
    from extract.spaces import resolve
    from networks.weights import Request

    space = prepare_space(resolve(SPACE), Request(SPACE, None), torch.device("cpu"))
    inputs = torch.stack([space.backbone.preprocess(image) for image in images])
    return compute([space], inputs)[0]


def respond(pictures: list[Scene], rng: np.random.Generator) -> np.ndarray:
    """Compute the noise-free responses (n_images, n_vertices) of a simulated hemisphere."""
    described = [describe_picture(image) for image, _ in pictures]
    energy = np.stack([e.ravel() for e, _ in described])
    statistics, meaning = np.stack([s for _, s in described]), np.stack([m for _, m in pictures])
    stimuli = Stimuli(energy, hidden_layer(meaning, statistics, rng))
    cortex = draw_cortex("lh", draw_patches((500, 500), rng)["lh"], rng)
    tuning = draw_tuning(cortex, shared_readouts(rng), rng)
    return signals(stimuli, tuning, slice(0, 500))


if __name__ == "__main__":
    main()
