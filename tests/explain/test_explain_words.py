"""Words' shares against scores that are known by formula."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.explain import word_lime, word_occlusion, word_removal

WORTH = {"good": 2.0, "bad": -3.0, "very": 0.5}
WORDS = ["[PAD]", *WORTH, "film", "plot", "a"]


class Sum(nn.Module):
    """Each word's worth, summed: occlusion of a word gives just its worth."""

    def __init__(self, worth):
        super().__init__()
        self.worth = nn.Parameter(torch.tensor(worth))

    def forward(self, x):
        return (self.worth[x[..., 0].long()] * x[..., 1:]).sum(1)


class Reader:
    """A predictor that reads at most twelve words."""

    feature_names = ("text",)
    task_ = "binary"
    classes_ = np.array(["no", "yes"])

    def __init__(self, outputs=1):
        worth = [[WORTH.get(word, 0.0) * (1 - 2 * k) for k in range(outputs)] for word in WORDS]
        self.network_ = Sum(worth)
        if outputs > 1:
            self.task_, self.classes_ = "multiclass", np.array(["up", "down", "aside"][:outputs])

    def prepare(self, texts):
        x = torch.zeros(len(texts), 12, 2)
        for row, text in zip(x, texts, strict=True):
            known = [WORDS.index(word) for word in text.lower().split() if word in WORDS][:12]
            row[: len(known), 0], row[: len(known), 1] = torch.tensor(known, dtype=torch.float32), 1.0
        return x

    def forward(self, batch):
        return self.network_(batch)

    def predict(self, texts):
        return self.classes_[(self.forward(self.prepare(texts))[:, 0] > 0).int().numpy()]


TEXTS = ["a very good film", "Bad plot", "film", "good good bad"]


def test_a_words_share_is_what_the_output_loses_without_it():
    found = word_occlusion(Reader(), TEXTS, checks=False)
    assert [found.words(i) for i in range(4)] == [["a", "very", "good", "film"], ["Bad", "plot"], ["film"],
                                                  ["good", "good", "bad"]]  # fmt: skip
    expected = [[0, 0.5, 2, 0], [-3, 0], [0], [2, 2, -3]]
    for i, values in enumerate(expected):
        np.testing.assert_allclose(found.shares(i), values)
    np.testing.assert_allclose(found.outputs[:, 0], [2.5, -3, 0, 1])
    by_word = {one.word: one for one in found.by_word()}
    assert (by_word["good"].mean, by_word["good"].count, by_word["good"].error) == (2.0, 3, 0.0)
    assert by_word["bad"].count == 2 and by_word["very"].error is None
    assert [one.word for one in found.by_word()][:3] == ["bad", "good", "very"]  # 3·√2, 2·√3, 0.5
    assert found.evaluations == 4 + 10 and found.unit == "logit" and found.output_names == ("yes",)


def test_of_several_classes_the_leading_one_is_told_of():
    found = word_occlusion(Reader(2), TEXTS[:2], checks=False)
    assert found.leading == (0, 1)
    np.testing.assert_allclose(found.shares(0), [0, 0.5, 2, 0])
    np.testing.assert_allclose(found.shares(1), [3, 0])  # "bad" speaks for "down"
    assert [(one.word, one.output) for one in found.by_word()][:2] == [("bad", "down"), ("good", "up")]
    one = word_occlusion(Reader(2), TEXTS[:2], output="up", checks=False)
    np.testing.assert_allclose(one.shares(1), [-3, 0])
    probable = word_occlusion(Reader(), TEXTS[1:2], space="probability", checks=False)
    np.testing.assert_allclose(probable.shares(0)[0], 1 / (1 + np.exp(3)) - 0.5, rtol=1e-6)


def test_what_the_network_does_not_reach_is_cut_off():
    found = word_occlusion(Reader(), ["good " * 50 + "bad"], most_words=5, checks=False)
    assert found.texts == ("good good good good good",) and found.outputs[0, 0] == 10
    with pytest.raises(InputError, match="must have words"):
        word_occlusion(Reader(), ["...", ""])
    with pytest.raises(InputError, match="in a list"):
        word_occlusion(Reader(), "good")


def test_removal_curves_are_those_of_a_sum_by_hand():
    found = word_occlusion(Reader(), ["good very a film plot a film plot a film"], checks=False)
    curves = word_removal(Reader(), found, repeats=50)
    # Without "good" a fifth of 2.5 is left, without "very" too nothing; put in, they make up all.
    np.testing.assert_allclose(curves.deletion, [1, 0.2, *[0] * 9], atol=1e-12)
    np.testing.assert_allclose(curves.insertion, [0, 0.8, *[1] * 9], atol=1e-12)
    np.testing.assert_allclose(curves.random_deletion, 1 - curves.share, atol=0.2)
    area = np.trapezoid(curves.random_deletion - curves.deletion, curves.share)
    assert curves.deletion_gain == pytest.approx(area) and curves.deletion_gain > 0.3


def test_shares_that_say_nothing_get_no_gain_and_a_warning():
    good = word_occlusion(Reader(), ["a very good bad film plot film"] * 4)
    assert good.checks["deletion gain"] > 0.2 and not good.warnings
    turned = type(good)(**{**vars(good), "values": tuple(-one for one in good.values)})  # negative control
    assert word_removal(Reader(), turned).deletion_gain < -0.2
    single = word_occlusion(Reader(), ["good"])
    assert single.checks == {}  # nothing to put in order


def test_lime_finds_the_same_words():
    found = word_lime(Reader(), ["a very good film", "...", "bad plot"], samples=400)
    np.testing.assert_allclose(found.shares(0), [0, 0.5, 2, 0], atol=1e-3)  # a sum is linear
    assert found.spans[1] == () and len(found.values[1]) == 0
    assert found.checks["local R², mean"] > 0.999
    assert "'bad'" in found.summary() and found.figures()["bars"]().get_xlabel()
    assert found.tables()[0].rows[0][0] == "bad" and found.to_dict()["method"] == "lime"
