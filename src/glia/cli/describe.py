"""``glia describe DATA`` (a table, sounds, sequences) or ``glia describe MODEL.glia``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from glia.cli.flags import verb
from glia.cli.output import Terminal
from glia.core.errors import GliaError, InputError
from glia.core.modelfile import read_archive
from glia.core.results import Table
from glia.core.settings import REQUIRED, Settings, setting

if TYPE_CHECKING:
    from glia.nn import NetworkDescription


class DescribeSettings(Settings):
    """What is looked at."""

    data: str = setting(REQUIRED, "a table, a folder of sounds, a file of series, or a model file (.glia)")
    target: str | list[str] | None = setting(None, "the column to predict; finds columns that give it away")
    id: str | None = setting(None, "the column that tells sequences apart, where rows are their steps")
    time: str | None = setting(None, "the column of times of these steps")
    group: str | None = setting(None, "the column of a manifest that says whose sounds they are")
    roles: dict[str, str] = setting({}, "roles of columns where the inferred one is wrong", flag="--role")
    drop: list[str] = setting([], "columns to leave out")
    out: str | None = setting(None, "file for a drawing of a model's network, .svg")
    max_rows: Annotated[int, Field(ge=1)] | None = setting(None, "read at most this many rows")


@verb(DescribeSettings, "data")
def command(settings: DescribeSettings, terminal: Terminal) -> None:
    """Say what data hold and what looks wrong with them, or what is in a model file."""
    if settings.out is not None and (Path(settings.data).suffix != ".glia" or Path(settings.out).suffix != ".svg"):
        got = f"{settings.data!r} and {settings.out!r}"
        raise InputError("a drawing is of a model file (.glia), in a file that ends in .svg", got, "correct the names")
    if Path(settings.data).suffix == ".glia":
        data, sentence, tables = describe_model(settings.data)
        if settings.out is not None:
            tables.append(_drawn(settings.data, settings.out))
            data["files"] = {"drawing": settings.out}
        terminal.report(data, sentence, tables)
        return
    from glia.cli.describe_raw import describe_raw

    raw = describe_raw(settings)
    if raw is not None:
        terminal.answer(raw)
        return
    from glia.data import describe

    found = describe(
        settings.data, target=settings.target, roles=settings.roles, drop=settings.drop, limit=settings.max_rows
    )
    terminal.answer(found)


def describe_model(path: str) -> tuple[dict[str, Any], str, list[Table]]:
    """Return what a model file holds, as data, as a sentence and as tables.

    Raises
    ------
    ModelFileError
        If the file cannot be trusted.
    """
    archive = read_archive(path)
    tensors = [(name, list(array.shape), str(array.dtype), int(array.size)) for name, array in archive.tensors.items()]
    values = sum(row[3] for row in tensors)
    data = {
        "manifest": archive.manifest,
        "parts": sorted(archive.parts),
        "tensors": [dict(zip(("name", "shape", "dtype", "values"), row, strict=True)) for row in tensors],
        "values": values,
    }
    manifest = archive.manifest
    facts = {name: value for name, value in manifest.items() if isinstance(value, (str, int, float, bool))}
    if held := _training_rows(archive.parts.get("fitted.json")):
        facts["training rows"] = f"{held:,}, prepared, as centres of a radial network; radial=False keeps them out"
        data["training_rows"] = held
    shown = tuple(
        (name, " × ".join(map(str, shape)) or "one number", dtype, size) for name, shape, dtype, size in tensors
    )
    writer = manifest.get("glia_version", "unknown")
    sentence = f"A model of {values:,} stored values in {len(tensors)} tensors, written by glia {writer}"
    tables = [
        Table("Model", ("what", "value"), tuple(facts.items())),
        Table("Tensors", ("name", "shape", "type", "values"), shown),
    ]
    network = _network(path)
    if network is not None:
        data["network"] = network.to_dict()
        tables += network.tables()
    return data, sentence, tables


def _training_rows(fitted: Any) -> int:
    """Return how many prepared rows the file of a mean of networks holds."""
    networks = fitted.get("networks") if isinstance(fitted, dict) else None
    listed = networks if isinstance(networks, list) else []
    radial = [one for one in listed if isinstance(one, dict) and one.get("family") == "radial"]
    return sum(count for one in radial if isinstance(count := one.get("centres"), int))


def _drawn(model: str, out: str) -> Table:
    """Write the drawing of a model's network and say where it is.

    Raises
    ------
    InputError
        If it cannot be drawn.
    """
    from glia.core.files import write_text
    from glia.estimators.persist import load
    from glia.report.network_record import network_svg

    svg = network_svg(load(model, device="cpu"))
    if not svg:
        raise InputError("a network must run on rows of zeros to be drawn", model, "leave --out away")
    write_text(out, svg)
    return Table("Written", ("what", "where"), (("drawing", out),))


def _network(path: str) -> NetworkDescription | None:
    """Return layers with shapes, parameters, multiply-adds and fields; ``None`` where the network's code is missing."""
    from glia.estimators.persist import load
    from glia.nn import describe_network

    try:
        model = load(path, device="cpu")
    except GliaError:
        return None
    return describe_network(model.network_, model.layout_.shape)
