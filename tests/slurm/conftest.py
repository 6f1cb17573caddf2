"""A cluster for the tests that need one; each process of pytest-xdist that does has its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.cluster import Cluster, running, why_not


@pytest.fixture(scope="session")
def cluster_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start it once, at the first test that asks."""
    if reason := why_not():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture
def cluster(cluster_of_session: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Give the cluster, and let Slurm's commands find it; a test leaves no job behind."""
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, cluster_of_session.environment[name])
    yield cluster_of_session
    if cluster_of_session.queue():
        cluster_of_session.run("scancel", "--me", check=False)
        cluster_of_session.wait(seconds=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that the jobs see too."""
    return tmp_path
