"""The page of a lab run: the verdicts of all claims first, then one section for each question."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

from glia.core.counts import counted
from glia.lab.result import ClaimResult, LabResult, QuestionResult
from glia.report import words
from glia.report.charts import Chart, difference_chart, sweep_chart
from glia.report.page import fill

_ICONS = {"supported": "good", "refuted": "failure", "undecided": "note"}


@dataclass(frozen=True)
class _Line:
    """A claim as the index and its question's section show it."""

    key: str
    text: str
    verdict: str
    icon: str
    effect: str
    interval: str
    on: str
    seeds: int
    control: str


@dataclass(frozen=True)
class _Part:
    """A question's section."""

    number: int
    title: str
    sentence: str
    answer: str
    lines: list[_Line]
    charts: list[Chart]
    advice: str
    suggestion: dict[str, object]
    notes: tuple[str, ...]
    seeds: int
    seconds: float
    command: str


def render_lab(result: LabResult) -> str:
    """Return the report of a lab run as one HTML file that needs nothing else."""
    parts = [_part(one, result) for one in result.questions]
    return fill(
        "lab.html.j2",
        r=result,
        parts_=parts,
        answer=_answer(result),
        keys=_keys(result),
        suggested=result.suggested(),
    )


def _answer(result: LabResult) -> str:
    claims = result.claims
    if len(result.questions) == 1:
        return _one_answer(result.questions[0])
    counts = {word: sum(claim.verdict == word for claim in claims) for word in _ICONS}
    return (
        f"Of {len(claims)} textbook claims, {counts['supported']} hold here, {counts['refuted']} do not, and "
        f"{counts['undecided']} cannot be told from these figures."
    )


def _one_answer(one: QuestionResult) -> str:
    held = [claim for claim in one.claims if claim.verdict == "supported"]
    refuted = [claim for claim in one.claims if claim.verdict == "refuted"]
    if not held and not refuted:
        return "These figures settle none of the claims: the differences could be chance."
    halves = [f"{len(held)} of {len(one.claims)} claims hold" if held else "None of the claims is borne out"]
    if refuted:
        halves.append(f"{len(refuted)} {'does' if len(refuted) == 1 else 'do'} not")
    return ", ".join(halves) + "."


def _keys(result: LabResult) -> list[dict[str, str]]:
    claims = result.claims
    seeds = [one.seeds for one in result.questions]
    spread = str(min(seeds)) if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    shares = [claim.control for claim in claims if math.isfinite(claim.control)]
    return [
        {"label": "Claims", "value": str(len(claims)), "note": f"in {counted(len(result.questions), 'question')}"},
        {"label": "Seeds", "value": spread, "note": "for each figure: first weights and rows drawn anew"},
        {
            "label": "Found in nothing",
            "value": words.percent(sum(shares) / max(len(shares), 1)),
            "note": "of the shuffles, where there is nothing to find; 5 % is as it should be",
        },
    ]


def _part(one: QuestionResult, result: LabResult) -> _Part:
    number = one.question.number
    charts = [
        sweep_chart(
            f"q{number}-sweep{i}", sweep.title, sweep.x, dict(list(sweep.lines.items())[:6]), x_label=sweep.x_label,
            y_label=sweep.y_label, log_x=sweep.log_x, log_y=sweep.log_y,
        )
        for i, sweep in enumerate(one.sweeps)
    ]  # fmt: skip
    charts += [chart for i, claim in enumerate(one.claims) if (chart := _difference(claim, f"q{number}-c{i}"))]
    return _Part(
        number, one.question.title, one.question.sentence, _one_answer(one),
        [_line(claim, f"q{number}-c{i}") for i, claim in enumerate(one.claims)], charts, one.advice(),
        dict(one.suggestion), one.notes, one.seeds, one.seconds, _again(one, result),
    )  # fmt: skip


def _line(claim: ClaimResult, key: str) -> _Line:
    places = words.decimals_of({"value": claim.effect, "low": claim.low, "high": claim.high})
    known = math.isfinite(claim.low) and math.isfinite(claim.high)
    return _Line(
        key,
        claim.claim.text,
        claim.verdict,
        _ICONS[claim.verdict],
        f"{words.fixed(claim.effect, places)} {claim.claim.unit}" if math.isfinite(claim.effect) else words.DASH,
        f"{words.fixed(claim.low, places)} to {words.fixed(claim.high, places)}" if known else words.DASH,
        "your data" if claim.claim.on == "yours" else "made data",
        claim.seeds,
        words.percent(claim.control),
    )


def _difference(claim: ClaimResult, key: str) -> Chart | None:
    pairs = [
        (float(a), float(b))
        for a, b in zip(claim.with_, claim.without, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]
    if not pairs:
        return None
    return difference_chart(
        key, f"{claim.verdict.capitalize()}: {claim.claim.text}", pairs, names=claim.names, mean=claim.effect,
        low=claim.low, high=claim.high, unit=claim.claim.unit, predicted=claim.claim.sign, verdict=claim.verdict,
        note=f"{words.headed(claim.claim.contrast)}. The bar is the mean with its 95 % interval.",
    )  # fmt: skip


def _again(one: QuestionResult, result: LabResult) -> str:
    """Return the command that repeats one question with the seeds that it had."""
    typed = shlex.split(result.command)
    if typed[:2] != ["glia", "lab"]:
        return ""
    kept, skip = [], False
    for word in typed[3:]:
        if skip or word in ("--budget", "--seeds"):
            skip = not skip
            continue
        kept.append(word)
    return shlex.join(["glia", "lab", str(one.question.number), *kept, "--seeds", str(one.seeds)])
