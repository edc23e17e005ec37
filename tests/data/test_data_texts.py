"""Texts to token numbers: pieces that are learned, tokenizers of folders, what comes back from a file."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest

from glia.core.errors import InputError, ModelFileError
from glia.data.texts import FolderTokenizer, TextPreparation, WordPieces, as_texts, learn_word_pieces
from glia.data.texts.word_pieces import SPECIAL, words

TEXTS = ["low low low low low", "lower lower", "newest newest newest newest newest newest", "widest widest widest"]


def test_pairs_that_occur_most_often_are_merged_first():
    """The worked example of arXiv 1508.07909, without its sign for the end of a word."""
    found = learn_word_pieces(TEXTS, 60)
    letters = sorted({"l", "n", "w"} | {f"##{c}" for c in "owerstid"})
    assert found.pieces[:4] == SPECIAL
    assert list(found.pieces[4 : 4 + len(letters)]) == letters
    # es 9, est 9, ow 7 (as often as lo, and before it by the alphabet), low 7, and the first of those with 6.
    assert found.pieces[4 + len(letters) :][:5] == ("##es", "##est", "##ow", "low", "##ew")


def by_counting_anew(texts, merges):
    """The same algorithm without any bookkeeping."""
    spelled = [[w[0], *(f"##{c}" for c in w[1:])] for text in texts for w in words(text)]
    made = []
    for _ in range(merges):
        counts = {}
        for pieces in spelled:
            for pair in pairwise(pieces):
                counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        made.append(best[0] + best[1].removeprefix("##"))
        for k, pieces in enumerate(spelled):
            out = []
            for piece in pieces:
                if out and (out[-1], piece) == best:
                    out[-1] = made[-1]
                else:
                    out.append(piece)
            spelled[k] = out
    return made


def test_bookkeeping_agrees_with_counting_anew():
    chance = np.random.default_rng(0)
    texts = [" ".join("".join(chance.choice(list("aab"), chance.integers(1, 9))) for _ in range(20)) for _ in range(9)]
    pieces = learn_word_pieces(texts, 64).pieces
    start = 4 + len({p for p in pieces[4:] if len(p.removeprefix("##")) == 1})
    made = list(pieces[start:])
    assert len(made) > 20
    assert made == list(dict.fromkeys(by_counting_anew(texts, len(made))))


def test_words_are_cut_by_the_longest_piece():
    found = learn_word_pieces(TEXTS, 24)
    named = [found.token(n) for n in found.encode(["Lowest, zzz low"], 64)[0]]
    assert named == ["[CLS]", "low", "##est", "[UNK]", "[UNK]", "low", "[SEP]"]
    assert found.encode(["low low low low"], 4) == [[2, *[found.pieces.index("low")] * 2, 3]]
    assert found.encode([""], 4) == [[2, 3]]


def test_case_and_accents():
    assert words("Élan vital!") == ["elan", "vital", "!"]
    assert words("Élan", lower=False) == ["Élan"]


@pytest.mark.parametrize(
    "given",
    [
        ["a b", None, "c"],
        np.array(["a b", None, "c"], dtype=object),
        pd.Series(["a b", None, "c"]),
        pl.Series("t", ["a b", None, "c"]),
        pl.DataFrame({"t": ["a b", None, "c"]}),
        pd.DataFrame({"t": ["a b", np.nan, "c"]}),
        np.array([["a b"], [None], ["c"]], dtype=object),
    ],
)
def test_all_forms_of_texts_are_read_alike(given):
    assert as_texts(given)["text"].to_list() == ["a b", "", "c"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("one text", "put it in a list"),
        ([1, 2], "type int"),
        (np.zeros((2, 3)), "shape"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), "2 columns: a, b"),
        (pl.Series([1, 2]), "Int64"),
    ],
)
def test_what_is_no_text_is_said(given, message):
    with pytest.raises(InputError, match=message):
        as_texts(given)


def test_prepared_rows_hold_numbers_and_mask():
    made = TextPreparation(max_length=6).fit(TEXTS)
    x = made.transform(["low", "newest widest low lower low low low", ""])
    assert x.shape == (3, 6, 2) and x.dtype == np.float32 and x.flags.c_contiguous
    assert x[0, :, 1].tolist() == [1, 1, 1, 0, 0, 0]
    assert x[1, :, 1].all() and x[2, :, 1].sum() == 2
    assert (x[0, 3:, 0] == 0).all()
    assert made.tokens(["low"]) == [["[CLS]", "low", "[SEP]"]]
    assert made.layout_.shape == (6, 2)
    assert made.layout_.features[0].cardinality == len(made.tokenizer_)


def test_length_is_the_longest_training_text():
    assert TextPreparation().fit(["low low", "low"]).layout_.shape[0] == 4
    assert TextPreparation().fit(["low " * 500]).layout_.shape[0] == 128


def test_only_training_texts_are_learned_from():
    made = TextPreparation().fit(TEXTS)
    assert made.tokens(["qqq"]) == [["[CLS]", "[UNK]", "[SEP]"]]


def test_state_gives_the_same_bits():
    made = TextPreparation(max_length=9, vocabulary=30).fit(TEXTS)
    state, arrays = made.to_state()
    again = TextPreparation.from_state(json.loads(json.dumps(state)), arrays)
    assert np.array_equal(again.transform(["newer low!"]), made.transform(["newer low!"]))
    assert again.layout_ == made.layout_
    for wrong in ({"version": 2}, {"kind": "other"}, {"length": 1}):
        with pytest.raises(ModelFileError):
            TextPreparation.from_state({**state, **wrong}, arrays)
    with pytest.raises(ValueError, match="distinct"):
        WordPieces.from_dict({"pieces": [*SPECIAL, "a", "a"], "lower": True})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_length": 1}, "max_length=1"),
        ({"vocabulary": 3}, "vocabulary=3"),
        ({"tokenizer": 7}, "tokenizer=7"),
        ({"tokenizer": "nowhere/"}, "no folder"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        TextPreparation(**settings).fit(TEXTS)


def test_a_tokenizer_of_a_folder_travels_as_text(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="optional package of the extra transfer")
    pytest.importorskip("transformers", reason="optional package of the extra transfer")
    plain = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({"[PAD]": 0, "[UNK]": 1, "low": 2, "##er": 3}, unk_token="[UNK]")
    )
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    plain.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"})
    )
    made = TextPreparation(tokenizer=tmp_path, max_length=4).fit(["low"])
    x = made.transform(["lower low x low low"])
    assert x[0, :, 0].tolist() == [2, 3, 2, 1]
    state, arrays = made.to_state()
    for file in tmp_path.iterdir():
        file.unlink()
    again = TextPreparation.from_state(json.loads(json.dumps(state)), arrays)
    assert np.array_equal(again.transform(["lower"]), made.transform(["lower"]))
    assert str(tmp_path) not in json.dumps(state)
    with pytest.raises(ModelFileError, match="tokenizer"):
        FolderTokenizer("{}")
