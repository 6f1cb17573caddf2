"""What cutting at 100 does to the score of a perfect model, and of none.

`python -m benchmarks.clipping` simulates vertices whose noise ceiling is known exactly. The perfect
model predicts each one's noise-free signal, so that in the long run it explains 100 % of what there
is to explain; the other predicts noise, 0 %. Printed are the means over vertices of the official
score and of the unclipped one, for the challenge's three numbers of test pictures.
"""

import numpy as np

from evaluate.metrics import noise_normalised, unclipped
from evaluate.metrics._inputs import Pair

PICTURES = (159, 293, 395)
CEILINGS = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
VERTICES = 20_000


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    print(f"SIMULATED, {VERTICES} vertices a row; score in percent, official / unclipped\n")
    heads = "".join(f"{f'{n} pictures':>18}" for n in PICTURES)
    print(f"{'model':<9}{'ceiling':>7}{heads}")
    for model in ("perfect", "noise"):
        for ceiling in CEILINGS:
            cells = "".join(f"{_score(model, n, ceiling, rng):>18}" for n in PICTURES)
            print(f"{model:<9}{ceiling:>7.2f}{cells}")


def _score(model: str, n_images: int, ceiling: float, rng: np.random.Generator) -> str:
    signal, noise, other = (rng.standard_normal((n_images, VERTICES)) for _ in range(3))
    measured = np.sqrt(ceiling) * signal + np.sqrt(1 - ceiling) * noise
    predicted = signal if model == "perfect" else other
    limits = np.full(VERTICES, ceiling)
    official, free = (
        metric.compute(Pair(measured, predicted, limits)).mean()
        for metric in (noise_normalised, unclipped)
    )
    return f"{official:.1f} / {free:.1f}"


if __name__ == "__main__":
    main()
