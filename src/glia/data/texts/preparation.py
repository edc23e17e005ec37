"""From texts to one float32 tensor (N, T, 2): the number of each token, and whether it is one or padding."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Feature, Layout
from glia.data.stream.prepared_rows import PreparedRows, check_keep, finished
from glia.data.stream.row_store import MadeRows, kept
from glia.data.texts.folder_tokenizer import FolderTokenizer
from glia.data.texts.rows import COLUMN, as_texts
from glia.data.texts.word_pieces import WordPieces, learn_word_pieces

LONGEST = 128
"""Tokens of a text that "auto" keeps at most: the first ones."""
MOST = 8192
_EXACT = 1 << 24
_NOTHING = -1
_AT_ONCE = 1024
_KINDS: dict[str, Any] = {"word_pieces": WordPieces, "folder": FolderTokenizer}


class TextPreparation(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """How texts become tensors.

    Parameters
    ----------
    tokenizer : "auto", "word_pieces" or path-like
        "word_pieces" learns its own from the training texts, which "auto" means unless the network has one; a folder
        has the tokenizer of the network that lies there (extra ``transfer``).
    max_length : "auto" or int
        Tokens T of a prepared text, at least 2 and with the marks of start and end; longer texts are cut. "auto" is the
        longest of the training texts, at most 128.
    vocabulary : int
        Most word pieces that are learned.
    lower : bool
        Whether learned word pieces disregard case and accents.
    hub : bool
        Whether ``tokenizer`` may be a name of the hub, which is then downloaded.
    keep : {"auto", "memory", "disk", "none"}
        Where the tokens of training texts are kept. "auto" is memory where they take no more than a quarter of it; else
        the disk, where it has room; else nowhere: texts are cut again in every epoch. The result is the same.

    Attributes
    ----------
    layout_ : Layout
        Of shape (T, 2); its features are the token, a code with as many values as there are tokens, and the mask.
    tokenizer_ : WordPieces or FolderTokenizer
    """

    layout_: Layout
    tokenizer_: WordPieces | FolderTokenizer

    def __init__(
        self,
        tokenizer: Any = "auto",
        max_length: Any = "auto",
        vocabulary: int = 8000,
        lower: bool = True,
        hub: bool = False,
        keep: str = "auto",
    ) -> None:
        self.tokenizer, self.max_length, self.vocabulary = tokenizer, max_length, vocabulary
        self.lower, self.hub, self.keep = lower, hub, keep

    def fit(self, X: Any, y: Any = None) -> TextPreparation:
        """Learn word pieces, where there is no tokenizer, and the length from training texts.

        Raises
        ------
        InputError
            If a setting is wrong, or there are no texts.
        """
        self._check()
        check_keep(self.keep)
        texts = as_texts(X)[COLUMN]
        if not len(texts):
            raise InputError("there must be texts to learn from", "none")
        if self.tokenizer in ("auto", "word_pieces"):
            every = (text for part in _parts(texts) for text in part)
            self.tokenizer_ = learn_word_pieces(every, self.vocabulary, lower=self.lower)
        else:
            self.tokenizer_ = FolderTokenizer.read(self.tokenizer, hub=self.hub)
        most = LONGEST if self.max_length == "auto" else int(self.max_length)
        if self.max_length == "auto":
            longest = (len(row) for part in _parts(texts) for row in self.tokenizer_.encode(part, most))
            most = max(2, max(longest))
        self._set_layout(most)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return texts as a contiguous float32 array (N, T, 2); padding has mask 0 and stands behind."""
        check_is_fitted(self, "layout_")
        texts = as_texts(X)[COLUMN]
        return np.asarray(finished(kept(self._made(texts)), self._finished, (len(texts), *self.layout_.shape)))

    def fit_rows(
        self, rows: pl.DataFrame, folder: str | os.PathLike[str] | None = None
    ) -> NDArray[np.float32] | PreparedRows:
        """Learn from training texts; return them prepared: an array, or what fetches them from where they are kept.

        Parameters
        ----------
        rows : polars.DataFrame
            As ``as_texts`` returns them.
        folder : path-like, optional
            On whose disk tokens are kept, if on disk; by default that of temporary files.

        Raises
        ------
        InputError
            If a setting is wrong, there are no texts, or the disk has no room.
        """
        tokens = self.fit(rows)._made(rows[COLUMN])
        return finished(kept(tokens, self.keep, folder), self._finished, (len(rows), *self.layout_.shape))

    def _made(self, texts: pl.Series) -> MadeRows:
        """Return tokens that are found as they are asked for, (N, T); −1 behind a text's end."""

        def make(index: NDArray[Any]) -> NDArray[np.int32]:
            found = np.full((len(index), self.layout_.shape[0]), _NOTHING, dtype=np.int32)
            for row, tokens in zip(found, self.tokenizer_.encode(texts[index].to_list(), len(found[0])), strict=True):
                row[: len(tokens)] = tokens
            return found

        return MadeRows(make, (len(texts), self.layout_.shape[0]), np.int32)

    def _finished(self, tokens: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return tokens (N, T) as the network takes them, (N, T, 2)."""
        out = np.empty((*tokens.shape, 2), dtype=np.float32)
        there = tokens != _NOTHING
        out[..., 0], out[..., 1] = np.where(there, tokens, self.tokenizer_.padding), there
        return out

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.float32]:
        """Learn from training texts and return them prepared."""
        return self.fit(X).transform(X)

    def tokens(self, X: Any) -> list[list[str]]:
        """Return the tokens of texts as they are read."""
        check_is_fitted(self, "layout_")
        rows = self.tokenizer_.encode(as_texts(X)[COLUMN].to_list(), self.layout_.shape[0])
        return [[self.tokenizer_.token(number) for number in row] for row in rows]

    def stored_params(self) -> dict[str, Any]:
        """Return the settings as a file may hold them: without the place of a folder, which is nobody's business."""
        own = self.tokenizer in ("auto", "word_pieces")
        return {**self.get_params(deep=False), "tokenizer": self.tokenizer if own else "auto", "hub": False}

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return all that was learned as plain JSON data; there are no arrays."""
        check_is_fitted(self, "layout_")
        kind = next(name for name, cls in _KINDS.items() if isinstance(self.tokenizer_, cls))
        length = self.max_length if self.max_length == "auto" else int(self.max_length)
        params = {
            "max_length": length,
            "vocabulary": int(self.vocabulary),
            "lower": bool(self.lower),
            "keep": self.keep,
        }
        state = {"version": 1, "params": params, "length": self.layout_.shape[0], "kind": kind}
        return {**state, "tokens": self.tokenizer_.to_dict()}, {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TextPreparation:
        """Rebuild what ``to_state`` gave: its ``transform`` gives the same bits, and needs no folder.

        Raises
        ------
        ModelFileError
            If the state is of another version or contradicts itself.
        """
        if state.get("version") != 1 or state.get("kind") not in _KINDS:
            got = f"version={state.get('version')!r}, kind={state.get('kind')!r}"
            must = "the preparation of texts must be of a known version"
            raise ModelFileError(must, got, "use the release of Glia that wrote it")
        made = cls(**state["params"])
        made.tokenizer_ = _KINDS[state["kind"]].from_dict(state["tokens"])
        length = int(state["length"])
        if not 2 <= length <= MOST or len(made.tokenizer_) >= _EXACT:
            raise ModelFileError("the parts of a preparation must fit together", f"{length} tokens per text")
        made._set_layout(length)
        return made

    def _set_layout(self, length: int) -> None:
        token = Feature("token", COLUMN, "code", cardinality=len(self.tokenizer_))
        self.layout_ = Layout((length, 2), (token, Feature("real", COLUMN, "indicator")))

    def _check(self) -> None:
        if not isinstance(self.tokenizer, (str, Path)):
            do = "give 'auto', 'word_pieces' or a folder"
            raise InputError("tokenizer must be a name or a folder", f"tokenizer={self.tokenizer!r}", do)
        length = self.max_length
        whole = isinstance(length, (int, np.integer)) and not isinstance(length, bool) and 2 <= length <= MOST
        if not (whole or length == "auto"):
            raise InputError(f"max_length must be 'auto' or a whole number from 2 to {MOST}", f"max_length={length!r}")
        size = self.vocabulary
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or not 16 <= size < _EXACT:
            raise InputError("vocabulary must be a whole number of at least 16", f"vocabulary={size!r}")


def _parts(texts: pl.Series) -> Iterator[list[str]]:
    """Yield texts, some at a time."""
    return (texts[start : start + _AT_ONCE].to_list() for start in range(0, len(texts), _AT_ONCE))
