"""`python -m cache`: what is kept, whether it is whole, and how it comes and goes."""

import json as json_text
import sys
from pathlib import Path

from base import convert_paths, plural, progress, run_hint
from base.command_line.parser import Command, run
from cache.commands import prune as pruning
from cache.commands.arguments import as_flags, compared, find_files, open_store
from cache.commands.explain import explain as explain_key
from cache.commands.show import describe, listing
from cache.commands.verify import KINDS, Verdict, artifacts, verify_artifact, verify_space
from cache.exchange.export_rows import export_rows
from cache.exchange.import_rows import check_name, import_rows
from cache.exchange.open_source import open_source
from cache.exchange.pack import pack as pack_entries
from cache.exchange.pack import unpack as unpack_file
from cache.feature_store import FeatureStore
from cache.picture_digests import digest_pictures, resolve_names

OUT = Path("derivatives")


@convert_paths
def ls(out: Path = OUT) -> None:
    """List the feature spaces with rows, columns, size and origin.

    Parameters
    ----------
    out : Path
        The folder of everything that is made.
    """
    entries = open_store(out).readable()
    if not entries:
        print(f"no feature spaces in {out / 'features'}: run `{run_hint('features')}`")
        return
    print("\n".join(listing(entries)))


@convert_paths
def show(space: str, out: Path = OUT, json: bool = False) -> None:
    """Say everything about one feature space.

    Parameters
    ----------
    space : str
        Its name, or the name of its file where several have that name.
    out : Path
        The folder of everything that is made.
    json : bool
        As JSON, which `explain` reads on another machine.
    """
    entry = open_store(out).find(space)
    if json:
        print(json_text.dumps(entry.meta, indent=1, sort_keys=True))
    else:
        print("\n".join(describe(entry)))


@convert_paths
def verify(spaces: list[str] = [], out: Path = OUT, data: Path | None = None) -> int:  # noqa: B006
    """Read every byte of feature spaces, and without names of all that is kept.

    Parameters
    ----------
    spaces : list of str
        Which feature spaces, right after the verb; with none, all, and fits, moments, ablations
        and searches too.
    out : Path
        The folder of everything that is made.
    data : Path or None
        A folder of pictures, of which each must have a row: a dataset, or one subject.

    Returns
    -------
    int
        0 where all is well, 1 with any fault.
    """
    store = open_store(out)
    files = find_files(store, spaces)
    pictures = None if data is None else digest_pictures(data)
    bad = 0
    for file in files:
        verdict = verify_space(file, pictures)
        print(_in_a_line(verdict), flush=True)
        bad += bool(verdict.faults)
    if not spaces:
        bad += _verify_artifacts(out)
    return int(bad > 0)


def _verify_artifacts(out: Path) -> int:
    files = artifacts(out)
    read = map(verify_artifact, progress(files, desc="verify", unit="file"))
    faults = [fault for fault in read if fault]
    for fault in faults:
        print(f"BAD  {fault}")
    print(f"{len(files) - len(faults)} of {len(files)} other files whole ({', '.join(KINDS)})")
    return len(faults)


def _in_a_line(verdict: Verdict) -> str:
    if verdict.faults:
        return f"BAD  {verdict.path}: {'; '.join(verdict.faults)}"
    line = f"ok   {verdict.path.stem}: {verdict.rows} rows x {verdict.columns} columns"
    if verdict.foreign is None:
        return line
    known = verdict.rows - verdict.foreign
    return f"{line}; {known} of {known} pictures have a row, {verdict.foreign} rows are of others"


@convert_paths
def explain(spaces: list[str] = [], out: Path = OUT) -> None:  # noqa: B006
    """Say which fields of a key differ from those of other feature spaces.

    Parameters
    ----------
    spaces : list of str
        Names of spaces, each compared with the others of its name, or else with the nearest; or
        files with a key: .h5 of another folder, or .json that `show --json` printed.
    out : Path
        The folder of everything that is made.
    """
    store = open_store(out)
    for word in spaces or sorted({entry.name for entry in store.readable()}):
        title, key, name, others = compared(store, word)
        print(f"{title} (here) beside what is kept (there):")
        for line in explain_key(key, others, name):
            print(line)


