"""``glia describe`` of sounds and sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.core.errors import InputError
from glia.core.results import Result
from glia.core.source_kinds import MANIFEST, TARGETS, looks_like_series, source_kind

if TYPE_CHECKING:
    from glia.cli.describe import DescribeSettings


def describe_raw(settings: DescribeSettings) -> Result | None:
    """Return what sounds or sequences hold; ``None`` where the data are a table.

    Raises
    ------
    InputError
        If the data cannot be read, or settings are of another kind of data.
    """
    kind = source_kind(settings.data)
    ours = kind in ("audio", "sequences")
    if settings.id is not None:
        _refuse(settings, "steps of sequences", ("roles", "group"))
        return _long_table(settings)
    series = kind == "sequences" or (settings.target in (None, "label") and looks_like_series(settings.data))
    if ours or series:
        noun = "sounds" if kind == "audio" else "files of series"
        _refuse(settings, noun, ("roles", "drop", "id", "time", *(("group",) if kind != "audio" else ())))
        return _sounds(settings) if kind == "audio" else _arrays(settings)
    _refuse(settings, "a table without --id", ("time", "group"))
    return None


def _refuse(settings: DescribeSettings, noun: str, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(settings, name)]
    if given:
        flags = ", ".join(f"--{'role' if name == 'roles' else name}" for name in given)
        raise InputError(f"{noun} must be described without {flags}", flags, "leave it out")


def _target(settings: DescribeSettings) -> str | None:
    target = settings.target
    if isinstance(target, list):
        if len(target) > 1:
            raise InputError("sounds and sequences have one target", f"target={target!r}", "name one")
        return target[0] if target else None
    return target


def _sounds(settings: DescribeSettings) -> Result:
    from glia.data.audio import describe_sounds, read_audio_folder

    target, group = _target(settings), settings.group
    listed = (Path(settings.data) / MANIFEST).is_file()
    wanted = (target, group) if listed else (None, None)
    folder = read_audio_folder(settings.data, label=wanted[0], group=wanted[1], limit=settings.max_rows)
    return describe_sounds(folder, target=target or TARGETS["audio"], group=group or "group")


def _arrays(settings: DescribeSettings) -> Result:
    from glia.data.series import describe_arrays
    from glia.estimators.sequence_fit import arrays_of

    values, y = arrays_of(settings.data)
    target = _target(settings) or TARGETS["sequences"]
    kept: Any = slice(0, settings.max_rows)
    return describe_arrays(values[kept], None if y is None else y[kept], name=Path(settings.data).name, target=target)


def _long_table(settings: DescribeSettings) -> Result:
    from glia.data import read
    from glia.data.series import describe_steps

    frame = read(settings.data, infer=False, limit=settings.max_rows).frame
    frame = frame.drop([name for name in settings.drop if name in frame.columns])
    return describe_steps(
        frame, id=str(settings.id), time=settings.time, target=_target(settings), name=Path(settings.data).name
    )
