"""Dropout keeps the expectation, drops channels whole, and Monte-Carlo dropout leaves no trace."""

import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.nn import Part, dropouts, make_dropout, monte_carlo_dropout, monte_carlo_samples


def test_expectation_is_kept_and_values_are_scaled():
    torch.manual_seed(0)
    out = make_dropout(0.3).train()(torch.ones(200_000))
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    # Standard error of the mean: √(0.3 / 0.7 / n).
    assert abs(out.mean().item() - 1) < 5 * (0.3 / 0.7 / 200_000) ** 0.5
    assert make_dropout(0.3).eval()(torch.ones(5)).tolist() == [1] * 5
    assert make_dropout(0.0) is None


def test_spatial_dropout_takes_whole_channels():
    torch.manual_seed(0)
    out = make_dropout(0.5, "spatial").train()(torch.ones(40, 10, 3, 3)).flatten(2)
    assert (out == out[..., :1]).all() and set(out.unique().tolist()) == {0.0, 2.0}
    plain = make_dropout(0.5).train()(torch.ones(40, 10, 3, 3)).flatten(2)
    assert not (plain == plain[..., :1]).all()
    assert isinstance(make_dropout(0.5, Part("channel", dims=1)), nn.Dropout1d)


def test_alpha_dropout_keeps_moments():
    torch.manual_seed(0)
    out = make_dropout(0.2, "alpha").train()(torch.randn(200_000))
    assert abs(out.mean()) < 0.02 and abs(out.var() - 1) < 0.03
    assert dropouts.names() == ("alpha", "inverted", "spatial")


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_wrong_probability(p):
    with pytest.raises(InputError, match="dropout probability"):
        make_dropout(p)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.4), nn.Linear(64, 1))


def test_monte_carlo_turns_on_dropout_only_and_restores_modes_on_errors():
    net = network().eval()
    net[2].train()
    before = [m.training for m in net.modules()]
    with pytest.raises(RuntimeError, match="boom"), monte_carlo_dropout(net):
        assert net[3].training and not net[1].training and not net[2].training
        raise RuntimeError("boom")
    assert [m.training for m in net.modules()] == before


def test_samples_average_to_the_plain_prediction_and_repeat():
    net, x = network().eval(), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    samples = monte_carlo_samples(net, x, 2000, random_state=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert samples.shape == (2000, 5, 1) and torch.equal(samples[:3], monte_carlo_samples(net, x, 3, random_state=1))
    # After the last dropout the network is linear, so the mean over masks is the plain output exactly.
    error = (samples.mean(0) - net(x)).abs() / (samples.std(0) / 2000**0.5)
    assert (error < 5).all() and (samples.std(0) > 0.01).all()


def test_samples_need_dropout():
    with pytest.raises(InputError, match="p > 0"):
        monte_carlo_samples(nn.Linear(2, 1), torch.zeros(1, 2))
    with pytest.raises(InputError, match="at least 1"):
        monte_carlo_samples(network(), torch.zeros(1, 4), 0)
