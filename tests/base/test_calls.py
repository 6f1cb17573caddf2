"""Calls: paths as text from Python, and the commands that messages tell the user to type."""

import ast
import inspect
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from base import RoiridgeError, choose_from, convert_paths, make_command, run_hint
from base.command_line.calls import spread_options
from base.command_line.parser import check
from base.command_line.targets import TARGETS, VARIABLES
from tests.builders.commands import PACKAGES, call
from tests.builders.paths import ROOT


def commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Find every function that a module of ours hands to the command line, by reading the code."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or ast.unparse(node.func) not in RUNNERS:
                    continue
                module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                found = eval(ast.unparse(node.args[0]), vars(module))
                verbs = found if isinstance(found, Mapping) else {"": found}
                for verb, function in verbs.items():
                    yield f"{module.__name__} {verb}".strip(), function


RUNNERS = ("run", "run_anywhere")
COMMANDS = dict(commands())


def exported() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Find what the packages give to others and takes paths."""
    for package in PACKAGES:
        module = import_module(package)
        for name in getattr(module, "__all__", []):
            function = getattr(module, name)
            if inspect.isfunction(function) and _paths(function):
                yield f"{package}.{name}", function


def _paths(function: Callable[..., Any]) -> list[str]:
    hints = get_type_hints(function)
    return [n for n, hint in hints.items() if hint in (Path, Path | None) and n != "return"]


EXPORTED = dict(exported())


def test_the_commands_are_found() -> None:
    expected = {
        "extract.__main__",
        "regress.__main__",
        "regress.ablate",
        "regress.study",
        "plan.__main__",
    }
    expected |= {"evaluate.__main__ scores", "cache.__main__ import", "execute.__main__"}
    assert expected <= set(COMMANDS)
    assert {"challenge.find_subjects", "cache.read_artifact", "evaluate.faults"} <= set(EXPORTED)


@pytest.mark.parametrize("name", [*COMMANDS, *EXPORTED])
def test_u11_paths_may_be_text(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    function = (COMMANDS | EXPORTED)[name]
    monkeypatch.chdir(tmp_path)
    # Nothing can be there or written beneath a file.
    Path("file").touch()
    given: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = get_type_hints(function)[parameter.name]
        required = parameter.default is parameter.empty
        if hint is Path:
            given[parameter.name] = "file/nowhere"
        elif required:
            given[parameter.name] = ["a", "b"] if hint == list[str] else REQUIRED.get(hint, "x")
    given |= QUICK.get(name, {})
    # Our errors, and files that cannot be, are said in words; a TypeError is a fault.
    with suppress(RoiridgeError, OSError):
        function(**given)


REQUIRED: dict[Any, Any] = {dict: {}}
QUICK = {
    "evaluate.__main__ calibrate": {"datasets": 2},
    "execute.choose_executor": {"executor": "local"},
    "cache.write_artifact": {"arrays": {}, "meta": {}},
}


@dataclass
class Options:
    """What to count.

    Attributes
    ----------
    data : Path
        The folder.
    names : list of str
        The names.
    """

    data: Path = Path("data")
    names: list[str] = field(default_factory=list)


def test_options_are_parameters_with_their_help() -> None:
    @convert_paths
    @spread_options
    def count(options: Options, step: int = 1) -> list[object]:
        """Count.

        Parameters
        ----------
        options : Options
            What to count.
        step : int
            The step.
        """
        options.names.append("new")
        return [options.data, options.names, step]

    expected = "(data: pathlib.Path = {!r}, names: list[str] = [], step: int = 1) -> list[object]"
    assert str(inspect.signature(count)) == expected.format(Path("data"))
    sections = inspect.getdoc(count).partition("----------\n")[2]
    entries = ["data : Path", "names : list of str", "step : int"]
    assert [line for line in sections.splitlines() if " : " in line] == entries
    assert count("a", step=2) == [Path("a"), ["new"], 2]
    assert count("a", ["b"]) == [Path("a"), ["b", "new"], 1]
    # The default of a list is a new list.
    assert count() == [Path("data"), ["new"], 1]


def test_u11_a_dataset_and_its_scores_by_text(simulated: Path, tmp_path: Path) -> None:
    from cache import FeatureStore
    from challenge import Subject

    assert Subject(str(simulated / "subj01")).name == "01"  # type: ignore[arg-type]
    assert FeatureStore(str(tmp_path)).entries() == []  # type: ignore[arg-type]
    with pytest.raises(RoiridgeError, match=r"no fits of subject 01, 02 under .*fits: run"):
        COMMANDS["evaluate.__main__ scores"](data=str(simulated), out=str(tmp_path))


@pytest.mark.parametrize("target", TARGETS)
def test_every_variable_becomes_a_flag_that_its_command_takes(target: str) -> None:
    for command in TARGETS[target]:
        values = {name: VALUES.get(name, "x") for name in command.variables}
        if target == "positions":
            values["PARAMS"] = "surface=flat hemisphere=both"
        module, *words = command.words(values)
        called = import_module(
            module if module == "regress.ablate" or "." in module else f"{module}.__main__"
        )
        functions = {n: f for n, f in COMMANDS.items() if n.split()[0] == called.__name__}
        single = functions.get(called.__name__)
        verbs = {} if single else {n.split()[1]: f for n, f in functions.items()}
        words = (
            [w for w in words if not w.startswith(("--executor", "--cluster"))] if verbs else words
        )
        spelled = getattr(called, "_expand_arguments", list)
        check(single or verbs, module, [], spelled(words))


VALUES = {
    "IMAGES": "3",
    "VERTICES": "float16",
    "FORMAT": "png gifti",
    "PARAMS": "alphas=[1, 10]",
    "WEIGHTS": "a=b c",
    "STAND_IN": "a=b",
}


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that this process was called otherwise."""

    def call(*words: str, by_make: bool = False) -> None:
        monkeypatch.setattr(sys, "orig_argv", list(words))
        if by_make:
            monkeypatch.setenv("ROIRIDGE_TARGET", "fit")

    return call


