"""Question 27: gates remember where there is something to remember; a plain network will do where there is not."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from glia.lab import q27_lstm as q27
from glia.lab.bench import Bench
from glia.lab.made import line
from glia.lab.verdict import judge, weigh

BENCH = Bench(line(60))  # no claim is on the user's data


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """Of every sweep only the levels that claims compare: the others are for the figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q27, "_GAPS", (q27._GAPS[0], q27._GAPS[-1]))
        yield


def verdict(key, pair):
    claim = next(claim for claim in q27.CLAIMS if claim.key == key)
    return judge([weigh(claim, *map(np.asarray, pair))])[0][0]


@pytest.fixture(scope="module")
def found():
    return q27.measure(BENCH, range(6))


@pytest.fixture(scope="module")
def told():
    """The sign comes again at the end, and all three networks are plain ones."""
    kinds = dict.fromkeys(q27.KINDS, ("rnn", 0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q27, "_GAPS", (5, 15))  # equal networks are equal over gaps of any length
        patch.setattr(q27, "_EPOCHS", 5)  # and after any number of epochs
        return q27.measure(BENCH, range(4), partial(q27.gap, again=True, rows=300), kinds)


@pytest.mark.parametrize("key", ["short gap", "gradient", "forget gate"])
def test_a_sign_before_a_long_gap(found, key):
    assert verdict(key, found.pairs[key]) == "supported"


def test_what_an_lstm_gains_on_a_plain_network_is_seen_with_seeds(found):
    """A plain network sometimes keeps the sign; that it often does not is what the mean says."""
    for key in ("long gap", "cell state"):
        with_, without = found.pairs[key]
        assert np.mean(with_ - without) > 5.0 and verdict(key, (with_, without)) != "refuted"
        assert verdict(key, (np.repeat(with_, 4), np.repeat(without, 4))) == "supported"


@pytest.mark.parametrize("key", ["long gap", "forget gate", "gradient", "cell state"])
def test_where_nothing_is_to_be_remembered_gates_gain_nothing(told, key):
    assert verdict(key, told.pairs[key]) == "refuted"


def test_a_plain_network_that_cannot_see_fails_over_a_short_gap(found):
    blind = np.array([50.0, 52.0, 48.0, 50.0, 49.0, 51.0])
    assert verdict("short gap", (blind, found.pairs["short gap"][1])) == "refuted"


def test_the_open_lstm_is_torchs():
    torch.manual_seed(0)
    lstm = nn.LSTM(3, 5, batch_first=True).double()
    x = torch.randn(4, 7, 3, dtype=torch.double)
    lstm.float()
    outputs, (hidden, cell) = lstm(x.float())
    gates = q27.opened(lstm, x.float())
    torch.testing.assert_close(gates.hidden, outputs)
    torch.testing.assert_close(gates.cell[:, -1], cell[0])
    torch.testing.assert_close(gates.hidden[:, -1], hidden[0])
    assert all(bool(((part >= 0) & (part <= 1)).all()) for part in (gates.input, gates.forget, gates.output))


def test_a_forget_bias_opens_the_gate():
    reader = q27.Reader("lstm", 2, 1, 3.0)
    gates = q27.opened(reader.cell, torch.zeros(1, 1, 2))
    torch.testing.assert_close(gates.forget, torch.full_like(gates.forget, 1 / (1 + np.exp(-3.0))))


def test_a_state_that_holds_the_sign_is_found_by_a_line_and_noise_is_not():
    data = q27.gap(6, 0, 400)
    reader = q27.Reader("rnn", 2, 1, hidden=2)
    with torch.no_grad():
        for part in reader.cell.parameters():
            part.zero_()
        reader.cell.weight_ih_l0[0, 0] = 1.0  # the state is the step's own input: the sign at the first step alone
    found = q27.probed(reader, data)
    assert found[0] == 100.0 and abs(found[1:].mean() - 50.0) < 10.0


def test_gradients_shrink_by_the_known_factor():
    """A plain network without nonlinearity to speak of: the share of the gradient is weight to the power of steps."""
    data = q27.gap(10, 0, 100)
    reader = q27.reaching(BENCH, 0, ("rnn", 0.0), data)
    longer = q27.reaching(BENCH, 0, ("rnn", 0.0), q27.gap(20, 0, 100))
    assert longer < reader < 0.0
