"""Question 26: recurrent networks gain where order tells something, and nothing where it does not."""

from functools import partial

import numpy as np
import pytest
import torch

from glia.lab import q26_recurrent_networks as q26
from glia.lab.bench import Bench
from glia.lab.made import line
from glia.lab.verdict import judge, weigh

BENCH = Bench(line(60))  # no claim is on the user's data


@pytest.fixture(autouse=True, scope="module")
def short_sweeps():
    """The sweep over lengths is for the figure alone. Larger batches make fewer steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q26, "_LENGTHS", ())
        patch.setattr(q26, "_BATCH", 60)
        patch.setattr(q26, "_RATE", 1.5e-2)
        patch.setattr(q26, "_EPOCHS", 10)
        yield


def verdict(key, pair):
    claim = next(claim for claim in q26.CLAIMS if claim.key == key)
    return judge([weigh(claim, *map(np.asarray, pair))])[0][0]


@pytest.fixture(scope="module")
def found():
    """All but the networks with gates, which are not asked about here."""
    trained = q26.trained
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            q26,
            "trained",
            lambda bench, seeds, kind, **options: (
                np.zeros(len(seeds)) if kind in ("gru", "lstm") else trained(bench, seeds, kind, **options)
            ),
        )
        return q26.measure(BENCH, range(5))


@pytest.fixture(scope="module")
def reversed_():
    """Counts where order was asked for and the reverse, steps that say it all, sequences without padding."""
    data = {
        "order": partial(q26.more_often, rows=400),
        "counts": partial(q26.first_of_two, rows=400),
        "sides": partial(q26.both_sides, rows=300, alone=True),
        "lengths": partial(q26.unequal, steps=8, rows=400, shortest=8),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(q26, "_RATE", 2e-2)  # fewer rows make fewer steps still
        patch.setattr(q26, "_EPOCHS", 12)
        return q26.measure(BENCH, range(4), data)


@pytest.mark.parametrize("claim", q26.CLAIMS, ids=lambda claim: claim.key)
def test_each_claim_on_the_data_that_it_is_about(found, claim):
    if claim.key != "gru":
        assert verdict(claim.key, found.pairs[claim.key]) == "supported"


@pytest.mark.parametrize("key", ["order matters", "bag is enough", "every step", "both directions", "variable length"])
def test_each_claim_on_data_on_which_it_fails(reversed_, key):
    assert verdict(key, reversed_.pairs[key]) == "refuted"


def test_a_gru_keeps_up_or_does_not(reversed_):
    assert verdict("gru", reversed_.pairs["gru"]) == "supported"  # both count without a mistake
    with_, without = reversed_.pairs["gru"]
    assert verdict("gru", (with_ - 10.0 - 0.1 * np.arange(4), without)) == "refuted"


def test_the_answer_comes_after_the_last_real_step():
    net = q26.Recurrent("gru", 2, 1, own_end=True).eval()
    plain = q26.Recurrent("gru", 2, 1).eval()
    plain.load_state_dict(net.state_dict())
    x = torch.randn(3, 6, 2)
    x[..., -1] = 1.0
    padded = torch.cat([x, torch.zeros(3, 5, 2)], dim=1)
    torch.testing.assert_close(net(padded), plain(x))
    assert not torch.allclose(plain(padded), plain(x))


def test_a_bag_cannot_tell_orders_apart_and_a_recurrent_network_can():
    x = torch.randn(4, 7, 2)
    backwards = x.flip(1)
    bag, net = q26.Bag(2, 1), q26.Recurrent("rnn", 2, 1)
    torch.testing.assert_close(bag(x), bag(backwards))
    assert not torch.allclose(net(x), net(backwards))


def test_made_sequences_have_the_labels_that_they_are_said_to_have():
    data = q26.first_of_two(0, rows=50)
    peaks = data.train.x.argmax(dim=1)  # (N, 2): when each event happens
    assert torch.equal((peaks[:, 0] < peaks[:, 1]).float(), data.train.y)
    sides = q26.both_sides(0, rows=50)
    x = torch.nn.functional.pad(sides.train.x[..., 0], (1, 1))
    y = x[:, :-2] + x[:, 2:]
    assert torch.corrcoef(torch.stack([y.flatten(), sides.train.y.flatten()]))[0, 1] > 0.999
