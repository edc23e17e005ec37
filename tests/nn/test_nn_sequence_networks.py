"""Networks of sequences: cells by their equations, masks that leak nothing, what is causal, what is seen."""

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.nn import (
    GRU,
    LSTM,
    RNN,
    TCN,
    MLPNetwork,
    SequenceTransformer,
    attention_maps,
    gate_activations,
    networks,
    spec_from_dict,
)
from glia.nn.sequence_network import pooled, reversed_steps
from glia.nn.sequence_transformer import sinusoidal_positions
from glia.nn.tcn import MaskedBatchNorm, receptive_field

LAYOUT = Layout((9, 4))  # 9 steps, 3 channels and the mask
LENGTHS = (9, 4, 1, 6)
SPECS = {
    "rnn": RNN(hidden=5),
    "gru": GRU(hidden=5, pooling="mean"),
    "lstm": LSTM(hidden=5, layers=2, dropout=0.3),
    "lstm both ways": LSTM(hidden=5, layers=2, bidirectional=True),
    "gru both ways, max": GRU(hidden=5, bidirectional=True, pooling="max"),
    "tcn": TCN(channels=6, causal=True),
    "tcn both ways": TCN(channels=6, causal=False, kernel_size=4, pooling="mean", norm="layer"),
    "tcn without norm": TCN(channels=6, levels=2, norm="none", dropout=0.2, pooling="max"),
    "transformer": SequenceTransformer(dim=8, num_heads=2),
    "transformer, causal": SequenceTransformer(dim=8, num_heads=2, causal=True, pooling="last"),
}
CAUSAL = ("rnn", "gru", "lstm", "tcn", "tcn without norm", "transformer, causal")


