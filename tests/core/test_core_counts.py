"""Numbers of things in messages."""

import pytest

from glia.core.counts import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (1, ("file",), "1 file"), (0, ("file",), "0 files"), (2, ("file",), "2 files"),
        (12_000, ("row",), "12,000 rows"), (1, ("class", "classes"), "1 class"), (3, ("class", "classes"), "3 classes"),
    ],
)  # fmt: skip
def test_nouns_follow_their_number(number, words, said):
    assert counted(number, *words) == said