@convert_paths
def hint(data: Path = Path("data"), out: Path = Path("derivatives"), **arguments: Any) -> str:
    return run_hint(arguments.pop("target", "fit"), **arguments)


def test_u14_a_hint_is_the_command_as_it_must_be_typed(called: Callable[..., None]) -> None:
    called("python", "analysis.py")
    assert hint() == "make fit"
    assert hint("my data", "o", subject="03") == "make fit SUBJECT=03 DATA='my data' OUT=o"
    assert (
        hint(out="o", target="cache prune", delete="true") == "python -m cache prune --delete true"
    )
    called(".venv/bin/python", "-m", "evaluate", "scores", "--data=d")
    # What other processes of this run know, too.
    assert run_hint("fit", subject="03") == ".venv/bin/python -m regress --subject 03 --data d"
    assert run_hint("compare", fits=["A", "B"]).endswith("-m evaluate compare A B --data d")
    called(".venv/bin/python", "-m", "evaluate", "scores", "--out", "o p", by_make=True)
    assert run_hint("features", spaces=["a", "b"]) == "make features SPACES='a b' OUT='o p'"
    assert run_hint("cache prune", out=None) == ".venv/bin/python -m cache prune --out 'o p'"


def test_u14_values_are_read_back_as_they_were(tmp_path: Path) -> None:
    arguments = {
        "spaces": ["clip", "timm:a/b@c#grid4~0"], "weights": ["clip=my files/a=1.pt", "sam=it's"],
        "params": {"alphas": [1, 10], "loss": "mse+0.5*pearson"}, "data": "$(HOME) `x`",
    }  # fmt: skip
    words = shlex.split(make_command("features", arguments))[2:]
    for name, value in (word.split("=", 1) for word in words):
        expected = arguments[VARIABLES[name].parameter]
        if isinstance(expected, dict):
            expected = ["alphas=[1,10]", "loss=mse+0.5*pearson"]
        assert VARIABLES[name].words(value) == (
            expected if isinstance(expected, list) else [expected]
        )


def test_u14_an_error_names_the_command_with_the_folders_given(
    simulated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "my out"
    done = call("evaluate", "scores", "--data", simulated, "--out", out)
    assert done.returncode == 2
    flags = shlex.join(["--data", str(simulated), "--out", str(out)])
    assert f"-m extract {flags}`" in done.stderr
    assert f"-m regress --subject '01 02' {flags}`" in done.stderr
    # The command that is told runs.
    told = done.stderr.split("`")[1]
    assert shlex.split(told)[1:] == ["-m", "extract", "--data", str(simulated), "--out", str(out)]


@pytest.mark.parametrize(
    ("module", "words", "meant"),
    [
        ("regress", ["--model", "rigde"], "ridge"),
        ("regress", ["--model", "ridge", "--group_by", "heimsphere"], "hemisphere"),
        ("regress", ["--model", "ridge", "--params.alpahs", "3"], "alphas"),
        ("extract", ["--spaces", "clop"], "clip"),
        ("evaluate", ["scores", "--split", "tets"], "test"),
        ("evaluate", ["scores", "--roi_classes", "stream"], "streams"),
        ("evaluate", ["scores", "--ensemble", "per_vertx"], "per_vertex"),
        ("regress.study", ["encodes"], "encoders"),
        ("regress.show_positions", ["--roi", "V1V"], "V1v"),
        ("challenge", ["simulate", "d", "--subjcts", "2"], "--subjects"),
        ("evaluate", ["scores", "--subjet", "2"], "--subject"),
    ],
)
def test_u14_a_typo_is_answered_with_the_nearest_name(
    module: str, words: list[str], meant: str, simulated: Path, tmp_path: Path
) -> None:
    folders = [] if module == "challenge" else ["--data", simulated, "--out", tmp_path]
    done = call(module, *words, *folders)
    assert done.returncode == 2
    assert f"did you mean {meant!r}?" in done.stderr


def test_u14_typos_in_names_of_fits_and_features(simulated: Path, tmp_path: Path) -> None:
    from cache import FeatureStore
    from tests.builders.fits import write_fits

    write_fits(tmp_path, simulated)
    done = call("evaluate", "scores", "--data", simulated, "--out", tmp_path, "--fits", "rige-01")
    assert "did you mean 'ridge-01'?" in done.stderr
    store = FeatureStore(tmp_path / "features")
    with store.writer("efficientnet_lite0", {"a": 1}, {}) as writer:
        writer.add(["a" * 64], np.ones((1, 1), np.float32))
    with pytest.raises(RoiridgeError, match=r"did you mean 'efficientnet_lite0'\?$"):
        store.find("efficientnet_lit0")
    assert choose_from("zzz", ["clip", "sam"]) == "choose from clip, sam"


def test_u14_a_message_under_make_is_in_the_words_of_make(simulated: Path, tmp_path: Path) -> None:
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-o", ".venv/installed", "evaluate", f"DATA={simulated}", f"OUT={tmp_path}/o p"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    given = f"DATA={simulated} OUT='{tmp_path}/o p'"
    assert (
        f"run `make features {given}` and `make fit SUBJECT='01 02' {given}` first" in done.stderr
    )
