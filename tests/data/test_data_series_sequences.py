"""Sequences as users have them, and what they become."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from glia.core.errors import InputError, ModelFileError
from glia.data.series import SequencePreparation, as_sequences, sequences_of

NAN = float("nan")


def test_all_forms_mean_the_same():
    parts = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]])]
    padded = np.array([[[1.0, 2], [3, 4]], [[5, 6], [NAN, NAN]]])
    frame = pl.DataFrame({"id": ["b", "a", "b"], "t": [2, 1, 1], "u": [3.0, 5.0, 1.0], "v": [4, 6, 2]})
    found = [as_sequences(parts), as_sequences(padded), sequences_of(frame, id="id", time="t")]
    found.append(sequences_of(pd.DataFrame(frame.to_dict(as_series=False)), id="id", time="t", channels=["u", "v"]))
    for one in found:
        assert one.lengths.tolist() == [2, 1]
        assert one.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert found[2].ids == ("b", "a") and found[2].channels == ("u", "v")
    dense = found[0].dense(3)
    assert dense[0].tolist() == [[1, 2, 1], [3, 4, 1], [0, 0, 0]]
    assert found[0].dense(1)[0].tolist() == [[3, 4, 1]]  # the last steps are kept
    assert as_sequences(np.ones((2, 5))).values.shape == (10, 1)
    assert as_sequences(np.array([np.ones(2), np.ones(3)], dtype=object)).lengths.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1.0], []], "at least one step · got sequence 1 of length 0 · leave it out"),
        ([], "0 sample"),
        (np.ones(4), "shape .4,. · one sequence alone"),
        (np.ones((2, 0)), "at least one step"),
        (np.full((2, 3), NAN), "some value is known · got sequence 0"),
        ([np.ones((2, 2)), np.ones((2, 3))], "same channels.*2 in the first and 3 in sequence 1"),
        ([np.ones((2, 2, 2))], "shape .2, 2, 2."),
        ([["a"]], "of numbers · got sequence 0"),
        ([[1.0, np.inf]], "finite.*infinity in sequence 0"),
        ("abc", "must be an array"),
        (pl.DataFrame({"a": [1]}), "sequences_of"),
    ],
)
def test_what_cannot_be_read_is_told(X, words):
    with pytest.raises(InputError, match=words):
        as_sequences(X)


def test_long_tables_that_cannot_be_read():
    frame = pl.DataFrame({"id": [1, 1, 2], "t": [1, 1, 1], "v": [1.0, 2.0, 3.0], "w": ["x", "y", "z"]})
    for options, words in (
        ({"id": "idd", "time": "t"}, "did you mean 'id'"),
        ({"id": "id", "time": "t", "channels": ["v"]}, "1 times that a sequence has twice"),
        ({"id": "id", "channels": ["w"]}, "channels must be numbers · got 'x' in 'w'"),
    ):
        with pytest.raises(InputError, match=words):
            sequences_of(frame, **options)
    assert sequences_of(frame, id="id", channels=["v"]).lengths.tolist() == [2, 1]


def test_scales_count_real_known_steps_only():
    X = [np.array([[1.0, 10.0], [3.0, NAN]]), np.array([[5.0, 30.0]])]
    made = SequencePreparation().fit(X)
    x = made.transform(X)
    assert x.shape == (2, 2, 4) and made.layout_.shape == (2, 4)
    std = np.std([1, 3, 5])
    np.testing.assert_allclose(x[0, :, 0], [-2 / std, 0], atol=1e-6)
    np.testing.assert_allclose(x[0, :, 1], [-1, -1], atol=1e-6)  # the gap takes the value before
    assert x[0, :, 2].tolist() == [0, 1] and x[..., 3].tolist() == [[1, 1], [1, 0]]
    assert x[1, 1].tolist() == [0, 0, 0, 0]
    first = made.transform([np.array([[NAN, NAN], [1.0, 20.0]])])
    assert first[0, 0].tolist() == [0, 0, 1, 1]  # nothing comes before: the mean, not what comes later
    far = made.transform([np.array([[1e300, -1e300]])])
    assert np.isfinite(far).all()


def test_each_sequence_by_its_own_scale_and_none():
    X = [np.array([1.0, 2.0, 3.0]), np.array([100.0, 200.0, 300.0]), np.array([7.0])]
    x = SequencePreparation(scale="per_series").fit(X).transform(X)
    np.testing.assert_allclose(x[0], x[1], atol=1e-6)
    assert x[2, 0].tolist() == [0, 1]
    plain = SequencePreparation(scale="none").fit_transform(X)
    assert plain[1, :, 0].tolist() == [100, 200, 300]


def test_lengths_are_bounded():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=100_000), rng.normal(size=1)]
    made = SequencePreparation().fit(X)
    assert made.length_ == 2048 and made.transform(X).shape == (2, 2048, 2)
    assert SequencePreparation(max_length=5).fit(X).transform([np.arange(9.0)])[0, :, 1].tolist() == [1] * 5
    for bad in (0, 2.5, True, "long"):
        with pytest.raises(InputError, match="max_length must be"):
            SequencePreparation(max_length=bad).fit(X)
    with pytest.raises(InputError, match="scale must be one of"):
        SequencePreparation(scale="robust").fit(X)


def test_state_comes_back_to_the_bit_and_must_fit():
    rng = np.random.default_rng(0)
    X = [np.where(rng.random((n, 3)) < 0.1, NAN, rng.normal(size=(n, 3))) for n in (4, 9, 2)]
    made = SequencePreparation().fit(X)
    state, arrays = made.to_state()
    assert np.array_equal(SequencePreparation.from_state(state, arrays).transform(X), made.transform(X))
    with pytest.raises(ModelFileError, match="format version"):
        SequencePreparation.from_state({**state, "version": 9}, arrays)
    with pytest.raises(ModelFileError, match="fit together"):
        SequencePreparation.from_state(state, {**arrays, "std": np.zeros(3)})
    with pytest.raises(InputError, match="2 channels instead of 3"):
        made.transform([np.ones((2, 2))])
