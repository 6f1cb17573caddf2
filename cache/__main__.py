"""`python -m cache`: list, verify, prune, import and export the stored feature spaces."""

import json as json_text
import sys
from pathlib import Path

from base import convert_paths, plural, progress, run_hint
from base.command_line.parser import Command, run
from cache.commands import prune as pruning
from cache.commands.arguments import as_flags, find_files, open_store, select_comparison
from cache.commands.explain import explain as explain_key
from cache.commands.show import describe, format_table
from cache.commands.verify import KINDS, Verdict, artifacts, verify_artifact, verify_space
from cache.exchange.export_rows import export_rows
from cache.exchange.import_rows import check_name, import_rows, open_source
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
        The output folder.
    """
    entries = open_store(out).readable_entries()
    if not entries:
        print(f"no feature spaces in {out / 'features'}: run `{run_hint('features')}`")
        return
    print("\n".join(format_table(entries)))


@convert_paths
def show(space: str, out: Path = OUT, json: bool = False) -> None:
    """Show everything about one feature space.

    Parameters
    ----------
    space : str
        Its name, or the name of its file where several have that name.
    out : Path
        The output folder.
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
    """Verify every byte of some feature spaces, or of all stored files.

    Parameters
    ----------
    spaces : list of str
        Names of feature spaces, right after the verb; by default all feature spaces, and fits,
        moments, ablations and searches too.
    out : Path
        The output folder.
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
    n_bad = 0
    for file in files:
        verdict = verify_space(file, pictures)
        print(_format_verdict(verdict), flush=True)
        n_bad += bool(verdict.faults)
    if not spaces:
        n_bad += _verify_artifacts(out)
    return int(n_bad > 0)


def _verify_artifacts(out: Path) -> int:
    files = artifacts(out)
    messages = map(verify_artifact, progress(files, desc="verify", unit="file"))
    faults = [fault for fault in messages if fault]
    for fault in faults:
        print(f"BAD  {fault}")
    print(f"{len(files) - len(faults)} of {len(files)} other files whole ({', '.join(KINDS)})")
    return len(faults)


def _format_verdict(verdict: Verdict) -> str:
    if verdict.faults:
        return f"BAD  {verdict.path}: {'; '.join(verdict.faults)}"
    line = f"ok   {verdict.path.stem}: {verdict.rows} rows x {verdict.columns} columns"
    if verdict.n_foreign is None:
        return line
    n_pictures = verdict.rows - verdict.n_foreign
    line = f"{line}; {n_pictures} of {n_pictures} pictures have a row"
    return f"{line}, {verdict.n_foreign} rows are of others"


@convert_paths
def explain(spaces: list[str] = [], out: Path = OUT) -> None:  # noqa: B006
    """Show which fields of a key differ from those of other feature spaces.

    Parameters
    ----------
    spaces : list of str
        Names of spaces, each compared with the others of its name, or with those of the most
        similar keys; or files with a key: .h5 of another folder, or .json that `show --json`
        printed.
    out : Path
        The output folder.
    """
    store = open_store(out)
    for word in spaces or sorted({entry.name for entry in store.readable_entries()}):
        title, key, name, other_entries = select_comparison(store, word)
        print(f"{title} (here) beside what is kept (there):")
        for line in explain_key(key, other_entries, name):
            print(line)


@convert_paths
def prune(out: Path = OUT, delete: bool = False) -> None:
    """List files that no fit uses and files of killed processes; with --delete, remove them.

    Parameters
    ----------
    out : Path
        The output folder.
    delete : bool
        Remove the listed files.
    """
    open_store(out)
    plan = pruning.plan(out)
    for line in pruning.format_plan(plan, out):
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
    """Import features computed elsewhere, a row for each picture, as a new feature space.

    Parameters
    ----------
    name : str
        The name of the new space: a letter, then letters, digits, _ . or -.
    file : Path
        CSV or Parquet with a column "picture", npz with the arrays `pictures` and `features`, or
        npy with the names of its pictures a line each in a .txt file beside it.
    out : Path
        The output folder.
    data : Path or None
        The folder with the pictures, needed where they are not named by the sha256 of their files.
    replace : bool
        Replace other numbers that were imported under that name.
    """
    check_name(name)
    source = open_source(file)
    store = FeatureStore(out / "features")
    digests = resolve_names(source.names, data, file)
    path, added = import_rows(store, name, source, digests, replace)
    print(f"{name}: {added} rows of {source.shape[1]} columns imported -> {path}")


@convert_paths
def export(space: str, file: Path, out: Path = OUT, data: Path | None = None) -> None:
    """Write a feature space to a file for other programs, with a named row for each picture.

    Parameters
    ----------
    space : str
        Its name, or the name of its file where several have that name.
    file : Path
        The file to write: .npy (with names in a .txt beside it), .npz, .csv or .parquet.
    out : Path
        The output folder.
    data : Path or None
        A folder of pictures, to name rows by their paths in it rather than by sha256.
    """
    entry = open_store(out).find(space)
    pictures = {} if data is None else digest_pictures(data)
    names = {digest: path.relative_to(data or path) for digest, path in pictures.items()}
    paths = export_rows(entry, file, names)
    order = "names" if data else "sha256 (--data names them)"
    files = " and ".join(map(str, paths))
    print(
        f"{entry.path.stem}: {entry.meta['rows']} rows, sorted by the pictures' {order} -> {files}"
    )


@convert_paths
def pack(file: Path, spaces: list[str] = [], out: Path = OUT) -> None:  # noqa: B006
    """Write feature spaces to one file with checksums, to share them.

    Parameters
    ----------
    file : Path
        The file to write, as the last word: `pack SPACE ... FILE`.
    spaces : list of str
        Names of feature spaces.
    out : Path
        The output folder.
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
    """Verify a file that `pack` wrote, and add its feature spaces to the stored ones.

    Parameters
    ----------
    file : Path
        A file that `pack` wrote.
    out : Path
        The output folder.
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
