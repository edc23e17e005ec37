"""What the progress line says, when it says it, and that the terminal is whole afterwards."""

import io
import re
import time

import pytest
from rich.console import Console

from glia.engine.progress import Progress

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def terminal(**options: object) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=200, **options), file  # type: ignore[arg-type]


def test_the_line_by_hand() -> None:
    console, _ = terminal()
    clock = Clock()
    bar = Progress(console=console, clock=clock)
    bar.start(20, 5000, "fitting MLP")
    assert bar.line().plain == "fitting MLP  ────────────────────  epoch 1/20"
    clock.now += 2.0
    bar.update({"epoch": 4, "train/loss": 0.5, "valid/loss": 0.31234})
    # 4 of 20 epochs in 2 s: 10,000 rows a second, 8 s left
    assert bar.line().plain == (
        "fitting MLP  ━━━━────────────────  epoch 5/20 · 8 s left · valid/loss 0.3123, best 0.3123 (epoch 4)"
        " · 10 k rows/s"
    )
    clock.now += 2.0
    bar.update({"epoch": 5, "train/loss": 0.4, "valid/loss": 0.35})
    assert "valid/loss 0.35, best 0.3123 (epoch 4)" in bar.line().plain
    bar.finish()


def test_a_narrow_terminal_keeps_what_matters() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    clock = Clock()
    with Progress(console=console, clock=clock) as bar:
        bar.start(200, 5000, "fitting MLP")
        clock.now += 2.0
        bar.update({"epoch": 12, "valid/loss": 0.31234})
        kept = bar.line().plain[:79]
    assert kept == "fitting MLP  epoch 13/200 · 32 s left · valid/loss 0.3123, best 0.3123 (epoch 1"


def test_without_validation_and_with_nan() -> None:
    console, _ = terminal()
    with Progress(console=console) as bar:
        bar.start(3, 10)
        bar.update({"epoch": 1, "train/loss": 0.5})
        bar.update({"epoch": 2, "train/loss": float("nan")})
        assert "train/loss nan, best 0.5 (epoch 1)" in bar.line().plain


def test_greater_can_be_better() -> None:
    console, _ = terminal()
    with Progress(console=console, monitor="valid/accuracy", greater_is_better=True) as bar:
        bar.start(3, 10)
        for epoch, value in enumerate((0.5, 0.8, 0.7), 1):
            bar.update({"epoch": epoch, "valid/accuracy": value})
        assert (bar.best, bar.best_epoch) == (0.8, 2)


@pytest.mark.parametrize("how", ["quiet", "no terminal"])
def test_silence(how: str) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=how == "quiet")
    with Progress(0 if how == "quiet" else 1, console=console) as bar:
        bar.start(2, 100)
        bar.step(1, 2)
        bar.update({"epoch": 1, "train/loss": 1.0})
        bar.finish("done")
    assert file.getvalue() == ""


def test_it_draws_at_most_ten_times_a_second() -> None:
    console, file = terminal()
    clock = Clock()
    with Progress(console=console, clock=clock) as bar:
        bar.start(1, 1000)
        drawn = []
        for step in range(1000):
            clock.now += 0.001
            before = file.tell()
            bar.step(step, 1000)
            drawn.append(file.tell() > before)
    assert 8 <= sum(drawn) <= 10


def test_a_step_costs_next_to_nothing() -> None:
    console, _ = terminal()
    with Progress(console=console, clock=lambda: 0.0) as bar:
        bar.start(1, 1000)
        start = time.perf_counter()
        for step in range(10_000):
            bar.step(step, 10_000)
        assert (time.perf_counter() - start) / 10_000 < 20e-6


def test_colour_is_left_out_under_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {}
    for flag in ("", "1"):
        monkeypatch.setenv("NO_COLOR", flag)
        console, file = terminal(color_system="truecolor")
        with Progress(console=console) as bar:
            bar.start(1, 10)
            bar.update({"epoch": 1, "train/loss": 1.0})
        outputs[flag] = file.getvalue()
    coloured = re.compile(r"\x1b\[(3\d|38;)")  # rich keeps the codes of whichever palette a style met first
    assert coloured.search(outputs[""])
    assert not coloured.search(outputs["1"])


def test_the_cursor_comes_back_on_errors() -> None:
    console, file = terminal()
    with pytest.raises(KeyboardInterrupt), Progress(console=console) as bar:
        bar.start(5, 10)
        assert HIDE in file.getvalue()
        assert SHOW not in file.getvalue()
        raise KeyboardInterrupt
    assert file.getvalue().rindex(SHOW) > file.getvalue().rindex(HIDE)


def test_finish_leaves_its_message_and_a_new_start_begins_afresh() -> None:
    console, file = terminal()
    bar = Progress(console=console)
    bar.start(5, 10)
    bar.update({"epoch": 5, "train/loss": 1.0})
    bar.start(2, 10, "second")
    assert bar.best is None
    assert bar.epoch == 0
    bar.finish("wrote run/model.glia")
    assert file.getvalue().rstrip().endswith("wrote run/model.glia")
    bar.finish()  # twice does no harm


def test_long_waits_are_told_in_hours() -> None:
    console, _ = terminal()
    clock = Clock()
    with Progress(console=console, clock=clock) as bar:
        bar.start(100, 10**9)
        clock.now += 100.0
        bar.update({"epoch": 1, "train/loss": 1.0})
        assert "10 M rows/s" in bar.line().plain
        assert "2 h 45 min left" in bar.line().plain
