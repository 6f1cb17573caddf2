"""Sources of weights: a file that the user names, a hub, or a pip package, in that order.

The source is always printed and recorded. Random weights are used only on request, and are marked
as untrained in the key, the listing and every report.
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
# The number of batches of the training, which changes no feature.
BATCH_COUNTER = "num_batches_tracked"
Package = Callable[[], tuple[Tensors, str] | None]


@dataclass(frozen=True)
class Request:
    """The user's choice of weights for a network.

    Attributes
    ----------
    name : str
        The name of the feature space, or of another use of the network.
    value : str or None
        The choice: a file, "random:SEED", or None for published weights.
    option : str
        The option on the command line, for errors; "NAME" stands for the name.
    variable : str
        The same option for make.

    Examples
    --------
    >>> Request("clip", "random:0").seed_origin
    'random, seed 0'
    """

    name: str
    value: str | None
    option: str = "--weights NAME="
    variable: str = 'WEIGHTS="NAME=FILE"'

    def _option_text(self, value: str | None) -> str:
        return f"{self.option.replace('NAME', self.name)}{value}"

    @property
    def seed(self) -> int | None:
        """The seed of random weights, or None for trained ones."""
        if self.value is None or not self.value.startswith("random:"):
            return None
        text = self.value.removeprefix("random:")
        if not re.fullmatch("[0-9]{1,18}", text):
            raise NetworkError(
                f"{self._option_text(self.value)}: expected random:SEED with a whole number of "
                "at most 18 digits"
            )
        return int(text)

    @property
    def seed_origin(self) -> str:
        """The description of random weights as an origin."""
        return f"random, seed {self.seed}"

    def find(self, model: str, hub: HubFile | None, packages: Sequence[Package]) -> "WeightsSource":
        """Find the weights in the first source that has them.

        Parameters
        ----------
        model : str
            The network's full name, for the error.
        hub : HubFile or None
            Its weights on a hub.
        packages : sequence of callable
            Each returns tensors and a description, or None if the package is not installed.

        Returns
        -------
        WeightsSource
            A file to read, or tensors.

        Raises
        ------
        NetworkError
            If no source has them; the message lists the sources and how to fetch the weights.
        """
        if self.value is not None:
            path = Path(self.value).expanduser()
            if not path.is_file():
                raise NetworkError(
                    f"{self._option_text(self.value)}: there is no such file; expected a "
                    ".safetensors or PyTorch weights file, or random:SEED for untrained weights"
                )
            return WeightsSource(f"file {path.name}", path=path)
        attempts = []
        if hub is not None:
            try:
                return WeightsSource(f"hub {hub}", path=fetch(hub))
            except HubUnreachable as error:
                attempts.append(str(error))
        for package in packages:
            content = package()
            if content is not None:
                return WeightsSource(content[1], tensors=content[0])
        attempts.append("no installed package carries them")
        raise NetworkError(
            f"no weights for {model}: tried {'; '.join(attempts)}. On a machine with internet "
            f"fetch {hub.address if hub else 'them'} and copy the file here; then pass "
            f"{self._option_text('FILE')} (make: {self.variable.replace('NAME', self.name)})"
        )


@dataclass(frozen=True)
class WeightsSource:
    """A source of weights: a file, or the tensors themselves."""

    origin: str  # a description of the source
    path: Path | None = None
    tensors: Tensors | None = None

    def load(self) -> dict[str, Tensor]:
        """Read the tensors, without running code in the file."""
        if self.tensors is not None:
            return dict(self.tensors)
        assert self.path is not None
        return load_checkpoint(self.path)


@contextmanager
def drawing(seed: int | None) -> Iterator[None]:
    """Seed the initial weights of a network that is built inside the block; None means any seed.

    Afterwards, torch's random state is restored.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        yield


def load_into(module: nn.Module, state: Tensors, origin: str, unused: Sequence[str] = ()) -> None:
    """Load weights, and check that none is missing or left over, or of another shape.

    Names are compared after the network's own modules have renamed the tensors of older files.
    `origin` is the source of the weights, for the error; `unused` are paths of modules that no
    feature depends on, whose weights may be missing or different.
    """
    module_state = module.state_dict()
    relevant = OrderedDict(
        (name, values)
        for name, values in state.items()
        if not _is_inside(name, unused)
        or (name in module_state and module_state[name].shape == values.shape)
    )
    # Files without versions of modules are taken for files of the present version.
    metadata = {"": {"version": module._version}}
    relevant._metadata = getattr(state, "_metadata", metadata)  # type: ignore[attr-defined]
    shapes = [
        f"{name} is {tuple(relevant[name].shape)}, expected {tuple(module_state[name].shape)}"
        for name in module_state
        if name in relevant and relevant[name].shape != module_state[name].shape
    ]
    missing = sorted(set(module_state) - set(relevant))
    extra = sorted(set(relevant) - set(module_state))
    if not shapes:
        try:
            missing, extra = map(sorted, module.load_state_dict(relevant, strict=False))
        except (RuntimeError, ValueError) as error:  # renamed, and then of another shape
            shapes = [" ".join(str(error).split())[:300]]
    # Older files lack the counters of batch normalisation.
    missing = [n for n in missing if not n.endswith(BATCH_COUNTER) and not _is_inside(n, unused)]
    faults = [
        f"{kind} {', '.join(names[:3])}{'…' if len(names) > 3 else ''}"
        for kind, names in (("missing", missing), ("left over", extra), ("wrong shape", shapes))
        if names
    ]
    if faults:
        raise NetworkError(
            f"the weights from {origin} are of another network than {type(module).__name__}: "
            + "; ".join(faults)
        )


def _is_inside(name: str, paths: Sequence[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for path in paths)


def weights_key(
    module: nn.Module, seed: int | None, library: str, unused: Sequence[str] = ()
) -> dict[str, object]:
    """Return the key of a network's weights: a digest of their values, or the seed of random ones.

    Random weights differ in their last bits between processors, so that only their names and shapes
    are digested; their key also has `untrained`, with the seed, and `drawn_with`, the versions of
    torch and of the library that drew them. No feature depends on the modules in `unused`.
    """
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if name.endswith(BATCH_COUNTER) or _is_inside(name, unused):
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
