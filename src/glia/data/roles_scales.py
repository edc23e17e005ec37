"""Words that have an order: low, medium, high; strongly disagree … strongly agree; 18-24, 25-34."""

from __future__ import annotations

import re
from collections.abc import Iterable

# each step may be written in several ways, separated by |
_SCALES: tuple[tuple[str, ...], ...] = (
    ("none", "very low", "low", "medium|moderate|mid|normal|average", "high", "very high", "extreme|extremely high"),
    ("tiny|extra small|xx-small", "small", "medium", "large|big", "extra large|huge|very large"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    (
        "strongly disagree|completely disagree",
        "disagree",
        "somewhat disagree|slightly disagree",
        "neutral|neither agree nor disagree|undecided",
        "somewhat agree|slightly agree",
        "agree",
        "strongly agree|completely agree",
    ),
    (
        "very dissatisfied|very unsatisfied",
        "dissatisfied|unsatisfied",
        "neutral",
        "satisfied",
        "very satisfied",
    ),
    ("never", "rarely|seldom", "occasionally", "sometimes", "often|frequently", "usually", "always"),
    ("very poor", "poor", "fair", "good", "very good", "premium", "excellent|ideal"),
    ("very bad|terrible", "bad", "average|ok|okay|medium|normal", "good", "very good", "great|excellent"),
    ("not at all", "slightly|a little", "moderately|somewhat", "very", "extremely"),
    ("very unlikely", "unlikely", "neutral", "likely", "very likely"),
    ("beginner|novice", "elementary", "intermediate", "advanced", "expert"),
    ("junior", "mid|intermediate", "senior", "lead|principal"),
    ("freezing", "cold", "cool", "mild|warm", "hot"),
    ("worst", "worse", "same", "better", "best"),
    ("first", "second", "third", "fourth", "fifth", "sixth"),
    ("bronze", "silver", "gold", "platinum"),
    ("minor|mild", "moderate", "major|severe", "critical|very severe"),
)
_STRICT_PAIRS = (("low", "high"), ("small", "large"), ("junior", "senior"), ("cold", "hot"), ("poor", "good"))
_NUMBER = r"\d+(?:[.,]\d+)?"
_BAND = re.compile(
    rf"^(?P<under><|≤|<=|under |below |up to )?\s*(?P<low>{_NUMBER})\s*"
    rf"(?:(?:-|–|to|\.\.)\s*(?P<high>{_NUMBER})|(?P<over>\+| and over| or more| and above))?$"
)
_OVER = re.compile(rf"^(?:>|≥|>=|over |above )\s*(?P<low>{_NUMBER})$")
_STEP = re.compile(r"^(?:level|grade|stage|tier|step|class)?\s*(\d{1,2})\s*[.):=]?\s*[-–]?\s*(\D*)$")


def find_order(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values from lowest to highest if they are steps of a known scale or bands of numbers, else ``()``."""
    distinct = sorted(set(values))
    if not 2 <= len(distinct) <= 30:
        return ()
    folded = {value: re.sub(r"[\s_\-]+", " ", value.strip().casefold()) for value in distinct}
    if len(set(folded.values())) < len(distinct):
        return ()
    return _by_scale(folded) or _by_band(distinct) or _by_step(folded)


def _by_scale(folded: dict[str, str]) -> tuple[str, ...]:
    for scale in _SCALES:
        rank = {word.replace("-", " "): i for i, step in enumerate(scale) for word in step.split("|")}
        if not all(word in rank for word in folded.values()):
            continue
        if len(folded) == 2 and tuple(sorted(folded.values(), key=rank.__getitem__)) not in _STRICT_PAIRS:
            continue
        if len({rank[word] for word in folded.values()}) == len(folded):
            return tuple(sorted(folded, key=lambda value: rank[folded[value]]))
    return ()


def _by_band(values: list[str]) -> tuple[str, ...]:
    """Order bands such as ``<18``, ``18-24``, ``65+`` by their lower ends; at least one must have two ends."""
    keys: dict[str, tuple[float, float]] = {}
    closed = 0
    for value in values:
        text = value.strip().casefold().lstrip("$€£")
        over = _OVER.match(text)
        band = _BAND.match(text)
        if over:
            keys[value] = (_number(over["low"]), float("inf"))
        elif band and band["under"]:
            keys[value] = (float("-inf"), _number(band["low"]))
        elif band and (band["high"] or band["over"]):
            low = _number(band["low"])
            keys[value] = (low, _number(band["high"]) if band["high"] else float("inf"))
            closed += band["high"] is not None
        else:
            return ()
    rising = all(low <= high for low, high in keys.values()) and len({low for low, _ in keys.values()}) == len(keys)
    return tuple(sorted(keys, key=keys.__getitem__)) if closed and rising and len(keys) > 2 else ()


def _by_step(folded: dict[str, str]) -> tuple[str, ...]:
    """Order values that count their steps themselves: ``1 - poor``, ``2 - fair``; ``level 1``, ``level 2``."""
    steps = {value: _STEP.match(text) for value, text in folded.items()}
    numbers = [int(step[1]) for step in steps.values() if step]
    worded = sum(1 for value, step in steps.items() if step and not value.strip().isdigit())
    if len(numbers) < len(folded) or worded < len(folded) or len(folded) < 3:
        return ()
    if sorted(numbers) != list(range(min(numbers), max(numbers) + 1)):
        return ()
    return tuple(sorted(folded, key=lambda value: int(_STEP.match(folded[value])[1])))  # type: ignore[index]


def _number(text: str) -> float:
    return float(text.replace(",", "."))
