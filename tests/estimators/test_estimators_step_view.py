"""One step seen alone: the labeler's own answers, a planted lag that explanations find, windows over long sequences."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glia import InputError, SequenceLabeler
from glia.data.series import as_sequences
from glia.estimators.step_view import AtStep, at_steps, hardest_steps, labelled_rows_of
from glia.estimators.step_windows import cut_evenly, windows_of
from glia.explain import quick_check, removal
from glia.explain.occlusion import occlusion

LAG = 3


def planted(count=160, steps=16, seed=0):
    """The label of a step is the sign of the first of two channels three steps before; before that, "low"."""
    X = np.random.default_rng(seed).normal(size=(count, steps, 2))
    y = np.where(np.concatenate([-np.ones((count, LAG)), X[:, :-LAG, 0]], 1) > 0, "high", "low")
    return X, y


@pytest.fixture(scope="module")
def model():
    return SequenceLabeler("gru", epochs=25, batch_size=32).fit(*planted(400))


def test_the_model_has_learned(model):
    X, y = planted(60, seed=1)
    assert model.evaluate(X, y, n_boot=20)["accuracy"].value > 0.95


def test_a_step_alone_is_the_labelers_own_answer(model):
    rng = np.random.default_rng(2)
    rows = as_sequences([rng.normal(size=(n, 2)) for n in (16, 5, 9)])
    step = np.array([7, 4, 0])
    whole, view = model.predict_proba(rows), AtStep(model)
    found = view.predict_proba(at_steps(rows, step, 16))
    np.testing.assert_allclose(found, [one[s] for one, s in zip(whole, step, strict=True)], atol=1e-6)
    assert view.predict(at_steps(rows, step, 16)).tolist() == [
        one[s] for one, s in zip(model.predict(rows), step, strict=True)
    ]
    part = at_steps(rows, step, 16)[1:]
    np.testing.assert_allclose(view.predict_proba(part), found[1:], atol=1e-6)
    assert len(part) == 2


def shares(view, rows, step):
    """Return which share of the size of all values lies two to four steps before, in the first channel, per row.

    Also returned is in how many rows three steps before is the strongest place of all.
    """
    sizes = np.abs(occlusion(view, rows).values)
    near = [one[max(s - LAG - 1, 0) : s - LAG + 2, 0].sum() / one.sum() for one, s in zip(sizes, step, strict=True)]
    places = [np.unravel_index(one.argmax(), one.shape) for one in sizes]
    return np.median(near), sum(tuple(p) == (s - LAG, 0) for p, s in zip(places, step, strict=True))


def test_the_planted_step_carries_most_and_scrambled_weights_do_not(model):
    X, _ = planted(12, seed=3)
    step = np.random.default_rng(4).integers(LAG, 16, 12)
    rows, view = at_steps(as_sequences(X), step, 16), AtStep(model)
    share, strongest = shares(view, rows, step)
    assert share > 0.5 and strongest >= 10  # of 12
    result = quick_check(view, rows, occlusion(view, rows), against=("input_x_gradient",))
    assert result.checks["deletion gain"] > 0.2 and not result.warnings
    assert removal(view, rows, result).deletion_gain > 0.2
    scrambled = AtStep(deepcopy(model))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in scrambled.network_.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * weight.square().mean().sqrt())
    share, strongest = shares(scrambled, rows, step)
    assert share < 0.2 and strongest <= 2


def test_what_comes_later_has_no_part_where_the_network_looks_back_only(model):
    X, _ = planted(4, seed=5)
    step = np.array([5, 8, 3, 10])
    values = occlusion(AtStep(model), at_steps(as_sequences(X), step, 16)).values
    for row, last in enumerate(step):
        assert np.abs(values[row, : last + 1]).max() > 0.1 and not values[row, last + 1 :].any()


def test_the_hardest_step_is_the_least_probable_right_answer(model):
    X, y = planted(6, seed=6)
    rows = as_sequences(X)
    probability = model.predict_proba(rows)
    steps, told = hardest_steps(model, rows, list(y))
    codes = (y == "low").astype(int)
    assert told and steps.tolist() == [
        int(p[np.arange(16), c].argmin()) for p, c in zip(probability, codes, strict=True)
    ]
    unsure, told = hardest_steps(model, rows)
    assert not told and unsure.tolist() == [int(p.max(1).argmin()) for p in probability]
    gaps = [np.array([None] * 15 + [one[-1]], dtype=object) for one in y]
    assert hardest_steps(model, rows, gaps)[0].tolist() == [15] * 6


def test_steps_that_are_not_there_are_refused(model):
    rows = as_sequences(planted(2, seed=7)[0])
    with pytest.raises(InputError, match="step 16 of 'number 1', which has 16"):
        at_steps(rows, np.array([3, 16]), 16)


def test_labelled_steps_are_rows_of_their_own(model):
    X, y = planted(9, seed=8)
    labels = np.empty(9, dtype=object)
    for i, one in enumerate(y):
        labels[i] = np.array([None, *one[1:]], dtype=object)
    rows, right = labelled_rows_of(model, as_sequences(X), labels, most=50, random_state=1)
    assert len(rows) == len(right) == 50 and (rows.step > 0).all()
    whole, all_right = labelled_rows_of(model, as_sequences(X), labels, most=1000)
    assert len(whole) == 9 * 15 and all_right.tolist() == y[:, 1:].ravel().tolist()
    said = AtStep(model).predict(whole)
    assert said.tolist() == np.concatenate([one[1:] for one in model.predict(as_sequences(X))]).tolist()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 12))
def test_windows_hold_every_step_once_and_in_order(lengths, steps):
    rows = as_sequences([np.arange(n) + 100.0 * i for i, n in enumerate(lengths)])
    cut = windows_of(rows, steps)
    assert cut.sequences.lengths.max() <= steps
    np.testing.assert_array_equal(cut.sequences.values[cut.kept], rows.values)
    first = np.cumsum(cut.sequences.lengths) - cut.sequences.lengths
    np.testing.assert_array_equal(cut.sequences.values[first, 0], cut.start + 100.0 * cut.row)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 12))
def test_parts_are_the_sequences_cut(lengths, steps):
    rows = as_sequences([np.arange(n) + 100.0 * i for i, n in enumerate(lengths)])
    labels = [np.arange(n) + 100 * i for i, n in enumerate(lengths)]
    cut, parts, row = cut_evenly(rows, labels, steps)
    assert cut.lengths.max() <= steps and cut.lengths.tolist() == [len(part) for part in parts]
    np.testing.assert_array_equal(cut.values[:, 0], np.concatenate(parts))
    assert row.tolist() == [int(part[0]) // 100 for part in parts]
    for number in range(len(lengths)):
        own = cut.lengths[row == number]
        assert own.max() - own.min() <= 1 and len(own) == -(-lengths[number] // steps)


def test_weights_of_long_sequences_are_those_of_their_parts(monkeypatch):
    X, y = planted(24, steps=24, seed=2)
    weight = np.arange(24) % 3 + 1.0
    how = {"network": "gru", "epochs": 2, "early_stopping": False}
    alone = SequenceLabeler(**how).fit(X.reshape(72, 8, 2), y.reshape(72, 8), np.repeat(weight, 3))
    monkeypatch.setattr("glia.estimators.sequence_labeler.LONGEST", 8)
    cut = SequenceLabeler(**how).fit(X, y, weight)
    np.testing.assert_array_equal(cut.predict_proba(X[:1, :8])[0], alone.predict_proba(X[:1, :8])[0])


def test_long_sequences_are_labelled_like_short_ones(model):
    """A lag of three steps is inside every window of 16, up to the border between two of them."""
    X, y = planted(20, steps=100, seed=9)
    assert np.mean([one == right for one, right in zip(model.predict(X), y, strict=True)]) > 0.95
    whole = model.predict_proba(X)
    np.testing.assert_allclose(whole[0][:8], model.predict_proba(X[:1, :16])[0][:8], atol=1e-6)
    assert all(one.shape == (100, 2) for one in whole)