def rows(seed=0, lengths=LENGTHS, steps=9):
    x = torch.randn(len(lengths), steps, 4, generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(steps)[None] < torch.tensor(lengths)[:, None]
    x[..., -1] = mask.float()
    x[..., :-1] *= mask.unsqueeze(-1)
    return x


def built(name, head="sequence", outputs=2, layout=LAYOUT):
    torch.manual_seed(1)
    spec = spec_from_dict(SPECS[name].to_dict()).set_params(head=head)
    return spec.build(layout, outputs).eval()


def lstm_by_hand(x, w_ih, w_hh, b):
    """The equations of an LSTM in float64, one number after the other: gates, states."""
    size = w_hh.shape[1]

    def sigmoid(z):
        return 1.0 / (1.0 + np.exp(-z))

    h, c, seen = np.zeros(size), np.zeros(size), []
    for step in x:
        i, f, g, o = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
        for gate, out in enumerate((i, f, g, o)):
            for unit in range(size):
                row = gate * size + unit
                z = sum(w_ih[row, k] * step[k] for k in range(len(step)))
                z += sum(w_hh[row, k] * h[k] for k in range(size)) + b[row]
                out[unit] = np.tanh(z) if gate == 2 else sigmoid(z)
        c = f * c + i * g
        h = o * np.tanh(c)
        seen.append((i, f, o, g, c, h))
    return [np.array(part) for part in zip(*seen, strict=True)]


def test_an_lstm_does_what_its_equations_say():
    network, x = built("lstm"), rows()
    found = gate_activations(network, x)
    assert len(found) == 2
    for row, length in enumerate(LENGTHS):
        given = x[row, :length, :3].double().numpy()
        for layer, cell in enumerate(network.ahead):
            w_ih, w_hh = (getattr(cell, f"weight_{k}_l0").detach().double().numpy() for k in ("ih", "hh"))
            bias = (cell.bias_ih_l0 + cell.bias_hh_l0).detach().double().numpy()
            wanted = lstm_by_hand(given, w_ih, w_hh, bias)
            names = ("input", "forget", "output", "candidate", "cell", "hidden")
            for name, expected in zip(names, wanted, strict=True):
                np.testing.assert_allclose(getattr(found[layer], name)[row, :length], expected, atol=2e-6)
            given = wanted[-1]
        answer = given[-1] @ network.head.weight.detach().double().numpy().T + network.head.bias.detach().numpy()
        np.testing.assert_allclose(network(x)[row].detach(), answer, atol=2e-6)


def test_gates_of_both_directions_and_of_torchs_own():
    network, x = built("lstm both ways"), rows()
    found = gate_activations(network, x)
    assert [gates.backward for gates in found] == [False, True, False, True]
    mask = x[..., -1] > 0.5
    states = network.encode(x[..., :-1], mask).detach()
    joined = torch.cat([found[2].hidden, found[3].hidden], -1)
    torch.testing.assert_close(joined, states.masked_fill(~mask.unsqueeze(-1), 0), atol=1e-6, rtol=0)
    assert float(joined[1, 4:].abs().max()) == 0
    lstm = nn.LSTM(3, 4, num_layers=2, batch_first=True)
    torch.testing.assert_close(gate_activations(lstm, x[..., :3])[-1].hidden, lstm(x[..., :3])[0].detach())
    with pytest.raises(InputError, match="LSTM cells"):
        gate_activations(built("gru"), x)


@pytest.mark.parametrize("name", list(SPECS))
@pytest.mark.parametrize("head", ["sequence", "steps"])
def test_padding_says_nothing(name, head):
    network, x = built(name, head, 18 if head == "steps" else 2), rows()
    changed = x.clone()
    for row, length in enumerate(LENGTHS):
        changed[row, length:, :-1] = torch.randn(9 - length, 3) * 100
    changed[1, 5, 0] = float("nan")
    with torch.no_grad():
        assert torch.equal(network(changed), network(x))
        real = x.clone()
        real[1, 3, 0] += 1.0  # the last real step does count: the test would see it
        assert not torch.equal(network(real)[1], network(x)[1])
        assert torch.equal(network(real)[[0, 2, 3]], network(x)[[0, 2, 3]])
    changed = changed.nan_to_num().requires_grad_()
    network(changed).sum().backward()
    for row, length in enumerate(LENGTHS):
        assert float(changed.grad[row, length:, :-1].abs().sum()) == 0


@pytest.mark.parametrize("name", list(SPECS))
def test_more_padding_changes_nothing(name):
    network, x = built(name), rows()
    longer = torch.cat([x, torch.zeros(4, 5, 4)], 1)
    other = built(name, layout=Layout((14, 4)))
    if "tcn" in name and SPECS[name].levels == "auto":
        levels = len(network.blocks)
        torch.manual_seed(1)
        other = spec_from_dict(SPECS[name].to_dict()).set_params(levels=levels).build(Layout((14, 4)), 2).eval()
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other(longer), network(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", list(SPECS))
def test_the_future_says_nothing_to_causal_networks(name):
    network, x = built(name, "steps", 18), rows(lengths=(9, 9))
    later = x.clone()
    later[:, 5:, :-1] = torch.randn(2, 4, 3) * 10
    with torch.no_grad():
        before, after = network(x).view(2, 9, 2), network(later).view(2, 9, 2)
    assert torch.equal(before[:, :5], after[:, :5]) == (name in CAUSAL)
    assert not torch.equal(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("name", ["lstm both ways", "tcn", "transformer", "gru both ways, max"])
def test_gradients_are_those_of_finite_differences(name):
    network, x = built(name).double(), rows(lengths=(9, 4)).double()
    x.requires_grad_()
    loss = network(x).square().sum()
    (gradient,) = torch.autograd.grad(loss, x)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        way = torch.randn(x.shape, generator=generator).double()
        way[..., -1] = 0
        ends = [network(x.detach() + step * way).detach().square().sum() for step in (1e-6, -1e-6)]
        assert float((ends[0] - ends[1]) / 2e-6) == pytest.approx(float((gradient * way).sum()), rel=1e-5, abs=1e-6)


def test_pooling_and_reversing_by_hand():
    states = torch.tensor([[[1.0], [5.0], [2.0], [9.0]], [[4.0], [8.0], [8.0], [8.0]]])
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    assert pooled(states, mask, "last").tolist() == [[2.0], [4.0]]
    assert pooled(states, mask, "max").tolist() == [[5.0], [4.0]]
    assert pooled(states, mask, "mean")[:, 0].tolist() == pytest.approx([8 / 3, 4.0])
    assert reversed_steps(states, mask)[..., 0].tolist() == [[2.0, 5.0, 1.0, 9.0], [4.0, 8.0, 8.0, 8.0]]


def test_masked_batch_norm_is_torchs_own_on_the_real_steps():
    torch.manual_seed(0)
    ours, own = MaskedBatchNorm(3), nn.BatchNorm1d(3)
    x, mask = torch.randn(4, 3, 7), torch.rand(4, 1, 7) > 0.4
    found = ours(x, mask).transpose(1, 2)[mask[:, 0]]
    torch.testing.assert_close(found, own(x.transpose(1, 2)[mask[:, 0]]))
    torch.testing.assert_close(ours.running_mean, own.running_mean)
    torch.testing.assert_close(ours.running_var, own.running_var)


@pytest.mark.parametrize(("kernel", "levels"), [(2, 3), (3, 2), (5, 1)])
def test_a_causal_output_sees_its_receptive_field_and_no_more(kernel, levels):
    spec = TCN(channels=4, levels=levels, kernel_size=kernel, norm="none", head="steps")
    torch.manual_seed(0)
    x = torch.rand(1, 40, 2)
    x[..., -1] = 1.0
    network = spec.build(Layout((40, 2)), 40).eval()
    x.requires_grad_()
    network(x)[0, -1].backward()
    seen = torch.nonzero(x.grad[0, :, 0])[:, 0]
    assert 40 - int(seen.min()) == receptive_field(kernel, levels)


def test_attention_adds_up_and_does_not_look_at_padding_or_ahead():
    x = rows()
    for name in ("transformer", "transformer, causal"):
        maps = attention_maps(built(name), x)
        assert len(maps) == 2 and maps[0].shape == (4, 2, 9, 9)
        torch.testing.assert_close(maps[0].sum(-1), torch.ones(4, 2, 9))
        assert float(maps[1][1, :, :, 4:].abs().max()) == 0
        ahead = float(maps[0][0].triu(1).abs().max())
        assert (ahead == 0) == ("causal" in name)
    network = MLPNetwork(3, 2)
    with pytest.raises(InputError, match="sequence transformer"):
        attention_maps(network, x)


def test_positions_by_hand():
    found = sinusoidal_positions(3, 4)
    assert found[2].tolist() == pytest.approx([np.sin(2), np.cos(2), np.sin(0.02), np.cos(0.02)], abs=1e-6)


def test_many_rows_are_answered_in_parts_with_the_same_bits(monkeypatch):
    network, x = built("gru"), torch.cat([rows(seed) for seed in range(8)])
    with torch.no_grad():
        whole = network(x)
        monkeypatch.setattr("glia.nn.sequence_network._CELLS", 9 * 16)
        torch.testing.assert_close(network(x), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "tcn", "sequence_transformer"])
def test_settings_come_back_and_wrong_ones_are_told_at_once(name):
    spec = networks.get(name)()
    assert spec_from_dict(spec.to_dict()).get_params() == spec.get_params()
    with pytest.raises(InputError, match=r"2 problems.*dropout.*pooling"):
        networks.get(name)(dropout=1.0, pooling="first").build(LAYOUT, 2)
    with pytest.raises(InputError, match="rows must be sequences"):
        spec.build(Layout((5,)), 2)
    with pytest.raises(InputError, match="head for steps"):
        networks.get(name)(head="steps").build(LAYOUT, 10)


def test_what_else_cannot_be():
    for spec, words in (
        (TCN(norm="group"), "norm must be one of"),
        (TCN(kernel_size=1), "kernel_size must be at least 2"),
        (SequenceTransformer(dim=10, num_heads=4), "multiple of num_heads"),
        (LSTM(hidden=0), "hidden must be a whole number"),
    ):
        with pytest.raises(InputError, match=words):
            spec.build(LAYOUT, 2)
