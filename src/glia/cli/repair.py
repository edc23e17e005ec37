"""``glia repair DATA [--target y] [--out repaired.csv]``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from glia.cli.flags import verb
from glia.cli.output import WRITERS, Terminal, check_suffix, write_frame
from glia.core.errors import InputError
from glia.core.results import Table
from glia.core.settings import REQUIRED, Settings, setting

_DATA, _COMPARE, _WRITE = "Data", "Comparison", "Output"


class RepairSettings(Settings):
    """What is repaired, how the remedies are compared, and where the result goes."""

    data: str = setting(REQUIRED, "the table: CSV, TSV, Parquet, Arrow or JSON lines", group=_DATA)
    target: str | None = setting(
        None, "the column to predict: never filled in or used to fill in, and used to judge the remedies", group=_DATA
    )
    roles: dict[str, str] = setting({}, "roles of columns where the inferred one is wrong", group=_DATA, flag="--role")
    drop: list[str] = setting([], "columns to leave out", group=_DATA)
    time: str | None = setting(None, "column along which rows are interpolated, instead of their order", group=_DATA)

    max_rows: Annotated[int, Field(ge=20)] = setting(
        1500, "compare the remedies on at most this many rows; all rows are repaired", group=_COMPARE
    )
    compare: list[str] = setting([], "remedies to compare, by name; all of them by default", group=_COMPARE)
    repeats: Annotated[int, Field(ge=1, le=100)] = setting(
        5, "how often known values are taken away at random, for each kind of mask", group=_COMPARE
    )
    rate: Annotated[float, Field(gt=0, lt=1)] | None = setting(
        None, "share of the known values that is taken away; by default the share that is missing", group=_COMPARE
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = setting(0, "the one seed of everything random", group=_COMPARE)

    out: str | None = setting(None, "file for the repaired table, or folder for the table and the report", group=_WRITE)
    remedy: str = setting("auto", "how the table is repaired; auto takes the recommended remedy", group=_WRITE)


@verb(RepairSettings, "data")
def command(settings: RepairSettings, terminal: Terminal) -> None:
    """Report what is missing in a table and why, compare the remedies, and write the repaired table."""
    folder = settings.out is not None and not Path(settings.out).suffix
    if settings.out is not None:
        _check_out(settings.out, settings.data, folder)
    from glia.data import read
    from glia.repair.remedies import find_remedy
    from glia.repair.repair import complete, encode_inputs, repair, steps

    for name in (*settings.compare, *([] if settings.remedy == "auto" else [settings.remedy])):
        find_remedy(name)
    remedies = settings.compare or None
    table = read(settings.data, roles=settings.roles, drop=settings.drop)
    encode_inputs(table, settings.target)
    with _progress(
        steps(table, settings.target, settings.repeats, remedies), quiet=terminal.quiet or terminal.json
    ) as tell:
        result = repair(
            table,
            target=settings.target,
            time=settings.time,
            max_rows=settings.max_rows,
            repeats=settings.repeats,
            rate=settings.rate,
            remedies=remedies,
            random_state=settings.seed,
            tell=tell,
        )
    data: dict[str, Any] = {**result.to_dict(), "summary": result.summary(), "files": {}}
    if settings.out is not None:
        name = result.recommended if settings.remedy == "auto" else settings.remedy
        frames = complete(table, name, target=settings.target, time=settings.time, random_state=settings.seed)
        data["remedy"] = name
        data["files"] = _write(frames, data, settings, folder, terminal.command)
    written = tuple(data["files"].items())
    tables = [*result.tables(), Table("Written", ("what", "where"), written)] if written else result.tables()
    terminal.report(data, result.summary(), tables)


def _check_out(out: str, data: str, folder: bool) -> None:
    """Raise an ``InputError`` unless the outputs can be written there, before any work is done."""
    path = Path(out)
    if folder:
        if path.exists() and not path.is_dir():
            raise InputError(
                "out must be a folder or end in a known suffix", f"the file {out!r}", "choose another name"
            )
        return
    check_suffix(out)
    if path.exists() and Path(data).exists() and path.samefile(data):
        raise InputError("the output must not be the table itself", repr(out), "give another file name")


def _write(
    frames: list[Any], data: dict[str, Any], settings: RepairSettings, folder: bool, command: str
) -> dict[str, str]:
    """Write the repaired tables, and in a folder the record and the report; return what is where."""
    from glia.core.files import write_json, write_text
    from glia.report.repair_page import render_repair

    suffix = Path(settings.data).suffix.lower() if folder else Path(str(settings.out)).suffix
    suffix = suffix if suffix in WRITERS else ".csv"
    base = Path(str(settings.out)) / f"repaired{suffix}" if folder else Path(str(settings.out))
    paths = [base]
    if len(frames) > 1:
        paths = [base.with_name(f"{base.stem}-{number}{base.suffix}") for number in range(1, len(frames) + 1)]
    files = {"repaired table" if len(paths) == 1 else f"completed set {i}": str(p) for i, p in enumerate(paths, 1)}
    for frame, path in zip(frames, paths, strict=True):
        write_frame(frame, str(path))
    if folder:
        place = Path(str(settings.out))
        files |= {"record": str(place / "repair.json"), "report": str(place / "repair.html")}
        write_json(place / "repair.json", {**data, "files": files, "command": command})
        write_text(place / "repair.html", render_repair({**data, "files": files, "command": command}))
    return files


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Draw a line on standard error that says what is running and how far; silent where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as line:
        task = line.add_task("reading", total=total)
        begun = False

        def tell(what: str) -> None:
            nonlocal begun
            line.update(task, description=what, advance=1 if begun else 0)
            begun = True

        yield tell
