"""Kernels in C++ that lie beside the modules that call them: compiled on first use where the machine has a compiler."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from glia.core.hardware import processor_flags

FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-fno-math-errno", "-w")
"""No ``-ffast-math``: what is no number must stay so, and sums keep their order."""
PATIENCE = 120
"""Seconds that a compiler may take; it took 1 to 2."""
_TYPES: dict[str, Any] = {"n": ctypes.c_int64, "i": ctypes.c_int, "f": ctypes.c_float, "p": ctypes.c_void_p}

Kernel = Callable[..., None]


def kernels(source: str, **signatures: str) -> dict[str, Kernel]:
    """Return the functions of a C++ file by their names, an empty dict where they cannot be had.

    They are had on Linux with a C++ compiler (``$CXX``, ``c++`` or ``g++``) unless ``GLIA_KERNELS=off``: whoever calls
    this has another way to the same values. The library is kept in the user's cache folder under the hash of the
    source, the flags and the processor, so that it is compiled once.

    Parameters
    ----------
    source : str
        Path of the file. Its functions are ``extern "C"``, return nothing, and take their number of threads as any
        other argument; OpenMP's threads are torch's own.
    **signatures : str
        Of each function the types of its arguments: "n" a 64-bit integer, "i" an int, "f" a float, "p" a pointer, for
        which a Tensor or ``None`` is given. Tensors are not checked: their memory must be as the source says.
    """
    library = _library(source)
    if library is None:
        return {}
    return {name: _function(library, name, signature) for name, signature in signatures.items()}


def _function(library: ctypes.CDLL, name: str, signature: str) -> Kernel:
    own = library[name]
    own.restype, own.argtypes = None, [_TYPES[letter] for letter in signature]

    def call(*given: object) -> None:
        own(*(each.data_ptr() if isinstance(each, Tensor) else each for each in given))

    return call


@cache
def _library(source: str) -> ctypes.CDLL | None:
    if platform.system() != "Linux" or os.environ.get("GLIA_KERNELS", "").lower() in ("off", "0", "no"):
        return None
    with suppress(OSError, subprocess.SubprocessError, RuntimeError):  # the last where nobody knows a home
        text = Path(source).read_bytes()
        told = "\n".join([*FLAGS, processor_flags(), platform.machine()]).encode()
        path = _folder() / f"{Path(source).stem}-{hashlib.sha256(text + told).hexdigest()[:20]}.so"
        if not path.exists():
            _compile(source, path)
        return ctypes.CDLL(str(path))
    return None


def _folder() -> Path:
    """Return the folder of compiled kernels, which nobody else may write to.

    Raises
    ------
    OSError
        If there is none and none can be made, or if others may write to it: code from it runs in this process.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glia" / "kernels"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} can be written to by others")
    return folder


def _compile(source: str, path: Path) -> None:
    compiler = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++")))), None)
    if compiler is None:
        raise FileNotFoundError("no C++ compiler")
    with tempfile.TemporaryDirectory(dir=path.parent) as aside:  # two processes may do this at once
        made = Path(aside) / path.name
        subprocess.run([compiler, *FLAGS, source, "-o", made], check=True, capture_output=True, timeout=PATIENCE)
        made.replace(path)
