"""Feature spaces as text: a table of all, and everything about one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cache.feature_store import Entry
from cache.key import flatten, format_value

# Fields of the meta that have lines of their own in `describe`.
DESCRIBED_FIELDS = {
    "bands",
    "bytes",
    "column_names",
    "columns",
    "dtype",
    "key",
    "name",
    "origin",
    "provenance",
    "rows",
}


def format_table(entries: Sequence[Entry]) -> list[str]:
    """Return a table of feature spaces: a header, then a line for each space."""
    table = [("space", "rows", "columns", "MB", "digest", "origin of the weights")]
    for e in entries:
        size = f"{e.meta['bytes'] / 1e6:.1f}"
        origin = ("UNTRAINED: " if e.untrained else "") + str(e.meta.get("origin", "unknown"))
        table.append((e.name, str(e.meta["rows"]), str(e.meta["columns"]), size, e.digest, origin))
    width, *widths = (max(map(len, column)) for column in zip(*table, strict=True))
    lines = []
    for name, *numbers, digest, origin in table:
        cells = [number.rjust(size) for number, size in zip(numbers, widths, strict=False)]
        lines.append("  ".join([name.ljust(width), *cells, digest.ljust(widths[3]), origin]))
    return lines


def describe(entry: Entry) -> list[str]:
    """Return a line for each fact about a feature space: sizes, origin, key and provenance."""
    facts = list(_facts(entry))
    width = max(len(name) for name, _ in facts)
    return [f"{name.ljust(width)}  {value}" for name, value in facts]


def _facts(entry: Entry) -> Iterator[tuple[str, str]]:
    meta, key = entry.meta, entry.meta["key"]
    yield "space", entry.name
    yield "file", str(entry.path)
    yield "rows", f"{meta['rows']}, one for each picture"
    yield "columns", f"{meta['columns']}{_format_names(meta.get('column_names', []))}"
    for layer in key.get("layers", []):
        yield "layer", _format_layer(layer)
    for band in meta.get("bands") or []:
        yield "band", f"{band['name']}, {band['columns']} columns"
    yield "dtype", meta["dtype"]
    yield "size", f"{meta['bytes'] / 1e6:.1f} MB, {meta['bytes']} bytes"
    yield "origin", str(meta.get("origin", "unknown"))
    if entry.untrained:
        yield "UNTRAINED", f"random weights ({key['weights']['untrained']})"
    yield "digest", entry.digest
    for path, value in flatten({n: v for n, v in key.items() if n != "layers"}, "key"):
        yield path, format_value(value, whole=True)
    for path, value in flatten({n: v for n, v in meta.items() if n not in DESCRIBED_FIELDS}):
        if path:
            yield path, format_value(value, whole=True)
    yield from _provenance(meta.get("provenance", {}))


def _format_layer(layer: object) -> str:
    if not isinstance(layer, Mapping):
        return format_value(layer, whole=True)
    fields = [f"{n} {_format_field(v)}" for n, v in layer.items() if n != "layer" and v is not None]
    return ", ".join([str(layer.get("layer")), *fields])


def _format_field(value: object) -> str:
    if not isinstance(value, Mapping):
        return format_value(value)
    return "(" + ", ".join(f"{name} {format_value(inner)}" for name, inner in value.items()) + ")"


def _format_names(names: Sequence[str]) -> str:
    if not names:
        return ""
    return ": " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _provenance(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield name, ", ".join(f"{package} {version}" for package, version in value.items())
        else:
            yield name, format_value(value, whole=True)
