"""The package `roiridge`: names for Python, and one command with a verb for each stage."""

import ast
import configparser
import importlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import roiridge
from base import run_hint
from base.command_line.parser import check
from base.command_line.verbs import VERBS
from tests.builders.commands import call
from tests.builders.paths import ROOT
from tests.builders.rates import write_space

HEAVY = {"torch", "scipy", "sklearn", "pandas"}
ELSEWHERE = os.environ | {"PYTHONPATH": str(ROOT)}


def elsewhere(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call Python in a folder that is not the checkout."""
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=ELSEWHERE, capture_output=True, text=True)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Write what pip installs as the console script."""
    path = tmp_path / "bin" / "roiridge"
    path.parent.mkdir()
    path.write_text("import sys\nfrom roiridge.__main__ import main\nsys.exit(main())\n")
    return path


@pytest.mark.parametrize(
    "code",
    [
        "import roiridge; dir(roiridge)",
        "sys.argv = ['roiridge', '--help']; from roiridge.__main__ import main; main()",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str, tmp_path: Path) -> None:
    code = f"import sys; {code}; print(sorted({HEAVY} & set(sys.modules)))"
    done = elsewhere(tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_type_checkers_see_every_name() -> None:
    tree = ast.parse(Path(roiridge.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    names = [alias.asname or alias.name for node in imports for alias in node.names]
    assert sorted(names) == roiridge.__all__ == sorted(roiridge.__all__)
    assert all(callable(getattr(roiridge, name)) for name in names)
    assert {*names, "__version__"} <= set(dir(roiridge))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'roiridge' has no attribute 'predict_minds'"):
        _ = roiridge.predict_minds


def test_the_console_script_and_the_version_are_there() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    name, _, target = config["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = target.partition(":")
    assert name == "roiridge"
    assert callable(getattr(importlib.import_module(module), function))
    assert config["metadata"]["version"] == "attr: roiridge.__version__"
    assert "roiridge" in config["options.packages.find"]["include"].split()


def test_verbs_are_listed_with_a_line_each(tmp_path: Path) -> None:
    done, bare = elsewhere(tmp_path, "-m", "roiridge", "--help"), call("roiridge")
    assert done.returncode == 0
    assert done.stdout == bare.stdout
    lines = [line.split(None, 1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [tuple(line) for line in lines] == [(n, verb.summary) for n, verb in VERBS.items()]
    assert call("roiridge", "--version").stdout == f"roiridge {roiridge.__version__}\n"


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_is_a_command_that_describes_its_words(name: str) -> None:
    done = call("roiridge", name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: roiridge {name} ")


def test_a_mistyped_verb_or_flag_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = elsewhere(tmp_path, "-m", "roiridge", "evalaute")
    assert done.returncode == 2
    assert done.stderr == (
        "error: unknown verb 'evalaute'; did you mean 'evaluate'? (roiridge lists all)\n"
    )
    done = call("roiridge", "evaluate", "--subjet", "01")
    assert done.returncode == 2
    assert "did you mean '--subject'?" in done.stderr


def test_exit_codes_are_those_of_the_commands(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert elsewhere(tmp_path, "-m", "roiridge", "check", str(simulated)).returncode == 0
    (tmp_path / "empty" / "subj01").mkdir(parents=True)
    for folder in ("empty", "nowhere"):
        by_verb = elsewhere(tmp_path, "-m", "roiridge", "check", folder)
        monkeypatch.chdir(tmp_path)
        by_module = call("challenge", "check", folder)
        assert by_verb.returncode == by_module.returncode > 0
        assert (by_verb.stdout, by_verb.stderr) == (by_module.stdout, by_module.stderr)


def test_hints_are_in_the_way_of_the_call(script: Path, tmp_path: Path) -> None:
    python = shlex.quote(sys.executable)
    calls = {"roiridge": [str(script)], f"{python} -m roiridge": ["-m", "roiridge"]}
    for start, words in calls.items():
        done = elsewhere(tmp_path, *words, "ls", "--out", "my out")
        assert done.returncode == 2
        assert f"run `{start} features --out 'my out'` first" in done.stderr
        assert elsewhere(tmp_path, *words, "ls", "--help").stdout.startswith(f"usage: {start} ls ")


def test_a_record_holds_the_command_as_it_was_typed(script: Path, tmp_path: Path) -> None:
    words = ["simulate", "d", "--subjects", "1", "--train_images", "10", "--test_images", "5"]
    words += ["--vertices", "20", "--picture_size", "16", "--photos", "builtin"]
    done = elsewhere(tmp_path, str(script), *words)
    assert done.returncode == 0, done.stderr
    about = json.loads((tmp_path / "d" / "simulation.json").read_text())
    assert about["provenance"]["command"] == shlex.join(["roiridge", *words])


def test_commands_without_a_verb_are_called_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["roiridge", "ls"])
    python = shlex.quote(sys.executable)
    assert run_hint("cache prune", delete="true") == f"{python} -m cache prune --delete true"
    assert run_hint("compare-encoders", study="a b.yaml") == "roiridge study 'a b.yaml'"
    assert run_hint("evaluate report", study="encoders") == "roiridge report --study encoders"


def test_a_command_for_a_job_is_checked_like_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["roiridge", "evaluate"])
    commands = {"scores": roiridge.score_fits}
    check(commands, "evaluate", [], ["scores", "--split", "test"])
    with pytest.raises(SystemExit):
        check(commands, "evaluate", [], ["scores", "--splt", "test"])


def test_ablate_fits_and_tabulates(simulated: Path, tmp_path: Path) -> None:
    for space in ("a", "b"):
        write_space(tmp_path, simulated, space, 3)
    folders = ["--data", simulated, "--out", tmp_path]
    words = ["--subject", "01", "--spaces", "a", "b", "--device", "cpu", *folders]
    done = call("roiridge", "ablate", *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ablation.csv").is_file()


def test_later_commands_get_the_words_that_they_take() -> None:
    words = "mine.yaml --device cpu --stand-in clip=a sam=b --split=test --out o --subject 01 02"
    fitting, scoring = (VERBS["study"].words(number, words.split()) for number in (0, 1))
    expected = "mine.yaml --device cpu --stand-in clip=a sam=b --out o --subject 01 02"
    assert fitting == expected.split()
    assert scoring == ["mine.yaml", "--split=test", "--out", "o", "--subject", "01", "02"]
    # What stands after the one value of a flag belongs to no flag.
    assert VERBS["study"].words(1, ["--device", "cpu", "mine.yaml"]) == ["mine.yaml"]
    # The first command refuses what nobody knows.
    assert VERBS["ablate"].words(0, ["--spcaes", "a"]) == ["--spcaes", "a"]


def test_two_commands_stop_at_a_failure_and_take_no_file_of_options(tmp_path: Path) -> None:
    done = call("roiridge", "ablate", "--data", tmp_path / "nowhere", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1
    done = call("roiridge", "study", "encoders", "--config", "options.yaml")
    assert done.returncode == 2
    assert "call python -m regress.study and then python -m evaluate study" in done.stderr
