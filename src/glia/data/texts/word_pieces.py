"""Glia's own tokenizer: word pieces learned from training texts, without any package."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD, UNKNOWN, START, END)
_WORD = re.compile(r"\w+|[^\w\s]")
_INSIDE = "##"
_LONGEST_WORD = 64


@dataclass(frozen=True)
class WordPieces:
    """Pieces of words and their numbers.

    Parameters
    ----------
    pieces : tuple of str
        Their places are their numbers; the first four are padding, unknown, start and end. Pieces that go on within a
        word begin with ``##``.
    lower : bool
        Whether texts are put into lower case and rid of accents first.
    """

    pieces: tuple[str, ...]
    lower: bool = True
    _number: dict[str, int] = field(init=False, repr=False, compare=False)
    _cache: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.pieces[: len(SPECIAL)] != SPECIAL or len(set(self.pieces)) != len(self.pieces):
            raise ValueError("word pieces must be distinct and begin with the special ones")
        object.__setattr__(self, "_number", {piece: i for i, piece in enumerate(self.pieces)})
        object.__setattr__(self, "_cache", {})

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def padding(self) -> int:
        """Number that stands for no token."""
        return 0

    def encode(self, texts: Iterable[str], most: int) -> list[list[int]]:
        """Return numbers of at most ``most`` tokens (≥ 2) for each text, between start and end."""
        start, end = SPECIAL.index(START), SPECIAL.index(END)
        found = []
        for text in texts:
            numbers: list[int] = []
            for word in words(text, lower=self.lower):
                numbers += self.cut(word)
                if len(numbers) >= most - 2:
                    break
            found.append([start, *numbers[: most - 2], end])
        return found

    def cut(self, word: str) -> tuple[int, ...]:
        """Return the numbers of a word's pieces, the longest that fits first; unknown where none does."""
        known = self._cache.get(word)
        if known is None:
            known = self._cut(word)
            if len(self._cache) < 200_000:
                self._cache[word] = known
        return known

    def _cut(self, word: str) -> tuple[int, ...]:
        numbers, at, unknown = [], 0, (SPECIAL.index(UNKNOWN),)
        while at < len(word):
            mark = _INSIDE if at else ""
            for end in range(len(word), at, -1):
                number = self._number.get(mark + word[at:end])
                if number is not None:
                    numbers.append(number)
                    at = end
                    break
            else:
                return unknown
        return tuple(numbers)

    def token(self, number: int) -> str:
        """Return the piece of a number."""
        return self.pieces[number]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"pieces": list(self.pieces), "lower": self.lower}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WordPieces:
        """Rebuild what ``to_dict`` gave."""
        return cls(tuple(map(str, data["pieces"])), bool(data["lower"]))


def words(text: str, *, lower: bool = True) -> list[str]:
    """Return the words and signs of a text, in order; words are cut at 64 characters."""
    if lower:
        text = text.lower()
        if not text.isascii():  # ASCII has no accents
            plain = unicodedata.normalize("NFD", text)
            text = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    return [word[:_LONGEST_WORD] for word in _WORD.findall(text)]


def learn_word_pieces(texts: Iterable[str], size: int = 8000, *, lower: bool = True, least: int = 2) -> WordPieces:
    """Learn pieces by merging the pair of neighbours that occurs most often, again and again.

    Byte-pair encoding (arXiv 1508.07909) on characters within words; texts are cut by the longest piece that fits.

    Parameters
    ----------
    texts : iterable of str
    size : int
        Most pieces, with the special ones and all single characters that occur ``least`` times.
    lower : bool
        Whether upper and lower case are the same.
    least : int
        A pair or character that occurs less often is no piece.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words(text, lower=lower))
    spelled = [[word[0], *(_INSIDE + c for c in word[1:])] for word in counts]
    often = list(counts.values())
    characters: Counter[str] = Counter()
    for pieces, count in zip(spelled, often, strict=True):
        for piece in pieces:
            characters[piece] += count
    kept = sorted(c for c, count in characters.items() if count >= least)
    merged = _merge(spelled, often, max(0, size - len(SPECIAL) - len(kept)), least)
    return WordPieces((*SPECIAL, *dict.fromkeys([*kept, *merged])), lower)


def _merge(spelled: list[list[str]], often: list[int], most: int, least: int) -> list[str]:
    """Return new pieces in the order of their making; ties go by the alphabet."""
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    for i, pieces in enumerate(spelled):
        for pair in pairwise(pieces):
            pairs[pair] += often[i]
            where[pair].add(i)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    made: list[str] = []
    while heap and len(made) < most:
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair]:  # an older figure of this pair
            continue
        if -count < least:
            break
        made.append(_joined(pair))
        changed: set[tuple[str, str]] = set()
        for i in where.pop(pair):
            before = spelled[i]
            after = _replaced(before, pair)
            for old in pairwise(before):
                pairs[old] -= often[i]
                changed.add(old)
            for new in pairwise(after):
                pairs[new] += often[i]
                where[new].add(i)
                changed.add(new)
            spelled[i] = after
        for one in changed:
            if pairs[one] > 0 and one != pair:
                heapq.heappush(heap, (-pairs[one], one))
    return made


def _joined(pair: tuple[str, str]) -> str:
    return pair[0] + pair[1].removeprefix(_INSIDE)


def _replaced(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(pieces):
        if i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == pair:
            out.append(_joined(pair))
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return out
