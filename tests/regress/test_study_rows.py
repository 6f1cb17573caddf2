"""Studies as they are written: every row that comes with this project, and rows that cannot be."""

from pathlib import Path

import pytest
import yaml

from base import RoiridgeError, make_command
from extract.spaces import resolve
from regress.studies.rows import FOLDER, Row, read_study

STUDIES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
ROWS = [(study, row) for study in STUDIES for row in read_study(study).rows]
GOOD = {"name": "one", "model": "ridge", "spaces": ["clip"]}


@pytest.mark.parametrize(("study", "row"), ROWS, ids=[f"{s}: {r.name}" for s, r in ROWS])
def test_every_row_is_of_spaces_that_can_be_extracted(study: str, row: object) -> None:
    for space in row.spaces:
        assert resolve(space).name == space


def test_the_encoders_are_those_of_the_paper() -> None:
    rows = {row.name: row for row in read_study("encoders").rows}
    expected = {"ridge", "banded_ridge", "linear", "mlp", "conv1d", "positional"}
    assert {row.model for row in rows.values()} == expected
    losses = {row.params["loss"] for row in rows.values() if "loss" in row.params}
    assert losses == {"huber", "pearson", "mse+pearson"}
    optimisers = {row.params["optimiser"] for row in rows.values() if "optimiser" in row.params}
    assert optimisers == {"adam", "sgd", "nadam"}
    assert {row.group_by for row in rows.values()} == {"roi", "class", "hemisphere", "brain"}
    spaces = {row.spaces for row in rows.values() if row.model == "linear"}
    assert spaces == {("clip",), ("alexnet",), ("sam",), ("alexnet", "clip"), ("clip", "clip_text")}
    assert "39.99" in rows["linear"].paper


def test_the_generators_are_those_of_the_study_and_its_claims_are_taken_apart() -> None:
    rows = {row.name: row for row in read_study("generative").rows}
    told = {row.paper: row for row in rows.values() if row.paper}
    assert set(told) == {"0.15", "0.24", "0.30", "0.45", "0.54", "running"}
    models = [told[figure].model for figure in sorted(told)]
    assert models == ["shallow", "diffusion", "shallow", "unet", "vit", "shallow"]
    assert told["0.24"].subjects == "all"
    assert {row.seeds for row in rows.values() if row.model != "ridge"} == {3}
    # Each row differs from the one that it is compared with in one thing.
    differ: dict[str, int] = {}
    for row in rows.values():
        if row.against:
            one, two = (_flat(rows[name]) for name in (row.against, row.name))
            (thing,) = {name for name in {*one, *two} if one.get(name) != two.get(name)}
            differ[thing] = differ.get(thing, 0) + 1
    assert differ == {"discriminators": 8, "loss": 2, "spaces": 1, "weights": 1, "subjects": 1}


def _flat(row: Row) -> dict[str, object]:
    loss = {"loss": row.params.get("loss"), "discriminators": row.params.get("discriminators")}
    # How fast critics learn is no difference where there are none.
    params = {name: value for name, value in row.params.items() if name != "critic_lr"}
    return (
        params
        | loss
        | {name: getattr(row, name) for name in ("model", "spaces", "subjects", "group_by")}
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "lasso"}, r"row 1 \(one\): unknown model 'lasso': choose from banded_ridge"),
        ({"colour": "red"}, r"row 1 \(one\): unknown colour; expected name, model, spaces"),
        ({"params": {"width": 3}}, r"row 1 \(one\): --params: ridge has no parameter width"),
        ({"params": [1]}, r"params: found \[1\], expected NAME: VALUE"),
        ({"group_by": "lobe"}, r"row 1 \(one\): --group_by lobe: expected one of roi"),
        ({"spaces": "clip"}, r"spaces: found 'clip', expected a list of names"),
        ({"spaces": []}, r"spaces: found \[\], expected a list of names"),
        ({"subjects": "some"}, r"subjects: found 'some', expected all, others or a list"),
        ({"images": 0}, r"images: found 0, expected a whole number above 0"),
        ({"seeds": 0}, r"row 1 \(one\): seeds: found 0, expected a whole number above 0"),
        ({"seeds": 3}, r"seeds: found 3, but ridge draws nothing at random; expected 1"),
        (
            {"model": "mlp", "seeds": 3, "params": {"random_state": 1}},
            r"seeds: found 3 beside params: random_state; expected one of them",
        ),
        ({"against": "two"}, r"against: found 'two', expected an earlier row, of none"),
        ({"untrained": "yes"}, r"untrained: found 'yes', expected true or false"),
        ({"start": "two"}, r"start: found 'two', expected an earlier row, of none"),
        ({"name": " "}, r"name: found ' ', expected text"),
        ({"model": "linear", "params": {"lr": -1}}, r"--params: lr: found -1, expected a number"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"rows": [GOOD | wrong]}))
    with pytest.raises(RoiridgeError, match=said) as caught:
        read_study(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rows: [{name: a, model: ridge}]", r"row 1 \(a\): lacks spaces; expected name, model"),
        ("rows: []", r"rows: found \[\], expected a list of rows"),
        ("rows: [3]", r"row 1: found 3, expected name, model, spaces"),
        ("about: nothing", r"lacks rows"),
        ("row: []", r"unknown row; expected rows, about, paper"),
        ("rows: [", r"cannot be read as YAML"),
        (yaml.safe_dump({"rows": [GOOD, GOOD]}), r"row 2 \(one\): an earlier row has this name"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RoiridgeError, match=said):
        read_study(str(path))


def test_a_study_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(RoiridgeError, match=r"no study 'decoders': choose from encoders"):
        read_study("decoders")


def test_numbers_are_read_as_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rows: [{name: a, model: linear, spaces: [clip], params: {lr: 3e-4}}]")
    assert read_study(str(path)).rows[0].params == {"lr": 3e-4}


def test_commands_leave_out_what_is_usual() -> None:
    arguments = {"subject": "01", "model": "linear", "spaces": ["clip", "sam"], "group_by": "roi"}
    arguments |= {"params": {"loss": "mse+0.5*pearson", "lr": 3e-5, "freeze": True}}
    arguments |= {"data": Path("data"), "out": Path("my out"), "device": "auto"}
    assert make_command("fit", arguments) == (
        "make fit SUBJECT=01 MODEL=linear SPACES='clip sam' "
        "PARAMS='loss=mse+0.5*pearson lr=3e-05 freeze=true' OUT='my out'"
    )
