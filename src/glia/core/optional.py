"""The one door for optional packages."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from glia.core.errors import MissingExtraError


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Parameters
    ----------
    module : str
        Name to import, e.g. ``"onnx"``.
    extra : str
        The extra of ``glia-nn`` that contains it.

    Raises
    ------
    MissingExtraError
        If the package cannot be imported.
    """
    try:
        return import_module(module)
    except ImportError as error:
        root = module.partition(".")[0]
        raise MissingExtraError(
            f"this needs the package {root!r}, which is not installed: pip install 'glia-nn[{extra}]'"
        ) from error
