"""Where the checkout is, and its packages."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("base", "cache", "challenge", "execute", "networks", "extract", "regress", "evaluate",
            "plan", "predict", "roiridge")  # fmt: skip
