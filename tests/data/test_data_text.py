import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer

from glia.data.preparation import Preparation
from glia.data.text import fit_vocabulary

TEXTS = [
    "The cat sat on the mat.",
    "A dog — the dog! — barked at THE cat",
    "été, naïve; don't 42 x",
    "mat mat mat cat",
    "unrelated words only",
]


def prepare(train, rows, most=256):
    fitted = Preparation(text_features=most).fit(pl.DataFrame({"t": train}), roles={"t": "text"})
    return fitted, fitted.transform(pl.DataFrame({"t": rows}))


def test_agrees_with_scikit_learn():
    fitted, found = prepare(TEXTS, [*TEXTS, "cat cat nothing known"])
    peer = TfidfVectorizer().fit(TEXTS)
    assert [f"t: {word}" for word in peer.get_feature_names_out()] == list(fitted.get_feature_names_out())
    np.testing.assert_allclose(found, peer.transform([*TEXTS, "cat cat nothing known"]).toarray(), atol=1e-6)


def test_agrees_with_scikit_learn_on_many_rows():
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(list("abcdefgh"), 4) + rng.choice(list("xyz"), 4)) for _ in range(3000)]
    _, found = prepare(rows, rows)
    np.testing.assert_allclose(found, TfidfVectorizer(min_df=2).fit_transform(rows).toarray(), atol=1e-6)


def test_the_words_of_most_texts_are_kept():
    vocabulary = fit_vocabulary(pl.Series("t", TEXTS), 3)
    assert vocabulary.terms == ("cat", "mat", "the")
    np.testing.assert_allclose(vocabulary.idf, np.log(6 / np.array([4, 3, 3])) + 1)


def test_missing_and_unknown_text_is_zero():
    fitted, found = prepare(TEXTS, [None, "", "   ", "zzz", "the"])
    assert (found[:4] == 0).all()
    assert np.linalg.norm(found[4]) == 1
    assert set(fitted.layout_.groups()) == {"t"}


def test_text_without_any_word():
    _, found = prepare([None, "!", "a"], ["hello"])
    assert found.shape == (1, 0)
