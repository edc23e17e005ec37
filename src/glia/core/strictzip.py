"""Zip files of plain stored members, written the same way every time and read with suspicion.

A zip file says everything twice and leaves room between its members; attacks live in the disagreements. The reader
therefore accepts only the one form that the writer writes: members stored, back to back from the first byte to the
directory, each with equal names in both places, and nothing after the directory. Everything is checked against the
file's real size before any memory is taken. The format is PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from glia.core.errors import ModelFileError

MAX_MEMBERS = 64
DAMAGED = "copy or save the model again"
UNSAFE = "use only model files written by Glia, from a source you trust"
PICKLE = "a pickle can run code when it is loaded, so Glia never loads one: save the model with glia.save"

_END = struct.Struct("<4s4H2LH")  # end of the directory
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4H3L5H2L")  # one member in the directory
_LOCAL = struct.Struct("<4s2B4H3L2H")  # the same member in front of its content
_WIDE_EXTRA = 20  # bytes of the 64-bit sizes in front of a member above 2 GiB
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF  # "look in the 64-bit record"
_NAME = re.compile(rb"[a-z][a-z0-9_]{0,63}\.(json|safetensors)")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One stored member: where its content lies in the file, in bytes."""

    name: str
    start: int
    size: int
    crc: int


@dataclass(frozen=True)
class _Entry:
    """One member as the directory declares it."""

    name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    system: int
    attributes: int
    offset: int


