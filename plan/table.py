"""Tables of a plan: amounts in readable units, in aligned columns."""

from collections.abc import Sequence


def format_bytes(number: float) -> str:
    """Return a number of bytes as text, such as "1.4 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            value = number / size
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return "0" if number == 0 else "under 1 MB"


def format_time(seconds: float) -> str:
    """Return a time as text, such as "2.5 min"."""
    if seconds == 0:
        return "0"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    units = (("min", 60), ("h", 3600), ("days", 86400))
    unit, size = next((unit for unit in units[:2] if seconds / unit[1] < 99.5), units[2])
    value = seconds / size
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, the first column aligned left, the others right."""
    all_rows = [header, *rows]
    widths = [max(len(row[n]) for row in all_rows) for n in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in all_rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
