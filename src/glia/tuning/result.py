"""What a search found: every configuration with its score, the best, and which settings mattered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glia.core.results import Interval, Result, Table
from glia.tuning.study import Trial

OPTIMISTIC = (
    "The score of the best of many is flattering: it was chosen by these very rows. What is to be expected of new rows "
    "is the figure on test rows."
)
CAVEAT = (
    "Importance is the share of the differences between configurations that a setting explains by itself, within the "
    "range that was searched and after the epochs of the first rung; it says nothing about other ranges, and with few "
    "trials it is a hint."
)
SHOWN = 10


@dataclass(frozen=True)
class TuneResult(Result):
    """A search over settings.

    Parameters
    ----------
    metric : str
        What the scores are, the less the better.
    validation : str
        What they were measured on, in words.
    sampler : str
        How configurations were proposed.
    halving : bool
        Whether poor configurations were stopped early.
    epochs : tuple of int
        Up to which epoch each rung trained; empty without rungs.
    wanted : int
        Configurations asked for.
    trials : tuple of Trial
        Those that there are.
    best : int or None
        Position in ``trials`` of the one with the least score; ``None`` where none has one.
    importance : dict
        Setting → share of the differences that it explains, in sum 1.
    default : bool
        Whether the first trial is Glia's own choice of settings.
    seconds : float
        Of this process.
    stopped : {"all done", "time is up", "interrupted"}
        Why it ended.
    n_train, n_valid : int
        Rows to train on and to judge by, of the first fold.
    n_test : int
        Test rows, which no trial has seen; 0 where there were none.
    test, untuned : dict
        Metric → figure with interval on the test rows, of the best configuration and of Glia's own choice.
    difference : Interval or None
        By how much the best one is better on the test rows, in ``primary``; positive is better.
    primary : str
        The metric of ``difference``.
    logarithmic : tuple of str
        Settings that were searched evenly by their logarithms.
    noun : {"rows", "sequences"}
        What the numbers above count; of sequences, their labelled steps are judged.
    """

    metric: str
    validation: str
    sampler: str
    halving: bool
    epochs: tuple[int, ...]
    wanted: int
    trials: tuple[Trial, ...]
    best: int | None
    importance: dict[str, float]
    default: bool
    seconds: float
    stopped: str
    n_train: int
    n_valid: int
    n_test: int = 0
    test: dict[str, Interval] = field(default_factory=dict)
    untuned: dict[str, Interval] = field(default_factory=dict)
    difference: Interval | None = None
    primary: str = ""
    logarithmic: tuple[str, ...] = ()
    noun: str = "rows"

    @property
    def best_settings(self) -> dict[str, Any]:
        """Settings of the best configuration; empty where there is none."""
        return {} if self.best is None else dict(self.trials[self.best].settings)

    @property
    def best_score(self) -> float | None:
        """Its score."""
        return None if self.best is None else self.trials[self.best].score

    @property
    def default_score(self) -> float | None:
        """The score of Glia's own choice, where that was a trial."""
        return self.trials[0].score if self.default and self.trials else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data, with the best settings and score, and the caveats."""
        more = {"best_settings": self.best_settings, "best_score": self.best_score, "caveat": CAVEAT}
        return {**super().to_dict(), **more}

    def done(self) -> list[Trial]:
        """Return the trials that have come to an end."""
        return [t for t in self.trials if t.state in ("complete", "stopped", "failed")]

    def so_far(self) -> list[float | None]:
        """Return the least score up to each trial."""
        found: list[float | None] = []
        for trial in self.trials:
            known = [v for v in (found[-1] if found else None, trial.score) if v is not None]
            found.append(min(known, default=None))
        return found

    def summary(self) -> str:
        """Return the best score, what the default has, and what the test rows say."""
        done = len(self.done())
        if self.best is None:
            return f"None of {done} trials has a score ({self.stopped})."
        said = [f"The best of {done} trials has a {self.metric} of {self.best_score:.4g} on {self.validation}"]
        if self.default_score is not None:
            said[0] += f"; Glia's own choice has {self.default_score:.4g}"
        said[0] += "."
        if self.difference is not None:
            words = "is better than" if self.difference.low > 0 else "cannot be told apart from"
            words = "is worse than" if self.difference.high < 0 else words
            said.append(
                f"On {self.n_test:,} test {self.noun}, which no trial has seen, it {words} Glia's own choice: "
                f"{self.primary} by {self.difference}."
            )
        elif self.test:
            name, figure = next(iter(self.test.items()))
            said.append(f"On {self.n_test:,} test {self.noun}, which no trial has seen: {name} {figure}.")
        if self.stopped != "all done":
            said.append(f"The search ended before its {self.wanted} trials: {self.stopped}.")
        return " ".join(said)

    def tables(self) -> list[Table]:
        """Return the best settings, the best trials, importance, and figures on test rows."""
        found = []
        if self.best is not None:
            weight = self.importance
            rows = tuple((name, _shown(value), weight.get(name)) for name, value in self.best_settings.items())
            found.append(Table("Best settings", ("setting", "value", "importance"), rows))
            ranked = sorted((t for t in self.trials if t.score is not None), key=lambda t: (t.score, t.slot))[:SHOWN]
            names = tuple(self.best_settings)
            listed = tuple((t.slot, t.score, t.epochs, *(_shown(t.settings[n]) for n in names)) for t in ranked)
            found.append(Table(f"The {len(ranked)} best trials", ("trial", "score", "epochs", *names), listed))
        if self.test:
            own = self.untuned
            figures = tuple(
                (name, f.value, f.low, f.high, own[name].value if name in own else None)
                for name, f in self.test.items()
            )
            heads = ("metric", "tuned", "low (95%)", "high (95%)", "Glia's own choice")
            found.append(Table(f"On {self.n_test:,} test {self.noun}", heads, figures))
        return found

    def figures(self) -> dict[str, Callable[..., Axes]]:
        """Return the figures ``progress`` (the best so far) and ``importance``."""
        found: dict[str, Callable[..., Axes]] = {}
        if self.best is not None:
            found["progress"] = self._draw_progress
        if self.importance:
            found["importance"] = self._draw_importance
        return found

    def _draw_progress(self, *, ax: Axes | None = None) -> Axes:
        ax = Figure(figsize=(7, 4), layout="constrained").subplots() if ax is None else ax
        for state, colour, mark in (("complete", "#0072B2", "o"), ("stopped", "#999999", "x")):
            own = [t for t in self.trials if t.state == state and t.score is not None]
            slots, scores = np.array([t.slot for t in own]), np.array([t.score for t in own], dtype=np.float64)
            ax.plot(slots, scores, linestyle="", marker=mark, color=colour, label=state)
        best = np.array([np.nan if value is None else value for value in self.so_far()])
        ax.step([t.slot for t in self.trials], best, where="post", color="#009E73", label="best so far")
        ax.set_xlabel("trial")
        ax.set_ylabel(self.metric)
        ax.set_title(f"Best after trial {self.trials[self.best or 0].slot}: {self.best_score:.4g}", loc="left")
        ax.legend(frameon=False)
        return _plain(ax)

    def _draw_importance(self, *, ax: Axes | None = None) -> Axes:
        ax = Figure(figsize=(7, 1 + 0.4 * len(self.importance)), layout="constrained").subplots() if ax is None else ax
        names = list(self.importance)[::-1]
        ax.barh(names, [100 * self.importance[name] for name in names], color="#0072B2")
        ax.set_xlabel("per cent of the differences between configurations")
        ax.set_title(f"What matters most: {names[-1]}", loc="left")
        return _plain(ax)


def _plain(ax: Axes) -> Axes:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _shown(value: Any) -> Any:
    """Return a value for a table's cell: widths of layers as ``128, 128``."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return value if isinstance(value, (int, float, str)) else str(value)
