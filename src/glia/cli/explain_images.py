"""``glia explain`` of pictures: heat maps over them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.cli.explain_rows import answers, row_options, same_space
from glia.cli.output import Terminal
from glia.core.counts import counted
from glia.core.errors import InputError, near
from glia.core.results import Table

if TYPE_CHECKING:
    from glia.cli.explain import ExplainSettings
    from glia.data.images import ImageFolder


def explain_images(settings: ExplainSettings, terminal: Terminal, model: Any) -> None:
    """Explain a model's answers for the pictures of a folder, and write and print the result.

    Raises
    ------
    InputError
        If there are no pictures, or the method cannot explain them.
    """
    from glia.data.images import ImageRows, read_image_folder
    from glia.explain import methods, removal
    from glia.report.picture_explanation import heat_maps, render_heat_maps

    if settings.method not in methods:
        got = f"method={settings.method!r}"
        raise InputError("pictures are explained one by one", got, near(settings.method, methods.names()))
    begun = time.perf_counter()
    folder = _from_table(settings, model) if model.reads_table(settings.data) else None
    folder = read_image_folder(settings.data, limit=settings.rows) if folder is None else folder
    rows = ImageRows(folder.paths, folder.names)
    method = methods.get(settings.method)
    result = method(model, rows, **row_options(method, settings, folder.paths))
    curves = removal(model, rows, result, output=settings.output) if settings.checks and same_space(result) else None
    said, outputs = answers(model, rows, result)
    channels, height, width = model.layout_.shape
    pixels = rows.pixels((height, width), channels, model.preparation_.resize)[:]
    maps = heat_maps(result, _as_bytes(pixels), folder.names, said, outputs, folder.classes)
    about: dict[str, Any] = {
        "name": Path(settings.model).name, "method": settings.method, "summary": result.summary(),
        "warnings": [*result.warnings, *([folder.remark] if folder.remark else [])], "settings": dict(result.settings),
        "rows": len(maps), "command": terminal.command, "seconds": time.perf_counter() - begun,
        "output_names": list(result.output_names), "checks": dict(result.checks),
    }  # fmt: skip
    if curves is not None:
        about["checks"] |= {"deletion gain": curves.deletion_gain, "insertion gain": curves.insertion_gain}
    listed = tuple((one.name, one.said, one.output, *one.strongest) for one in maps)
    tables = [Table("Where it looks", ("file", "predicted", "explained", "line", "column"), listed)]
    tables.append(Table("How far to trust it", ("check", "figure"), tuple(about["checks"].items())))
    data = {
        **about,
        "pictures": [dict(zip(("file", "predicted", "explained"), row[:3], strict=True)) for row in listed],
    }
    if settings.out is not None:
        place = Path(settings.out)
        about["files"] = data["files"] = _write(place, data, maps, result)
        _page(place, render_heat_maps(maps, about, curves))
        tables.append(Table("Written", ("what", "where"), tuple(data["files"].items())))
    lead = f"{settings.method}, {counted(len(maps), 'picture')} of {height} × {width}."
    terminal.report(data, lead if curves is None else f"{lead} {curves.summary()}", tables)


def _from_table(settings: ExplainSettings, model: Any) -> ImageFolder:
    """Return the pictures that the first rows of a table name."""
    from glia.data import read
    from glia.data.images import ImageFolder, look_at

    column = model.schema_.names("image")[0]
    paths = read(settings.data, infer=False).frame[column].drop_nulls().head(settings.rows).to_list()
    seen = tuple(look_at(path) for path in paths)
    return ImageFolder(Path(), tuple(paths), ("",) * len(paths), seen)


def _as_bytes(pixels: Any) -> Any:
    """Return pictures as whole numbers 0 to 255; those of another range are stretched."""
    import numpy as np

    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    return np.rint((pixels - low) * (255 / (high - low if high > low else 1.0))).astype(np.uint8)


def _write(place: Path, data: dict[str, Any], maps: list[Any], result: Any) -> dict[str, str]:
    """Write the heat maps and the result; return what is where."""
    import numpy as np

    from glia.core.files import atomic_path, write_json

    files = {
        "page": str(place / "explain.html"), "result": str(place / "explain.json"),
        "heat maps": str(place / "maps"), "values": str(place / "attributions.npy"),
    }  # fmt: skip
    write_json(files["result"], {**data, "files": files})
    for number, one in enumerate(maps):
        flat = one.name.replace("/", "_").rpartition(".")[0]
        with atomic_path(place / "maps" / f"{number:03d}_{flat}.png") as aside:
            Path(aside).write_bytes(one.files()[1])
    with atomic_path(files["values"]) as aside, open(aside, "wb") as file:
        np.save(file, result.values)
    return files


def _page(place: Path, page: str) -> None:
    from glia.core.files import write_text

    write_text(str(place / "explain.html"), page)
