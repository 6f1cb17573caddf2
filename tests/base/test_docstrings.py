"""What others call is documented whole: each package's public names, and the estimators."""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import fields
from types import ModuleType

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

from base import plugin_names
from regress import models
from regress.models import load_model_class
from tests.builders.paths import PACKAGES

# No docstring, or a summary that does not begin with an infinitive.
SUMMARY = {"GL08", "SS05"}
# Parameters missing, unknown, or out of order; no Returns or Yields where something is returned.
SECTIONS = {"PR01", "PR02", "PR03", "RT01", "YD01"}


def public_names() -> Iterator[str]:
    """Yield the dotted names of public classes, their public methods, and public functions."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            yield from callables(module, name)
    for name in plugin_names(models):
        module = importlib.import_module(f"regress.models.{name}")
        yield from callables(module, load_model_class(name).__name__)


def callables(module: ModuleType, name: str) -> Iterator[str]:
    """Yield a function's name, or those of a class and its own public methods."""
    value = getattr(module, name)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return
    yield f"{module.__name__}.{name}"
    if inspect.isclass(value) and not issubclass(value, Exception):
        for method, function in vars(value).items():
            if not method.startswith("_") and inspect.isfunction(function) and function.__doc__:
                yield f"{module.__name__}.{name}.{method}"


@pytest.mark.parametrize("name", sorted(set(public_names())))
def test_public_names_are_documented_whole(name: str) -> None:
    # Dataclasses list their attributes, trained models what all trainings share by one name.
    last = name.rpartition(".")[2]
    codes = SUMMARY if last[0].isupper() else SUMMARY | SECTIONS
    assert not [error for error in validate(name)["errors"] if error[0] in codes]


@pytest.mark.parametrize("name", plugin_names(models))
def test_models_document_their_own_parameters(name: str) -> None:
    """Those that a trained model has from its parts are documented there, and by one name."""
    model = load_model_class(name)
    entries = [*ClassDoc(model)["Parameters"]]
    documented = {parameter for entry in entries for parameter in entry.name.split(", ")}
    parameters, parts = set(model().get_params()), getattr(model, "parts", ())
    assert documented <= parameters
    assert parameters - documented <= {field.name for part in parts for field in fields(part)}
    for part in parts:
        assert {entry.name for entry in ClassDoc(part)["Attributes"]} >= {
            field.name for field in fields(part)
        }
        assert part.__name__ in str(model.__doc__)
