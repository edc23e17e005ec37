"""The tokenizer that belongs to a pretrained network, kept as its JSON text: the folder is not needed again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glia.core.errors import InputError, ModelFileError
from glia.core.optional import require

EXTRA = "transfer"


class FolderTokenizer:
    """A tokenizer of the ``tokenizers`` package.

    Parameters
    ----------
    text : str
        The JSON that ``tokenizers.Tokenizer.to_str`` gives: rules and vocabulary, no code.
    padding : int
        Number that stands for no token.

    Raises
    ------
    ModelFileError
        If the text is none.
    MissingExtraError
        If ``tokenizers`` is not installed.
    """

    def __init__(self, text: str, padding: int = 0) -> None:
        tokenizers = require("tokenizers", EXTRA)
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the package raises the base class itself
            must = "a stored tokenizer must be readable"
            raise ModelFileError(must, str(error).splitlines()[0][:200], "save the model again") from error
        self._tokenizer.no_padding()
        self.padding = padding

    @classmethod
    def read(cls, folder: str | Path, *, hub: bool = False) -> FolderTokenizer:
        """Return the tokenizer of a folder that a network of ``transformers`` lies in.

        Raises
        ------
        InputError
            If there is none.
        MissingExtraError
            If ``transformers`` is not installed.
        """
        place = Path(folder).expanduser()
        if not hub and not place.is_dir():
            raise InputError("a tokenizer must lie in a folder", f"{str(folder)!r}, no folder", "give the network's")
        transformers = require("transformers", EXTRA)
        try:
            found = transformers.AutoTokenizer.from_pretrained(
                str(place) if place.is_dir() else str(folder), local_files_only=not hub, trust_remote_code=False
            )
            text, padding = found.backend_tokenizer.to_str(), found.pad_token_id
        except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
            detail = (str(error).strip().splitlines() or [""])[0][:200]
            do = "it needs the files of a tokenizer, e.g. tokenizer.json"
            raise InputError("the tokenizer of a folder must be readable", f"{str(folder)!r}: {detail}", do) from error
        return cls(text, 0 if padding is None else int(padding))

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Iterable[str], most: int) -> list[list[int]]:
        """Return numbers of at most ``most`` tokens for each text, with those that mark start and end."""
        self._tokenizer.enable_truncation(most)
        return [found.ids for found in self._tokenizer.encode_batch(list(texts))]

    def token(self, number: int) -> str:
        """Return the token of a number."""
        return str(self._tokenizer.id_to_token(number))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        self._tokenizer.no_truncation()
        return {"tokenizer": json.loads(self._tokenizer.to_str()), "padding": self.padding}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FolderTokenizer:
        """Rebuild what ``to_dict`` gave."""
        return cls(json.dumps(data["tokenizer"], ensure_ascii=False), int(data["padding"]))

    def __deepcopy__(self, memo: dict[int, Any]) -> FolderTokenizer:
        return FolderTokenizer.from_dict(self.to_dict())

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        made = FolderTokenizer.from_dict(state)
        self._tokenizer, self.padding = made._tokenizer, made.padding
