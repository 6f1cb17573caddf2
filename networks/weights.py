"""Where weights come from: a file the user names, the hub, a package that carries them.

In that order, and never in silence: what was taken is printed and kept. Random weights only when
asked for by name, and then "untrained" is in the key, the listing and every report.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from networks.checkpoints import load_checkpoint
from networks.errors import NetworkError
from networks.hub import HubFile, HubUnreachable, fetch

Tensors = Mapping[str, Tensor]
# How many batches were trained on: it changes no feature.
COUNTER = "num_batches_tracked"
Package = Callable[[], tuple[Tensors, str] | None]


@dataclass(frozen=True)
class Request:
    """Which weights are wanted, and all places where they may be.

    Attributes
    ----------
    name : str
        What the user calls the network: the feature space's name.
    given : str or None
        What the user gave: a file, or "random:SEED".
    option : str
        What stands before it on the command line, for errors; "NAME" is put in for the name.
    variable : str
        The same for make.
    """

    name: str
    given: str | None
    option: str = "--weights NAME="
    variable: str = 'WEIGHTS="NAME=FILE"'

    def _asked(self, value: str | None) -> str:
        return f"{self.option.replace('NAME', self.name)}{value}"

    @property
    def seed(self) -> int | None:
        """The seed of random weights, or None where trained ones are wanted."""
        if self.given is None or not self.given.startswith("random:"):
            return None
        text = self.given.removeprefix("random:")
        if not re.fullmatch("[0-9]{1,18}", text):
            raise NetworkError(
                f"{self._asked(self.given)}: expected random:SEED with a whole number of "
                "at most 18 digits"
            )
        return int(text)

    @property
    def seed_origin(self) -> str:
        """What stands for the origin where the weights are random."""
        return f"random, seed {self.seed}"

    def find(self, model: str, hub: HubFile | None, packages: Sequence[Package]) -> "Found":
        """Look in each place, in order.

        Parameters
        ----------
        model : str
            The network's full name, for the error.
        hub : HubFile or None
            Its weights on a hub.
        packages : sequence of callable
            Each gives tensors and a description, or None where the package is not installed.

        Returns
        -------
        Found
            A file still to be read, or tensors.

        Raises
        ------
        NetworkError
            If they are nowhere; the message says what was tried and how to fetch them.
        """
        if self.given is not None:
            path = Path(self.given).expanduser()
            if not path.is_file():
                raise NetworkError(
                    f"{self._asked(self.given)}: there is no such file; expected a "
                    ".safetensors or PyTorch weights file, or random:SEED for untrained weights"
                )
            return Found(f"file {path.name}", path=path)
        tried = []
        if hub is not None:
            try:
                return Found(f"hub {hub}", path=fetch(hub))
            except HubUnreachable as error:
                tried.append(str(error))
        for package in packages:
            found = package()
            if found is not None:
                return Found(found[1], tensors=found[0])
        tried.append("no installed package carries them")
        raise NetworkError(
            f"no weights for {model}: tried {'; '.join(tried)}. On a machine with internet fetch "
            f"{hub.where if hub else 'them'} and copy the file here; then pass "
            f"{self._asked('FILE')} (make: {self.variable.replace('NAME', self.name)})"
        )


@dataclass(frozen=True)
class Found:
    """Weights that were found.

    Attributes
    ----------
    origin : str
        Where, in words.
    path : Path, optional
        The file that holds them.
    tensors : mapping of str to Tensor, optional
        The weights themselves, where they are not in a file of torch's.
    """

    origin: str
    path: Path | None = None
    tensors: Tensors | None = None

    def load(self) -> dict[str, Tensor]:
        """Read the tensors; nothing in the file is ever run.

        Returns
        -------
        dict of str to Tensor
            The network's state.

        Raises
        ------
        NetworkError
            If the file is damaged, or is a pickle of more than tensors.
        """
        if self.tensors is not None:
            return dict(self.tensors)
        assert self.path is not None
        return load_checkpoint(self.path)


@contextmanager
def drawing(seed: int | None) -> Iterator[None]:
    """Draw a network's initial weights from a seed, and leave torch's own generator as it was.

    Parameters
    ----------
    seed : int or None
        The seed; None where the initial weights do not matter.

    Yields
    ------
    None
        Build the network inside the block.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        yield


def load_into(module: nn.Module, state: Tensors, what: str, unused: Sequence[str] = ()) -> None:
    """Load weights, all of them and nothing but them.

    Names are compared after the network's own modules have renamed the tensors of older files.

    Parameters
    ----------
    module : nn.Module
        The network, changed.
    state : mapping of str to Tensor
        The weights.
    what : str
        Where they came from, for the error.
    unused : sequence of str
        Paths of modules that no feature passes; the weights may lack them, or have others there.

    Raises
    ------
    NetworkError
        If a tensor is missing, left over or of another shape.
    """
    own = module.state_dict()
    needed = OrderedDict(
        (name, values)
        for name, values in state.items()
        if not _is_inside(name, unused) or (name in own and own[name].shape == values.shape)
    )
    # Files that lost the versions of their modules: the network itself is taken as it is today.
    metadata = {"": {"version": module._version}}
    needed._metadata = getattr(state, "_metadata", metadata)  # type: ignore[attr-defined]
    shapes = [
        f"{name} is {tuple(needed[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in needed and needed[name].shape != own[name].shape
    ]
    missing, extra = sorted(set(own) - set(needed)), sorted(set(needed) - set(own))
    if not shapes:
        try:
            missing, extra = map(sorted, module.load_state_dict(needed, strict=False))
        except (RuntimeError, ValueError) as error:  # renamed, and then of another shape
            shapes = [" ".join(str(error).split())[:300]]
    # Older files lack the counters of batch normalisation.
    missing = [n for n in missing if not n.endswith(COUNTER) and not _is_inside(n, unused)]
    faults = [
        f"{kind} {', '.join(names[:3])}{'…' if len(names) > 3 else ''}"
        for kind, names in (("missing", missing), ("left over", extra), ("wrong shape", shapes))
        if names
    ]
    if faults:
        raise NetworkError(
            f"the weights from {what} are of another network than {type(module).__name__}: "
            + "; ".join(faults)
        )


def _is_inside(name: str, paths: Sequence[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for path in paths)


def weights_key(
    module: nn.Module, seed: int | None, library: str, unused: Sequence[str] = ()
) -> dict[str, object]:
    """Digest the weights that a network really has, or the recipe by which random ones are drawn.

    What is drawn differs in its last bits between processors, so that of random weights only names
    and shapes are digested.

    Parameters
    ----------
    module : nn.Module
        The network.
    seed : int or None
        The seed, if they are random.
    library : str
        The package that builds the network and draws its weights.
    unused : sequence of str
        Paths of modules that no feature passes.

    Returns
    -------
    dict
        `digest`; where they are random also `untrained`, with the seed, and `drawn_with`, the
        versions of the packages that drew them.
    """
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if name.endswith(COUNTER) or _is_inside(name, unused):
            continue
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if seed is not None or tensor.is_meta:
            continue  # a network on the meta device is built for its shapes alone
        values = tensor.detach().cpu().contiguous()
        total.update(values.reshape(-1).view(torch.uint8).numpy())
    key: dict[str, object] = {"digest": total.hexdigest()[:32]}
    if seed is not None:
        key["untrained"] = f"random:{seed}"
        # Builds of one version for other devices ("+cpu", "+cu130") draw the same.
        key["drawn_with"] = {p: version(p).partition("+")[0] for p in ("torch", library)}
    return key
