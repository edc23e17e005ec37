"""The row groups of a Parquet file, read from its footer: how many rows stand together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glia.core.errors import InputError

_MAGIC = b"PAR1"
_ROW_GROUPS, _GROUP_ROWS, _GROUP_BYTES = 4, 3, 2
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


def row_groups(path: Path) -> list[tuple[int, int]]:
    """Return (rows, bytes without compression) of each row group.

    The footer is a struct in Thrift's compact protocol; of its fields only these are looked at, the others are skipped.

    Raises
    ------
    InputError
        If the file is cut off or its footer is damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if len(tail) < 8 or tail[4:] != _MAGIC or length + 12 > size:
            raise _damaged(path, "it does not end like one")
        file.seek(size - 8 - length)
        data = file.read(length)
    try:
        groups = _Reader(data).struct({_ROW_GROUPS}).get(_ROW_GROUPS, [])
        return [(int(group[_GROUP_ROWS]), int(group.get(_GROUP_BYTES, 0))) for group in groups]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its footer cannot be read") from error


def _damaged(path: Path, why: str) -> InputError:
    return InputError("a Parquet file must be whole", f"{str(path)!r}: {why}", "write or download it again")


class _Reader:
    """Reads Thrift's compact protocol."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, wanted: set[int]) -> dict[int, Any]:
        """Return the wanted fields of a struct."""
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._zigzag()
            if number in wanted:
                found[number] = self._value(kind)
            else:
                self._skip(kind)
        return found

    def _value(self, kind: int) -> Any:
        if kind == _LIST:
            count, inner = self._list_head()
            if inner != _STRUCT:
                raise TypeError("row groups are structs")
            return [self.struct({_GROUP_ROWS, _GROUP_BYTES}) for _ in range(count)]
        return self._zigzag()

    def _skip(self, kind: int) -> None:
        if kind in (_TRUE, _FALSE):
            return
        if kind == _BYTE:
            self._move(1)
        elif kind == _DOUBLE:
            self._move(8)
        elif kind == _BINARY:
            self._move(self._varint())
        elif kind in (_LIST, _SET):
            count, inner = self._list_head()
            for _ in range(count):
                self._skip_element(inner)
        elif kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._skip_element(kinds >> 4)
                self._skip_element(kinds & 15)
        elif kind == _STRUCT:
            self.struct(set())
        else:
            self._varint()

    def _skip_element(self, kind: int) -> None:
        if kind in (_TRUE, _FALSE):  # truth values have a byte of their own inside of collections
            self._move(1)
        else:
            self._skip(kind)

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        return (self._varint() if count == 15 else count), head & 15

    def _move(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise IndexError("the data end too early")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 70:
                raise ValueError("a number is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
