"""The HTML templates of the reports, with their style sheet."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def render(name: str, **values: Any) -> str:
    """Return a template of this folder with values; text is escaped unless it is ``markup``."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = files("metaphase.report")
    environment.globals["style"] = markup((folder / "page.css").read_text(encoding="utf-8"))
    template = environment.from_string((folder / name).read_text(encoding="utf-8"))
    return template.render(**values)


def markup(text: str) -> Any:
    """Mark text that this package made (charts, the style sheet) as markup, not to be escaped."""
    from markupsafe import Markup

    return Markup(text)
