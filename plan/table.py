"""Tables of a plan: amounts in readable units, in aligned columns."""

from collections.abc import Sequence

from execute.forecast.cost import Cost

# The first cells of a row, and its cost; None for work that an earlier row includes.
Row = tuple[Sequence[object], Cost | None]


def format_bytes(number: float) -> str:
    """Return a number of bytes as text, such as "1.4 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.{int(number < 10 * size)}f} {unit}"
    return "0" if number == 0 else "under 1 MB"


def format_time(seconds: float) -> str:
    """Return a time as text, such as "2.5 min"."""
    if seconds == 0:
        return "0"
    units = (("s", 1), ("min", 60), ("h", 3600), ("days", 86400))
    unit, size = next((unit for unit in units if seconds / unit[1] < 99.5), units[-1])
    return f"{seconds / size:.{int(seconds < 9.95 * size)}f} {unit}"


def format_costs(
    header: Sequence[str], rows: Sequence[Row], total: Cost | None = None
) -> list[str]:
    """Return the lines of a table of costs, the first column aligned left, the others right."""
    table = [[*header, "time", "memory", "GPU memory", "disk"]]
    table += [[*map(str, cells), *_figures(cost)] for cells, cost in rows]
    if total is not None:
        blanks = [""] * (len(header) - 1)
        table.append(["in all, with the start", *blanks, *_figures(total)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *numbers in table:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _figures(cost: Cost | None) -> list[str]:
    if cost is None:
        return ["with it", "", "", ""]
    gpu = format_bytes(cost.gpu_memory) if cost.gpu_memory else "-"
    return [format_time(cost.seconds), format_bytes(cost.memory), gpu, format_bytes(cost.disk)]
