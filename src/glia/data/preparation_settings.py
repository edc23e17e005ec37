"""The settings of a preparation: which values they may have."""

from __future__ import annotations

from typing import Any

import numpy as np

from glia.core.errors import InputError, near
from glia.data.bins import BINS
from glia.data.encode import ENCODE
from glia.data.impute import BY_COLUMN, IMPUTE, INDICATOR, make_imputer, read_impute
from glia.data.scale import SCALE

_CHOICES = {"impute": IMPUTE, "indicator": INDICATOR, "scale": SCALE, "encode": ENCODE, "bins": BINS}
_LEAST = {"onehot_limit": 0, "max_categories": 1, "rare": 1, "text_features": 1, "numeric_bins": 0}
_OPTIONAL = ("max_categories", "rare")


def check_settings(settings: dict[str, Any], has_y: bool) -> None:
    """Report all settings that cannot be used at once.

    Parameters
    ----------
    settings : dict
        The constructor's parameters by name.
    has_y : bool
        Whether a target was given, which ``bins="tree"`` needs.

    Raises
    ------
    InputError
        If there are any.
    """
    wrong = {f"{name}={settings[name]!r}": advice for name, advice in _problems(settings)}
    if settings["numeric_bins"] and settings["bins"] == "tree" and not has_y:
        wrong["bins='tree' without y"] = "give y to fit, or use bins='quantile'"
    if wrong:
        raise InputError("the settings of the preparation must be usable", ", ".join(wrong), "; ".join(wrong.values()))


def _problems(settings: dict[str, Any]) -> list[tuple[str, str]]:
    found = [
        (name, f"{name}: {near(str(settings[name]), options)}")
        for name, options in _CHOICES.items()
        if (read_impute(settings[name])[0] if name == "impute" else settings[name]) not in options
    ]
    for name, least in _LEAST.items():
        value = settings[name]
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least
        if not whole and not (value is None and name in _OPTIONAL):
            found.append((name, f"{name} is a whole number from {least}"))
    found += _imputer_problems(settings)
    fill = settings["fill_value"]
    if not isinstance(fill, (int, float, np.number)) or not np.isfinite(fill):
        found.append(("fill_value", "fill_value is a finite number"))
    return found


def _imputer_problems(settings: dict[str, Any]) -> list[tuple[str, str]]:
    how, options = read_impute(settings["impute"])
    if how not in IMPUTE:
        return []
    if how == "native" and settings["indicator"] == "never":
        return [("indicator", "impute='native' needs the indicators: use indicator='auto'")]
    if how in BY_COLUMN:
        return [("impute", f"impute={how!r} has no options")] if options else []
    try:
        make_imputer(how, options)
    except InputError as error:
        return [("impute", f"{error.must}{f': {error.do}' if error.do else ''}")]
    return []
