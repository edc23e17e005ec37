"""``glia doctor run/ [--data rows.csv] [--prove]``."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from glia.cli.flags import verb
from glia.cli.output import Terminal
from glia.core.errors import InputError
from glia.core.results import Table as ResultTable
from glia.core.settings import REQUIRED, Settings, setting

if TYPE_CHECKING:
    from glia.estimators.settings import FitSettings

_NEEDED = ("model.glia", "run.json", "settings.toml")
_STEPS = 6
_MOST_STEPS, _BATCH = 2000, 64
"""Labelled steps that are looked at, and of a mini-batch: each is a row with its whole sequence around it."""


class DoctorSettings(Settings):
    """Which run is looked at, on which rows, and whether the remedy is tried."""

    run: str = setting(REQUIRED, "the folder that glia fit wrote")
    data: str | None = setting(None, "rows with the right answers, where the run's own table is not to be used")
    out: str | None = setting(None, "folder for doctor.html and doctor.json; the run's own by default")
    prove: bool = setting(False, "train for a short while with and without the remedy, to see whether it helps")
    seeds: Annotated[int, Field(ge=3, le=50)] = setting(5, "pairs of networks for each proof")
    max_rows: Annotated[int, Field(ge=50)] = setting(20_000, "look at no more than this many rows of each part")
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = setting(0, "the one seed of everything random")


@verb(DoctorSettings, "run")
def command(settings: DoctorSettings, terminal: Terminal) -> None:
    """Say what is wrong with a run's network, from measured signs, what to do, and on request whether that helps."""
    folder = Path(settings.run)
    _check(folder, settings.out)
    from glia.core.files import write_json, write_text
    from glia.diagnose import diagnose
    from glia.estimators.persist import load
    from glia.estimators.settings import FitSettings
    from glia.report.doctor_page import render_doctor

    fit = FitSettings.from_toml(folder / "settings.toml")
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    model = load(folder / "model.glia")
    (rows, y), held, note = _rows(settings, fit, record)
    model, rows, y, held, how = _by_step(model, rows, y, held, settings.seed)
    with _progress(_STEPS + 2 * settings.prove, quiet=terminal.quiet or terminal.json) as tell:
        result = diagnose(
            model, rows, y, held_out=held, prove_remedies=settings.prove, seeds=settings.seeds,
            random_state=settings.seed, tell=tell, **how,
        )  # fmt: skip
    data: dict[str, Any] = {**result.to_dict(), "run": str(folder), "name": record["source"]["name"], "note": note}
    place = Path(settings.out) if settings.out is not None else folder
    data["files"] = {"record": str(place / "doctor.json"), "report": str(place / "doctor.html")}
    data["command"], data["fit_command"] = terminal.command, _again(folder)
    place.mkdir(parents=True, exist_ok=True)
    page = render_doctor(data)
    write_json(place / "doctor.json", data)
    write_text(place / "doctor.html", page)
    sentence = result.summary() + (f" ({note})" if note else "")
    written = ResultTable("Written", ("what", "where"), tuple(data["files"].items()))
    terminal.report(data, sentence, [*result.tables(), written])


def _check(folder: Path, out: str | None) -> None:
    """Raise an ``InputError`` unless a complete run is there and the output can be, before any work is done."""
    if not folder.is_dir():
        raise InputError(
            "the doctor needs the folder of a run", repr(str(folder)), "give the folder that glia fit wrote (--out)"
        )
    lacking = [name for name in _NEEDED if not (folder / name).is_file()]
    if lacking:
        got = f"{str(folder)!r} without {', '.join(lacking)}"
        raise InputError("the run must be complete", got, "finish it: glia fit --resume, or fit again")
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise InputError("out must be a folder", f"the file {out!r}", "choose another name")


def _rows(settings: DoctorSettings, fit: FitSettings, record: dict[str, Any]) -> tuple[Any, Any, str]:
    """Return the rows learned from, those not seen or ``None``, and a note where the parts are not known."""
    from glia.estimators.table_fit import read_rows, targets

    source = settings.data or fit.data
    if settings.data is None and not Path(source).exists():
        raise InputError("the run's table must still be there", repr(source), "name it with --data")
    table = read_rows(fit.replace(data=source, stream="auto"))
    y, _ = targets(table, fit)
    numbers = record["split"].get("numbers") or {}
    parts = {name: numbers.get(name) or [] for name in ("train", "valid", "test")}
    same = sum(map(len, parts.values())) <= len(table) == record["source"]["rows"] and parts["train"]

    def part(index: list[int]) -> tuple[Any, Any]:
        import numpy as np

        rng = np.random.default_rng(settings.seed)
        chosen = np.asarray(index, dtype=np.int64)
        if len(chosen) > settings.max_rows:
            chosen = np.sort(rng.permutation(chosen)[: settings.max_rows])
        return table.take(chosen), y[chosen]

    if same:
        return part(parts["train"]), part(parts["test"]) if len(parts["test"]) >= 8 else None, ""
    note = "which of these rows the network learned from is not known, so nothing is said of overfitting or calibration"
    return part(list(range(len(table)))), None, note


def _by_step(model: Any, rows: Any, y: Any, held: Any, seed: int) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    """Return a model that labels steps as one of a single step, with labelled steps as rows, and how it was trained.

    Others are left as they are: they know themselves how they were trained.
    """
    from glia.estimators.sequence_input import rows_of
    from glia.estimators.sequence_labeler import SequenceLabeler
    from glia.estimators.step_view import AtStep, labelled_rows_of

    if not isinstance(model, SequenceLabeler):
        return model, rows, y, held, {}

    def parts(table: Any, labels: Any) -> Any:
        return labelled_rows_of(model, rows_of(table), labels, most=_MOST_STEPS, random_state=seed)

    found = model.choose(model.get_params(deep=False), len(y))
    steps = max(1, round(found.batch_size * sum(len(one) for one in y) / len(y)))  # of a batch of sequences
    how = {"lr": found.lr, "optimizer": found.optimizer, "batch_size": min(steps, _BATCH)}
    return AtStep(model), *parts(rows, y), None if held is None else parts(*held), how


def _again(folder: Path) -> str:
    """Return the command that repeats the run in another folder, to which a remedy's flags can be added."""
    beside = folder.with_name(f"{folder.resolve().name}-remedied")
    return shlex.join(["glia", "fit", "--settings", str(folder / "settings.toml"), "--out", str(beside)])


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Draw a line on standard error that says what is running; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    disable = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=disable) as line:
        task = line.add_task("reading", total=total)
        yield lambda what: line.update(task, description=what, advance=1)
