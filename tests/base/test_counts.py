"""Numbers of repetitions are bounded by the machine, and the largest that fits is named."""

import os

import pytest

from base import RoiridgeError, check_count, machine_memory


def test_a5_a_count_beyond_the_largest_is_refused_with_it() -> None:
    check_count("--resamples", 48_000, 48_000)
    with pytest.raises(RoiridgeError, match=r"--resamples 48001: expected at most 48000; this mac"):
        check_count("--resamples", 48_001, 48_000, "this machine has 24 GB of memory")


def test_a5_the_memory_is_not_more_than_the_machine_has() -> None:
    assert 0 < machine_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