@convert_paths
def prune(out: Path = OUT, delete: bool = False) -> None:
    """List what no fit uses and what killed processes left; with --delete, remove it.

    Parameters
    ----------
    out : Path
        The folder of everything that is made.
    delete : bool
        Remove what is listed.
    """
    open_store(out)
    plan = pruning.plan(out)
    for line in pruning.in_lines(plan, out):
        print(line)
    total = (
        f"{len(plan.removals)} files and folders, {sum(r.size for r in plan.removals) / 1e6:.1f} MB"
    )
    if delete:
        print(f"{total}: removed {pruning.carry_out(plan) / 1e6:.1f} MB")
    else:
        command = run_hint("cache prune", out=out, delete="true")
        print(f"{total}; nothing was removed: `{command}` does")


@convert_paths
def import_file(
    name: str, file: Path, out: Path = OUT, data: Path | None = None, replace: bool = False
) -> None:
    """Bring numbers computed elsewhere, a row for each picture, as a feature space of its own.

    Parameters
    ----------
    name : str
        What the space will be called: a letter, then letters, digits, _ . or -.
    file : Path
        CSV or Parquet with a column "picture", npz with the arrays `pictures` and `features`, or
        npy with the names of its pictures a line each in a .txt file beside it.
    out : Path
        The folder of everything that is made.
    data : Path or None
        The folder with the pictures, where they are not named by the sha256 of their files.
    replace : bool
        Put these numbers in the place of others that were imported under that name.
    """
    check_name(name)
    source = open_source(file)
    store = FeatureStore(out / "features")
    digests = resolve_names(source.names, data, file)
    path, added = import_rows(store, name, source, digests, replace)
    print(f"{name}: {added} rows of {source.shape[1]} columns imported -> {path}")


@convert_paths
def export(space: str, file: Path, out: Path = OUT, data: Path | None = None) -> None:
    """Write a feature space to a file that other programs read, a row for each picture, by name.

    Parameters
    ----------
    space : str
        Its name, or the name of its file where several have that name.
    file : Path
        What to make: .npy (with names in a .txt beside it), .npz, .csv or .parquet.
    out : Path
        The folder of everything that is made.
    data : Path or None
        A folder of pictures, to name rows by their paths in it rather than by sha256.
    """
    entry = open_store(out).find(space)
    known = {} if data is None else digest_pictures(data)
    names = {digest: path.relative_to(data or path) for digest, path in known.items()}
    made = export_rows(entry, file, names)
    order = "names" if data else "sha256 (--data names them)"
    files = " and ".join(map(str, made))
    print(
        f"{entry.path.stem}: {entry.meta['rows']} rows, sorted by the pictures' {order} -> {files}"
    )


@convert_paths
def pack(file: Path, spaces: list[str] = [], out: Path = OUT) -> None:  # noqa: B006
    """Put feature spaces in one file with checksums, to share them.

    Parameters
    ----------
    file : Path
        What to make; it stands last: `pack SPACE ... FILE`.
    spaces : list of str
        Their names.
    out : Path
        The folder of everything that is made.
    """
    store = open_store(out)
    manifest = pack_entries([store.find(name) for name in spaces], file)
    for space in manifest["spaces"]:
        print(f"{space['file']}: {space['rows']} rows, sha256 {space['sha256'][:16]}…")
    print(
        f"{plural(len(manifest['spaces']), 'space')}, {file.stat().st_size / 1e6:.1f} MB -> {file}"
    )


@convert_paths
def unpack(file: Path, out: Path = OUT) -> None:
    """Verify a file that `pack` made, and put its feature spaces among those that are kept.

    Parameters
    ----------
    file : Path
        The file.
    out : Path
        The folder of everything that is made.
    """
    for path, new in unpack_file(file, FeatureStore(out / "features")).items():
        print(f"{path.stem}: {'unpacked' if new else 'there already'} -> {path}")


VERBS: dict[str, Command] = {
    "ls": ls,
    "show": show,
    "verify": verify,
    "explain": explain,
    "prune": prune,
    "import": import_file,
    "export": export,
    "pack": pack,
    "unpack": unpack,
}
EXAMPLES = [
    "python -m cache ls --out derivatives",
    "python -m cache show clip",
    "python -m cache verify clip alexnet --data data",
    "python -m cache explain clip",
    "python -m cache prune --delete",
    "python -m cache import ratings ratings.csv --data data",
    "python -m cache export clip clip.npz",
    "python -m cache pack clip alexnet features.zip",
    "python -m cache unpack features.zip --out derivatives",
]

if __name__ == "__main__":
    sys.exit(run(VERBS, "cache", EXAMPLES, as_flags(sys.argv[1:])))
