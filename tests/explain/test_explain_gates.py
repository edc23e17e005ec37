"""Gates over time as a result: torch's own cells, padded steps, and a gate that was planted."""

import numpy as np
import pytest
import torch

from glia import SequenceClassifier
from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.explain import gates
from glia.nn import GRU, LSTM, RNN, gate_activations, gru_gate_activations


class Fitted:
    def __init__(self, network):
        self.network_ = network

    def prepare(self, X):
        return X


def rows(count=3, steps=9, channels=2, seed=0):
    x = torch.randn(count, steps, channels + 1, generator=torch.Generator().manual_seed(seed))
    x[..., -1] = 1.0
    x[1, 6:, -1] = 0.0
    return x


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gru_states_are_those_of_torch(bidirectional):
    torch.manual_seed(0)
    network = GRU(hidden=4, layers=2, bidirectional=bidirectional).build(Layout((9, 3)), 2)
    x = rows()
    mask = x[..., -1] > 0.5
    found = gru_gate_activations(network, x)
    states = network.encode(x[..., :-1].masked_fill(~mask.unsqueeze(-1), 0.0), mask)
    last = torch.cat([layer.hidden for layer in found[-(2 if bidirectional else 1) :]], -1)
    torch.testing.assert_close(last[mask], states[mask].detach())
    assert [layer.backward for layer in found] == ([False, True] * 2 if bidirectional else [False] * 2)
    for layer in found:
        assert ((layer.reset[mask] > 0) & (layer.reset[mask] < 1)).all() and not layer.keep[~mask].any()
        h, z, n = layer.hidden, layer.keep, layer.candidate
        before = torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)
        if not layer.backward:
            torch.testing.assert_close(h[mask], ((1 - z) * n + z * before)[mask])


@pytest.mark.parametrize(("spec", "names"), [(LSTM(hidden=4), "input forget output"), (GRU(hidden=4), "reset keep")])
def test_means_tables_and_figures(spec, names):
    network = spec.build(Layout((9, 3)), 2)
    x = rows()
    found = gates(Fitted(network), x)
    read = (gate_activations if names.startswith("input") else gru_gate_activations)(network, x)[0]
    for name in names.split():
        values = getattr(read, name).double().numpy()
        assert np.allclose(found.layers[0][name], values)
        assert np.allclose(found.mean(name)[7], values[[0, 2], 7].mean())  # row 1 has ended there
    assert [row[:2] for row in found.tables()[0].rows] == [("layer 1", name) for name in names.split()]
    assert names.split()[0] in found.summary()
    axes = found.figures()["gates"]()
    assert [line.get_ydata().tolist() for line in axes.lines] == [found.mean(name).tolist() for name in names.split()]
    assert "gate moves most" in axes.get_title(loc="left")
    drawn = found.figures()["units"](gate="hidden", row=1).images[0].get_array()
    assert drawn.shape == (4, 6) and np.allclose(drawn, found.layers[0]["hidden"][1, :6].T)


def test_a_planted_gate_is_seen():
    """The input gate hangs on the first channel alone, which is high at step 4."""
    network = LSTM(hidden=4).build(Layout((9, 3)), 2)
    with torch.no_grad():
        for weight in network.ahead[0].parameters():
            weight.zero_()
        network.ahead[0].weight_ih_l0[:4, 0] = 5.0
    x = torch.zeros(2, 9, 3)
    x[..., -1], x[:, 4, 0], x[:, :4, 0], x[:, 5:, 0] = 1.0, 2.0, -2.0, -2.0
    found = gates(Fitted(network), x)
    assert int(found.mean("input").argmax()) == 4 and found.mean("input")[4] > 0.99 and found.mean("input")[3] < 0.01
    assert "0.00 at step 0, 1.00 at step 4" in found.figures()["gates"]().get_title(loc="left")


def test_of_an_estimator_and_refused():
    x = np.random.default_rng(0).normal(size=(40, 8))
    fitted = SequenceClassifier(network=GRU(hidden=4), epochs=1).fit(x, (x[:, 0] > 0).astype(int))
    assert gates(fitted, x[:5]).layers[0]["keep"].shape == (5, 8, 4)
    with pytest.raises(InputError, match="LSTM and GRU"):
        gates(Fitted(RNN(hidden=4).build(Layout((9, 3)), 2)), rows())
    with pytest.raises(InputError, match="GRU cells"):
        gru_gate_activations(LSTM(hidden=4).build(Layout((9, 3)), 2), rows())
