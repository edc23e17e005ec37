"""Arrays as safetensors: written by the library, read with every number of the header checked before an array exists.

The format (huggingface/safetensors, README, "Format"): 8 bytes, the header's length as a little-endian number; a JSON
header ``{name: {"dtype", "shape", "data_offsets"}}``; then the arrays' bytes, back to back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from glia.core import strictjson
from glia.core.errors import InputError

MAX_HEADER_BYTES = 32 << 20
MAX_DIMENSIONS = 32
_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}


def dump(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the arrays as safetensors bytes, the same for the same arrays.

    Raises
    ------
    InputError
        If an array is not of booleans, integers or floats of at most 64 bits.
    """
    ready = {}
    for name, given in tensors.items():
        array = np.asarray(given)
        dtype = array.dtype.newbyteorder("<") if array.dtype.kind in "iufb" else array.dtype
        if dtype not in _DTYPES.values() or array.ndim > MAX_DIMENSIONS or name == "__metadata__":
            raise InputError(
                "the tensors of a model must hold booleans, integers or floats",
                f"{name!r} of type {array.dtype} with {array.ndim} dimensions",
                "convert it, or keep it as a JSON part",
            )
        ready[name] = array.astype(dtype, order="C", copy=False)
    return safetensors.save(ready)


def load(content: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Return the arrays in safetensors bytes (n,) as writable views of them: no second copy is made.

    Raises
    ------
    ValueError
        With a short reason, if the header and the bytes do not agree.
    """
    if len(content) < 8:
        raise ValueError("no header")
    length = int.from_bytes(content[:8].tobytes(), "little")
    if length > min(MAX_HEADER_BYTES, len(content) - 8):
        raise ValueError(f"a header of {length} declared bytes")
    header = strictjson.parse(content[8 : 8 + length].tobytes())
    body = content[8 + length :]
    placed = sorted((_place(name, entry) for name, entry in header.items()), key=lambda item: item[3:])
    at = 0
    for name, _, _, begin, end in placed:
        if begin != at:
            raise ValueError(f"the tensor {name!r} overlapping another one or leaving a gap")
        at = end
    if at != len(body):
        raise ValueError(f"tensors of {at} bytes in {len(body)} bytes")
    return {name: _view(name, body[begin:end], dtype, shape) for name, dtype, shape, begin, end in placed}


def _place(name: str, entry: Any) -> tuple[str, np.dtype[Any], tuple[int, ...], int, int]:
    """Return name, type, shape, first byte and last byte + 1 of one tensor, once they agree with each other."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the tensor {name[:80]!r} without type, shape or place")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise ValueError(f"the tensor {name[:80]!r} of an unknown type, {str(entry['dtype'])[:20]!r}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _whole(shape) or not _whole(offsets) or len(shape) > MAX_DIMENSIONS or len(offsets) != 2:
        raise ValueError(f"the tensor {name[:80]!r} with a broken shape or place")
    # Zeros hide an absurd product, which NumPy would refuse with an error of its own.
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize >= 1 << 62:
        raise ValueError(f"the tensor {name[:80]!r} with an absurd shape")
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the tensor {name[:80]!r} of shape {shape} in {end - begin} bytes")
    return name, dtype, tuple(shape), begin, end


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _view(name: str, body: NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype == np.bool_ and body.size and body.max() > 1:
        raise ValueError(f"the tensor {name[:80]!r} with truth values other than 0 and 1")
    array = np.frombuffer(body, dtype=dtype).reshape(shape)
    return array if array.flags.aligned else array.copy()
