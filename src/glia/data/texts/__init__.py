"""Texts as rows: cut into word pieces, numbered, padded and masked."""

from glia.data.texts.folder_tokenizer import FolderTokenizer
from glia.data.texts.preparation import TextPreparation
from glia.data.texts.rows import as_texts
from glia.data.texts.word_pieces import WordPieces, learn_word_pieces

__all__ = ["FolderTokenizer", "TextPreparation", "WordPieces", "as_texts", "learn_word_pieces"]
