"""Which class of a model's file is the model."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from regress import RegressError, models
from regress.models import load_model_class

HEADER = '''"""A model of the user's, with a class that it imports and a helper."""

from torch import nn

from regress.models.ridge import Ridge


class Network(nn.Module): ...


class _Base(Ridge): ...

'''


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], type]]:
    """Load the class of a plug-in of this text."""
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = "model_for_loader_test"

    def load_text(text: str) -> type:
        (tmp_path / f"{name}.py").write_text(HEADER + text)
        return load_model_class(name)

    yield load_text
    sys.modules.pop(f"regress.models.{name}", None)
    vars(models).pop(name, None)


@pytest.mark.parametrize("name", ["Model", "NearestPicture"])
def test_the_one_public_class_of_a_file_is_the_model(
    load: Callable[[str], type], name: str
) -> None:
    loaded = load(f"class {name}(_Base): ...\n\nAlias = {name}\n")
    assert loaded.__name__ == name
    assert loaded().get_params() == load_model_class("ridge")().get_params()


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "none"), ("class First(_Base): ...\n\nclass Second(First): ...\n", "First, Second")],
)
def test_no_model_or_several_are_refused_with_the_file(
    load: Callable[[str], type], text: str, found: str
) -> None:
    with pytest.raises(RegressError, match=rf"model_for_loader_test\.py: found {found}, expected"):
        load(text)
