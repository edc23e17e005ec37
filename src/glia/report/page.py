"""What every page is made of: templates, style and script are real files, put together into one that needs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup

from glia.core.results import jsonable
from glia.engine.events import event_lines
from glia.report import words


def fill(template: str, **values: Any) -> str:
    """Return a page: a template of this package with its values, and with the style and the script of all pages.

    All data are escaped, and the page's policy forbids every request and every script but its own.
    """
    style, script = static("report.css"), static("report.js")
    policy = {"style_hash": policy_hash(style), "script_hash": policy_hash(script)}
    page = environment().get_template(template)
    return page.render(style=Markup(style), script=Markup(script), **policy, **values)


class _PackageLoader(BaseLoader):
    """Finds templates among the package's files, also where the package is a zip."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, None, None]:
        found = files("glia.report").joinpath("templates", template)
        if not found.is_file():
            raise TemplateNotFound(template)
        return found.read_text(encoding="utf-8"), None, None


class Section(dict[str, Any]):
    """A mapping whose missing keys are empty sections, so that templates ask for ``r.network.name`` freely."""

    def __getattr__(self, name: str) -> Any:
        value = self.get(name)
        return Section(value or {}) if value is None or isinstance(value, dict) else value


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return where templates are filled in: everything is escaped, and a missing name is an error."""
    made = Environment(
        loader=_PackageLoader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.finalize = lambda value: (
        words.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
    )
    made.filters |= {
        "block": _block,
        "cell": _cell,
        "duration": _duration,
        "events": event_lines,
        "headed": words.headed,
        "label": words.label,
        "nbsp": lambda text: str(text).replace(" %", "\u00a0%"),
        "number": words.number,
        "percent": words.percent,
        "setting": _setting,
        "shorten": words.shorten,
    }
    made.tests["number"] = words.is_number
    return made


@lru_cache(maxsize=4)
def static(name: str) -> str:
    """Return a file that stands beside the templates: style or script."""
    return files("glia.report").joinpath("static", name).read_text(encoding="utf-8")


def policy_hash(content: str) -> str:
    """Return a policy's source expression for an inline file: no other style or script will run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _block(value: Any) -> Markup:
    """Return JSON for a data block: no character of it can end the element."""
    text = json.dumps(jsonable(value), ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _cell(value: Any) -> str:
    """Return a value for a table's cell."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return words.number(value, 4)
    if value is None:
        return words.DASH
    return words.shorten(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 120)


def _setting(value: Any) -> str:
    """Return a setting as it would be written down again: every digit, no padding."""
    return f"{value:.10g}" if isinstance(value, float) else _cell(value) if not words.is_number(value) else str(value)


def _duration(seconds: Any) -> str:
    if not words.is_number(seconds):
        return words.DASH
    if seconds < 120:
        return f"{words.number(float(seconds), 2)} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
