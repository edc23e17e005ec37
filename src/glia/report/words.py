"""Numbers and names as a person reads them: significant digits, intervals, minus signs, labels of metrics."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeGuard

DASH = "–"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LABELS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "f1": "F1",
    "f1_macro": "F1 (macro)",
    "mcc": "Matthews correlation",
    "ece": "calibration error",
    "r2": "R²",
    "rmse": "root mean squared error",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "median_absolute_error": "median absolute error",
    "mape": "mean absolute percentage error",
}
_SHARES = ("accuracy", "precision", "recall", "specificity", "sensitivity", "ece", "coverage")
_LOWER_IS_BETTER = ("loss", "error", "brier", "ece", "rmse", "mse", "mae", "mape", "deviance", "hamming")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def clean(text: str) -> str:
    """Replace what neither XML nor a reader can bear: control characters, lone surrogates, direction overrides."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_safe(character) for character in text)


def _safe(character: str) -> str:
    if character in "\n\t":
        return character
    bad = unicodedata.category(character) in ("Cc", "Cs") or character in _BIDI or character in "\ufffe\uffff"
    return "\ufffd" if bad else character


def shorten(text: object, length: int) -> str:
    """Return ``text`` on one line and at most ``length`` characters long, cut with an ellipsis."""
    line = " ".join(clean(str(text)).split())
    return line if len(line) <= length else line[: max(1, length - 1)].rstrip() + "…"


def is_number(value: object) -> TypeGuard[float]:
    """Say whether ``value`` is a finite number (and not a truth value)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def fixed(value: float, decimals: int) -> str:
    """Return ``value`` with so many decimals, a true minus sign and commas between thousands."""
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", "−")


def number(value: Any, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits, whole numbers in full, and a dash for nothing."""
    if isinstance(value, bool) or value is None:
        return DASH if value is None else ("yes" if value else "no")
    if not isinstance(value, (int, float)):
        return str(value)
    if not math.isfinite(value):
        return DASH
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return fixed(value, 0) if abs(value) < 1e15 else f"{value:.3g}"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude > 14:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", "−")
    return fixed(value, max(0, digits - 1 - magnitude))


def decimals_of(figure: Mapping[str, Any], scale: float = 1.0) -> int:
    """Return how many decimals a figure deserves: two significant digits of its interval's width."""
    value = abs(float(figure.get("value") or 0.0)) * scale
    low, high = figure.get("low"), figure.get("high")
    if is_number(low) and is_number(high) and high > low:
        width = (high - low) * scale
        return min(8, max(0, 1 - math.floor(math.log10(width))))
    places = 0 if value == 0 else min(8, max(0, 2 - math.floor(math.log10(value))))
    return min(places, 1) if scale == 100 else places


def percent(value: Any, decimals: int = 1) -> str:
    """Return a share in [0, 1] as a percentage."""
    return f"{fixed(float(value) * 100, decimals)} %" if is_number(value) else DASH


def label(name: str, info: Mapping[str, Any] | None = None) -> str:
    """Return the name of a metric for the middle of a sentence: ``roc_auc`` → ``ROC AUC``, ``accuracy``."""
    given = ((info or {}).get(name) or {}).get("label")
    text = str(given) if given else _LABELS.get(name, name.replace("_", " "))
    return text[0].lower() + text[1:] if len(text) > 1 and text[1].islower() else text


def headed(text: str) -> str:
    """Return ``text`` with a capital at its start."""
    return text[:1].upper() + text[1:]


def is_share(name: str, info: Mapping[str, Any] | None = None) -> bool:
    """Say whether a metric is a share of rows, told in per cent and compared in points."""
    unit = str(((info or {}).get(name) or {}).get("unit") or "")
    return (
        unit in ("%", "share")
        or (not unit and any(name == s or name.startswith(f"{s}_") for s in _SHARES))
        or (name == "balanced_accuracy")
    )


def greater_is_better(name: str, info: Mapping[str, Any] | None = None) -> bool:
    """Say whether more of the metric is better, by its description or else by its name."""
    given = ((info or {}).get(name) or {}).get("greater_is_better")
    return bool(given) if given is not None else not any(word in name for word in _LOWER_IS_BETTER)


def figure_text(name: str, figure: Mapping[str, Any] | None, info: Mapping[str, Any] | None = None) -> str:
    """Return the figure alone: ``95.7 %`` or ``0.987`` or ``53.4 mm``."""
    if not figure or not is_number(figure.get("value")):
        return DASH
    if is_share(name, info):
        return f"{fixed(figure['value'] * 100, decimals_of(figure, 100))} %"
    unit = str(((info or {}).get(name) or {}).get("unit") or "")
    return fixed(figure["value"], decimals_of(figure)) + (f" {unit}" if unit else "")


def range_text(name: str, figure: Mapping[str, Any] | None, info: Mapping[str, Any] | None = None) -> str:
    """Return the interval alone: ``95.1 to 96.3`` in the units of ``figure_text``; empty where there is none."""
    if not figure or not (is_number(figure.get("low")) and is_number(figure.get("high"))):
        return ""
    scale = 100.0 if is_share(name, info) else 1.0
    places = decimals_of(figure, scale)
    return f"{fixed(figure['low'] * scale, places)} to {fixed(figure['high'] * scale, places)}"


def level_text(figure: Mapping[str, Any] | None) -> str:
    """Return ``95 %``, the level of an interval."""
    level = (figure or {}).get("level")
    return f"{number((level if is_number(level) else 0.95) * 100)} %"
