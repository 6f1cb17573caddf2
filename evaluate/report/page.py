"""The page: one file from templates, style and scripts."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from base import decimal, plural
from evaluate.report.tables import format_triple

STYLES = ("report.css",)
SCRIPTS = ("table.js", "choose.js", "brain.js")


def render_page(content: Mapping[str, Any]) -> str:
    """Fill the page's template with the content."""
    loader = PackageLoader("evaluate.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["triple"] = format_triple
    environment.filters |= {"svg": Markup, "decimal": decimal, "plural": plural}

    def source(*names: str) -> Markup:
        return Markup("\n".join(loader.get_source(environment, name)[0] for name in names))

    return environment.get_template("report.html").render(
        **content, style=source(*STYLES), script=source(*SCRIPTS)
    )