class StrictZip:
    """An open archive whose structure has been checked.

    Parameters
    ----------
    file : BufferedReader
        A regular file, open for reading.
    path : str
        Its name, for messages.
    size : int
        Its size in bytes.

    Raises
    ------
    ModelFileError
        If the file is not exactly of the form that ``write_zip`` writes.
    """

    def __init__(self, file: BufferedReader, path: str, size: int) -> None:
        self._file, self.path, self._size = file, path, size
        head = self._at(0, min(size, 4))
        if head[:1] == b"\x80":
            self.refuse("a pickle", PICKLE)
        if not head.startswith(b"PK\x03\x04"):
            self.refuse(
                "an empty file" if not size else "a file that is not a Glia archive", "give a file made by glia.save"
            )
        start, entries = self._directory()
        self._check_entries(entries)
        self.members = {member.name: member for member in self._locate(entries, start)}

    def refuse(self, got: str, do: str = DAMAGED) -> NoReturn:
        """Raise the error that names this file and what was found in it."""
        raise ModelFileError("a model file must be a whole, unaltered Glia archive", f"{self.path!r}: {got}", do)

    def read(self, name: str) -> NDArray[np.uint8]:
        """Return the content of a member as bytes (size,), after comparing its checksum."""
        member = self.members[name]
        content = np.empty(member.size, dtype=np.uint8)
        view = content.data
        self._file.seek(member.start)
        done = 0
        while done < member.size:
            count = self._file.readinto(view[done : done + _CHUNK])
            if not count:
                self.refuse(f"the member {name!r} ends too early")
            done += count
        if zlib.crc32(view) != member.crc:
            self.refuse(f"the checksum of the member {name!r} does not match")
        return content

    def _at(self, offset: int, count: int) -> bytes:
        if offset < 0 or offset + count > self._size:
            self.refuse("it is truncated or its parts overlap")
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) != count:
            self.refuse("it changed while it was read")
        return data

    def _directory(self) -> tuple[int, list[_Entry]]:
        """Return where the directory starts and what it declares; it must end where its end record starts."""
        end_at = self._size - _END.size
        signature, disk, first_disk, here, count, length, start, comment = _END.unpack(self._at(end_at, _END.size))
        if signature != b"PK\x05\x06" or comment:
            self.refuse("it is truncated, or something was appended to it")
        # Above 2 GiB the writer adds a 64-bit record, whose numbers count; the narrow ones may be full or still right.
        locator_at = end_at - _END64_LOCATOR.size
        locator = self._at(locator_at, _END64_LOCATOR.size) if locator_at >= 0 else b""
        if locator.startswith(b"PK\x06\x07"):
            end_at = locator_at - _END64.size
            record = _END64.unpack(self._at(end_at, _END64.size))
            narrow, (disk, first_disk, here, count, length, start) = (here, count, length, start), record[4:]
            capped = (min(here, _FULL16), min(count, _FULL16), min(length, _FULL32), min(start, _FULL32))
            if record[0] != b"PK\x06\x06" or _END64_LOCATOR.unpack(locator)[2] != end_at or narrow != capped:
                self.refuse("its directory is damaged")
        if count > MAX_MEMBERS:
            self.refuse(f"{count} members, more than {MAX_MEMBERS}", UNSAFE)
        if disk or first_disk or here != count or start + length != end_at or length > MAX_MEMBERS * 1024:
            self.refuse("its directory is damaged")
        return start, self._entries(self._at(start, length), count)

    def _entries(self, directory: bytes, count: int) -> list[_Entry]:
        entries, at = [], 0
        for _ in range(count):
            if at + _ENTRY.size > len(directory):
                self.refuse("its directory is damaged")
            fields = _ENTRY.unpack_from(directory, at)
            names, extras, comments = fields[12:15]
            at += _ENTRY.size
            name, extra = directory[at : at + names], directory[at + names : at + names + extras]
            at += names + extras + comments
            if fields[0] != b"PK\x01\x02" or at > len(directory) or comments or fields[15]:
                self.refuse("its directory is damaged")
            size, stored, offset = self._wide(extra, (fields[11], fields[10], fields[18]))
            entries.append(_Entry(name, fields[5], fields[6], fields[9], stored, size, fields[2], fields[17], offset))
        if at != len(directory):
            self.refuse("its directory is damaged")
        return entries

    def _wide(self, extra: bytes, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return size, stored size and offset, taken from the 64-bit extra field where the narrow ones are full."""
        wanted = narrow.count(_FULL32)
        if not wanted:
            if extra:
                self.refuse("a member with unexpected extra fields", UNSAFE)
            return narrow
        if len(extra) != 4 + 8 * wanted or struct.unpack_from("<2H", extra) != (1, 8 * wanted):
            self.refuse("its directory is damaged")
        wide = iter(struct.unpack_from(f"<{wanted}Q", extra, 4))
        size, stored, offset = (next(wide) if value == _FULL32 else value for value in narrow)
        return size, stored, offset

    def _check_entries(self, entries: list[_Entry]) -> None:
        """Refuse what could mislead a reader of the members, with the most telling reason first."""
        names = [entry.name for entry in entries]
        shown = {entry.name: repr(entry.name.decode("utf-8", "backslashreplace")[:80]) for entry in entries}
        if any(name.endswith(b".pkl") for name in names):
            self.refuse("an archive with a pickle inside, as torch.save writes it", PICKLE)
        for entry in entries:
            name = shown[entry.name]
            if b"\\" in entry.name:
                self.refuse(f"a member name with a backslash, {name}", UNSAFE)
            if entry.name.startswith(b"/") or entry.name[1:2] == b":":
                self.refuse(f"a member name that is an absolute path, {name}", UNSAFE)
            if b".." in entry.name.split(b"/"):
                self.refuse(f"a member name that leaves its folder, {name}", UNSAFE)
            if entry.system == 3 and stat.S_ISLNK(entry.attributes >> 16):
                self.refuse(f"a member that is a symbolic link, {name}", UNSAFE)
            if entry.flags & 1:
                self.refuse(f"an encrypted member, {name}", UNSAFE)
            if entry.method != zipfile.ZIP_STORED or entry.stored != entry.size:
                self.refuse(f"a compressed member, {name}, of {entry.size} declared bytes", UNSAFE)
            if names.count(entry.name) > 1:
                self.refuse(f"two members of one name, {name}", UNSAFE)
            if entry.flags or not _NAME.fullmatch(entry.name):
                self.refuse(f"an unexpected member, {name}", UNSAFE)

    def _locate(self, entries: list[_Entry], end: int) -> Iterator[Member]:
        """Yield the members; they must fill the file from its start to its directory, without gap or overlap."""
        at = 0
        for entry in sorted(entries, key=lambda entry: entry.offset):
            name = entry.name.decode("ascii")
            if entry.offset != at or at + _LOCAL.size + len(entry.name) + entry.size > end:
                self.refuse(f"the member {name!r} is truncated, overlaps another one or leaves a gap")
            local = _LOCAL.unpack(self._at(at, _LOCAL.size))
            start = at + _LOCAL.size + local[10] + local[11]
            same = local[0] == b"PK\x03\x04" and local[10] == len(entry.name) and local[3:5] == (0, 0)
            sizes = (_FULL32, _FULL32) if local[11] == _WIDE_EXTRA else (entry.size, entry.size)
            same = same and local[7:10] == (entry.crc, *sizes) and local[11] in (0, _WIDE_EXTRA)
            if not same or self._at(at + _LOCAL.size, len(entry.name)) != entry.name or start + entry.size > end:
                self.refuse(f"the member {name!r} does not match its entry in the directory")
            at = start + entry.size
            yield Member(name, start, entry.size, entry.crc)
        if at != end:
            self.refuse("bytes that belong to no member", UNSAFE)


@contextmanager
def open_zip(path: str | Path, max_bytes: int) -> Iterator[StrictZip]:
    """Open an archive for strict reading.

    Raises
    ------
    ModelFileError
        If there is no regular file of at most ``max_bytes`` bytes there, or it is not of the strict form.
    """
    shown = str(path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # opening a pipe must not block
    try:
        handle = os.open(path, flags)
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise _unreadable(shown, error) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "not a regular file"
            raise ModelFileError(
                "a model must be a regular file", f"{shown!r}: {what}", "give the path of a .glia file"
            )
        if found.st_size > max_bytes:
            raise ModelFileError(
                f"a model file must not be larger than {max_bytes} bytes",
                f"{shown!r}: {found.st_size} bytes",
                "pass a larger max_bytes if you trust it",
            )
        with open(handle, "rb", closefd=False) as file:
            yield StrictZip(file, shown, found.st_size)
    except OSError as error:
        raise _unreadable(shown, error) from error
    finally:
        os.close(handle)


def _unreadable(shown: str, error: OSError | ValueError) -> ModelFileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ModelFileError("a model file must be there and readable", f"{shown!r}: {reason}", "check the path")


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """Write members in the given order, stored, with a fixed date: the same content gives the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            if not _NAME.fullmatch(name.encode()):
                raise ValueError(f"a member's name must be like 'schema.json'; got {name!r}")
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # as on Unix, wherever it is written
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
