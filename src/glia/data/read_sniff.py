"""How a text file is written, from samples of its bytes: encoding, delimiter, header, missing markers."""

from __future__ import annotations

import csv
import gzip
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from glia.core.errors import InputError
from glia.data.markers import MARKERS, WEAK_MARKERS

HEAD, PIECE, PIECES = 1 << 17, 1 << 15, 3
FEW_ROWS, MANY_ROWS = 100, 5000
DELIMITERS = (",", ";", "\t", "|")
NO_DELIMITER = "\x1f"
"""Stands for "one column only": a character that no text file holds."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_LEADING_ZERO = re.compile(r"0\d+")
_PLAIN_DATE = re.compile(r"(1[6-9]|2[0-3])\d\d-[01]\d-[0-3]\d")
_OF_NUMBERS, _OF_DECIMALS = frozenset("0123456789+-.eE"), frozenset(".eE")


@dataclass(frozen=True)
class Dialect:
    """How a text file is written.

    Parameters
    ----------
    encoding : str
        A Python codec; ``utf-8`` files are parsed without decoding them first.
    separator, newline : str
        Between fields, between rows.
    decimal_comma : bool
        Whether 1,5 means one and a half.
    header : bool
        Whether the first row holds names.
    raw_names, names : tuple of str
        Names as in the file, and as given to the columns.
    markers : tuple of str
        Words for missing values that occur and that stand for nothing else.
    marked : tuple of (str, str)
        (column, marker) pairs that occur in the sample.
    as_text : tuple of str
        Raw names of columns to be read as strings first.
    as_date : tuple of str
        Raw names of columns of plain dates, 2024-01-31: parsed with the file they cost no second pass.
    padded : bool
        Whether there are spaces around values.
    spaced_quotes : bool
        Whether there are spaces between delimiters and opening quotation marks.
    lookahead : int
        Number of rows from which the types can be told.
    """

    encoding: str
    separator: str
    newline: str
    decimal_comma: bool
    header: bool
    raw_names: tuple[str, ...]
    names: tuple[str, ...]
    markers: tuple[str, ...]
    marked: tuple[tuple[str, str], ...]
    as_text: tuple[str, ...]
    as_date: tuple[str, ...]
    padded: bool
    spaced_quotes: bool
    lookahead: int


def sniff(path: Path, zipped: bool) -> Dialect:
    """Find out how a text file is written.

    Parameters
    ----------
    path : Path
        The file.
    zipped : bool
        Whether it is compressed with gzip.

    Raises
    ------
    InputError
        If it is binary or empty, or two columns have one name.
    """
    pieces = _pieces(path, zipped)
    encoding = _encoding(pieces, path)
    texts = [piece.decode(encoding, "replace") for piece in pieces]
    newline = "\r" if "\r" in texts[0] and "\n" not in texts[0] else "\n"
    lines = [[line for line in text.replace("\r", "\n").split("\n") if line.strip()] for text in texts]
    if not lines[0]:
        raise InputError("a table must have a header and rows", f"the empty file {str(path)!r}", "choose another file")
    separator = find_separator(lines[0][:200], path.name)
    spaced = spaced_quote(separator).search(texts[0]) is not None
    rows = [row for part in lines for row in _parse(part, separator, spaced)]
    header = not _looks_like_data(rows[0])
    raw = tuple(rows[0]) if header else tuple(f"column_{i}" for i in range(len(rows[0])))
    names = _names(raw, header, path)
    body = [row for row in rows[header:] if len(row) == len(raw)]
    columns = {name: set(values) for name, values in zip(raw, zip(*body, strict=True), strict=True)} if body else {}
    columns = columns or {name: set() for name in raw}
    stripped = {name: set(map(str.strip, values)) for name, values in columns.items()}
    marked = tuple(
        (names[i], marker)
        for i, name in enumerate(raw)
        for marker in (*MARKERS, *WEAK_MARKERS)
        if marker in stripped[name]
    )
    found = {marker for _, marker in marked}
    return Dialect(
        encoding,
        separator,
        newline,
        separator != "," and _decimal_comma(stripped),
        header,
        raw,
        names,
        tuple(marker for marker in MARKERS if marker in found),
        marked,
        tuple(name for name in raw if _must_stay_text(stripped[name])),
        tuple(name for name in raw if _plain_dates(stripped[name] - found - {""})),
        spaced or any(_padded(values, stripped[name]) for name, values in columns.items()),
        spaced,
        FEW_ROWS if _tell_all(body, stripped) else MANY_ROWS,
    )


def _tell_all(body: list[list[str]], columns: dict[str, set[str]]) -> bool:
    """Whether the first rows already hold the kinds of values that the whole sample holds."""
    first = zip(*body[:FEW_ROWS], strict=True)
    return bool(body) and all(
        0 < _kind({value.strip() for value in few}) == _kind(values)
        for few, values in zip(first, columns.values(), strict=True)
    )


def _kind(values: set[str]) -> int:
    """Return 0 for no values, 1 for whole numbers, 2 for decimals, 3 for anything else; told by their characters."""
    characters = set("".join(values.difference(MARKERS)))
    if not characters <= _OF_NUMBERS:
        return 3
    return 2 if characters & _OF_DECIMALS else int(bool(characters))


def _pieces(path: Path, zipped: bool) -> list[bytes]:
    """Return the beginning and, of large files, some pieces from further on, cut at line ends."""
    if zipped:
        try:
            with gzip.open(path) as file:
                data = file.read(HEAD)
        except (OSError, EOFError) as error:
            raise InputError(
                "a .gz file must be whole", f"{str(path)!r}: {error}", "download or compress it again"
            ) from error
        return [_cut(data, len(data) == HEAD)]
    size = path.stat().st_size
    with path.open("rb") as file:
        pieces = [_cut(file.read(HEAD), size > HEAD)]
        if size > HEAD + PIECES * PIECE and not pieces[0].startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            for i in range(1, PIECES + 1):
                file.seek(size * i // PIECES - PIECE)
                piece = file.read(PIECE)
                # a piece starts inside a line, perhaps inside quotes: keep whole lines only
                pieces.append(_cut(piece[piece.find(b"\n") + 1 :], True))
    return pieces


def _cut(data: bytes, partial: bool) -> bytes:
    end = max(data.rfind(b"\n"), data.rfind(b"\r"))
    if not partial or end < 0:
        return data
    # UTF-16 needs whole units: the zero byte of a little-endian line end belongs to it
    return data[: end + 2] if data.startswith(BOM_UTF16_LE) else data[: end + 1]


def _encoding(pieces: list[bytes], path: Path) -> str:
    head = pieces[0]
    if head.startswith(BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in head:
        odd, even = head[1::2].count(0), head[0::2].count(0)
        if max(odd, even) > 0.3 * len(head) / 2 and min(odd, even) == 0:
            return "utf-16-le" if odd else "utf-16-be"
        raise InputError(
            "a table must be text, Parquet, Arrow or JSON lines",
            f"{str(path)!r} with zero bytes: a binary file",
            "hand in the table itself",
        )
    data = b"".join(pieces)
    try:
        getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def spaced_quote(separator: str) -> re.Pattern[str]:
    """Return the pattern of a delimiter, spaces and an opening quotation mark; doubled marks do not open a field."""
    return re.compile(rf'(?<={re.escape(separator)}) +(?="[^"{re.escape(separator)}\r\n])')


def _parse(lines: list[str], separator: str, spaced: bool = True) -> list[list[str]]:
    return [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=spaced) if row]


def find_separator(lines: list[str], name: str = "") -> str:
    """Return the delimiter by which most lines have as many fields as the header; ``NO_DELIMITER`` for one column."""
    best, score = NO_DELIMITER, 0.0
    first = ("\t", ",", ";", "|") if name.casefold().removesuffix(".gz").endswith((".tsv", ".tab")) else DELIMITERS
    for separator in first:
        widths = [len(row) for row in _parse(lines, separator)]
        if not widths or widths[0] < 2:
            continue
        share = Counter(widths)[widths[0]] / len(widths)
        # more fields only decide between delimiters that fit equally well
        if len(widths) == 1 or share > 1 / len(widths):
            value = share + widths[0] * 1e-6
        else:
            value = 1e-3 + widths[0] * 1e-6
        if value > score:
            best, score = separator, value
    return best


def _looks_like_data(row: list[str]) -> bool:
    """Whether a first row is no header: numbers throughout, with a decimal point or one number twice."""
    fields = [field.strip() for field in row]
    if not all(_NUMBER.fullmatch(field) for field in fields):
        return False
    return any("." in field for field in fields) or len(set(fields)) < len(fields)


def _names(raw: tuple[str, ...], header: bool, path: Path) -> tuple[str, ...]:
    if not header:
        return tuple(f"x{i}" for i in range(len(raw)))
    names = tuple(name.strip() or f"column_{i}" for i, name in enumerate(raw))
    counts = Counter(names)
    twice = [name for name in counts if counts[name] > 1]
    if twice:
        shown = ", ".join(f"{name!r} {counts[name]} times" for name in twice)
        raise InputError("column names must be unique", f"{shown} in {str(path)!r}", "rename these columns")
    return names


def _decimal_comma(columns: dict[str, set[str]]) -> bool:
    commas = points = plain = 0
    for values in columns.values():
        commas += sum(1 for value in values if _DECIMAL_COMMA.fullmatch(value))
        plain += sum(1 for value in values if _DECIMAL_COMMA.fullmatch(value) and not _THOUSANDS.fullmatch(value))
        points += sum(1 for value in values if "." in value and _NUMBER.fullmatch(value))
    return commas > 0 and plain > 0 and points == 0


def _must_stay_text(values: set[str]) -> bool:
    """Whether numbers in this column would lose something: leading zeros, or a dash between them that means missing."""
    zeros = [value for value in values if value.startswith("0")]
    return any(map(_LEADING_ZERO.fullmatch, zeros)) or not values.isdisjoint(WEAK_MARKERS)


def _padded(values: set[str], stripped: set[str]) -> bool:
    """Whether there are spaces around values; those around sentences do not count."""
    return values != stripped and any(value != value.strip() for value in values if len(value) < 200)


def _plain_dates(values: set[str]) -> bool:
    """Whether these are dates in ISO form and nothing else."""
    return bool(values) and all(_PLAIN_DATE.fullmatch(value) for value in values)
