"""`python -m tests.lint_names FILE …`: refuse pronouns and participles as names, for `make lint`.

A name is a noun, or verb + noun: what a value is, not how it was come by. Functions, classes,
attributes, parameters and local variables are checked.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PRONOUNS = """
    beside both each else here how it its like more most of one other others own some such that
    their them there these they this those what when where which who whom whose why
"""
PARTICIPLES = """
    asked asking begun brought called chosen done drawn felt found given gone heard kept known
    lacking listed looked made meant missed named said seen sent shown spelled stood taken told
    tried understood used wanted written
"""
REFUSED = frozenset(PRONOUNS.split()) | frozenset(PARTICIPLES.split())


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every name that a module binds, with its line.

    Parameters
    ----------
    tree : ast.AST
        The module.

    Yields
    ------
    tuple of (str, int)
        A name and a line; attributes of other objects are left out.
    """
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, line
        elif isinstance(node, ast.arg):
            yield node.arg, line
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, line
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, line
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, line
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, line


def refused_names(path: Path) -> list[str]:
    """List the refused names of a file.

    Parameters
    ----------
    path : Path
        A Python file.

    Returns
    -------
    list of str
        "file:line: name", in the order of the lines.
    """
    names = sorted(set(bound_names(ast.parse(path.read_text()))), key=lambda pair: pair[1])
    return [f"{path}:{line}: {name}" for name, line in names if name.strip("_").lower() in REFUSED]


def main() -> int:
    """Print the refused names of the files that the command line names.

    Returns
    -------
    int
        1 where there are any.
    """
    findings = [line for name in sys.argv[1:] for line in refused_names(Path(name))]
    for line in findings:
        print(f"{line}: is a pronoun or participle; name what the value is (docs/glossary.md)")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
