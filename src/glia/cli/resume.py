"""``--resume``: a run's folder says which run it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glia.core.errors import InputError
from glia.estimators.settings import FitSettings

if TYPE_CHECKING:
    from glia.report.run_folder import RunFolder


def resumed_settings(folder: RunFolder, chosen: dict[str, Any]) -> FitSettings:
    """Return the settings of the run in a folder; what is chosen besides counts instead.

    Raises
    ------
    InputError
        If no run was begun there, or another output is asked for.
    """
    shown = repr(str(folder.path))
    if not folder.settings.is_file():
        what = "no settings.toml" if folder.path.is_dir() else "no such folder"
        raise InputError(
            "a run can be resumed from its folder", f"{shown}: {what}", "give the folder that glia fit --out named"
        )
    out = chosen.pop("out", None)
    if out is not None and Path(out).absolute() != folder.path.absolute():
        raise InputError("a resumed run stays in its folder", f"--resume {shown} and --out {out!r}", "leave --out away")
    settings = FitSettings.from_toml(folder.settings, **chosen, out=str(folder.path))
    begun_in = Path(folder.begun().get("folder", "."))
    if "data" not in chosen and begun_in.absolute() != Path.cwd() and not Path(settings.data).is_absolute():
        return settings.replace(data=str(begun_in / settings.data))  # it was named from where the run was begun
    return settings
