"""Reader of the tensors of a TorchScript archive, such as OpenAI's CLIP files, without its code.

An archive is a zip file: `data.pkl` pickles the modules, `data/N` holds the bytes of storage N,
and `code/` the programs, from which only the names of parameters and buffers are read.
"""

import ast
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

STORAGES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
# The functions by which TorchScript pickles lists of one type.
LISTS = {f"build_{kind}list" for kind in ("int", "bool", "double", "tensor")}
_CLASS = re.compile(r"^class (\w+)\(Module\):\n((?:  __\w+__ = .*\n)+)", re.MULTILINE)
_NAMES = re.compile(r"__(?:parameters|buffers)__ = (\[.*\])")


def is_archive(path: Path) -> bool:
    """Return whether a file is a TorchScript archive; zip files of `torch.save` are not."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def load_archive(path: Path) -> dict[str, Tensor]:
    """Read the parameters and buffers of a TorchScript archive."""
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.endswith("/data.pkl"))[: -len("data.pkl")]
        with archive.open(f"{root}data.pkl") as file:
            module = _Unpickler(
                file, lambda key: _read_storage(archive, f"{root}data/{key}")
            ).load()
        return dict(_tensors(module, _tensor_names(archive, f"{root}code/"), ""))


class _Module:
    """The attributes of a module in an archive, without its methods."""

    __slots__ = ("__dict__",)
    kind = ""


class _Unpickler(pickle.Unpickler):  # noqa: S301 - it admits no code
    def __init__(self, file: IO[bytes], read_storage: Callable[[str], bytearray]) -> None:
        super().__init__(file)
        self._read_bytes = read_storage
        self._bytes: dict[str, bytearray] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return type("Module", (_Module,), {"kind": f"{module}.{name}"})
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda values, offset, shape, stride, *_: torch.as_strided(
                values, shape, stride, offset
            )
        if module == "torch.jit._pickle" and name in LISTS:
            return lambda values: list(values)
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, _: value
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, _ = pid
        if key not in self._bytes:
            self._bytes[key] = self._read_bytes(key)
        values = self._bytes[key]
        return torch.frombuffer(values, dtype=dtype) if values else torch.empty(0, dtype=dtype)


def _read_storage(archive: zipfile.ZipFile, name: str) -> bytearray:
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise pickle.UnpicklingError(f"{name} is compressed, as torch never does")
    return bytearray(archive.read(name))


def _tensor_names(archive: zipfile.ZipFile, code: str) -> dict[str, set[str]]:
    """Return the names of the parameters and buffers of each class."""
    tensor_names = {}
    for file in archive.namelist():
        if not (file.startswith(f"{code}__torch__") and file.endswith(".py")):
            continue
        package = file.removeprefix(code).removesuffix(".py").replace("/", ".")
        for name, head in _CLASS.findall(archive.read(file).decode()):
            lists = [ast.literal_eval(text) for text in _NAMES.findall(head)]
            tensor_names[f"{package}.{name}"] = {
                attribute for names in lists for attribute in names
            }
    return tensor_names


def _tensors(
    module: _Module, tensor_names: dict[str, set[str]], prefix: str
) -> Iterator[tuple[str, Tensor]]:
    attributes = vars(module)
    attribute_names = tensor_names.get(module.kind, set(attributes))
    for name, value in attributes.items():
        if isinstance(value, _Module):
            yield from _tensors(value, tensor_names, f"{prefix}{name}.")
        elif isinstance(value, Tensor) and name in attribute_names:
            yield prefix + name, value
