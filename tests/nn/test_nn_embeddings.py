"""Embeddings of numbers and codes: worked examples, loops written anew, clamped codes, finite differences."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.nn import BinPlace, CodeEmbedding, Part, Periodic, PiecewiseLinear, TabularInput, make_input

LAYOUT = Layout(
    (5,),
    (
        Feature("colour", "colour", "code", 3),
        Feature("age", "age", bins=(-1.0, 0.0, 2.0)),
        Feature("member", "member", "indicator"),
        Feature("city", "city", "code", 40),
        Feature("height", "height", bins=()),
    ),
)


def test_piecewise_linear_worked_example():
    ple = PiecewiseLinear([(0.0, 1.0, 3.0, 4.0), (0.0, 2.0), ()])
    x = torch.tensor([[2.0, 1.0, 7.0], [-1.0, -1.0, 0.0], [6.0, 5.0, -2.0], [0.5, 0.0, 1.0]])
    expected = [
        [1.0, 0.5, 0.0, 0.5, 7.0],
        [-1.0, 0.0, 0.0, -0.5, 0.0],  # below: the first value goes on
        [1.0, 1.0, 3.0, 2.5, -2.0],  # above: the last value goes on
        [0.5, 0.0, 0.0, 0.0, 1.0],
    ]
    assert ple(x).tolist() == expected and ple.out_features == 5
    assert not ple.state_dict()  # all of it follows from the layout


def test_piecewise_linear_loses_nothing():
    edges = torch.tensor([-2.0, -0.5, 0.25, 3.0], dtype=torch.float64)
    x = torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    ple = PiecewiseLinear([edges.tolist()]).double()
    # The values times the widths of their bins add up to the way from the first edge.
    torch.testing.assert_close(edges[0] + (ple(x) * edges.diff()).sum(1), x[:, 0], rtol=1e-6, atol=1e-6)


def test_piecewise_linear_is_continuous_and_needs_increasing_bins():
    ple = PiecewiseLinear([(-1.0, 0.5, 0.7, 2.0)])
    x = torch.linspace(-3, 4, 2001).unsqueeze(1)
    assert ple(x).diff(dim=0).abs().max() < 0.0035 / 0.2 * 1.01
    for bins in ((0.0, 0.0), (1.0, 0.0), (0.0, math.inf)):
        with pytest.raises(InputError, match="increase"):
            PiecewiseLinear([bins])


def test_periodic_by_a_loop():
    torch.manual_seed(0)
    plr = Periodic(2, frequencies=3, sigma=1.0, dim=4).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    expected = torch.zeros(5, 8, dtype=torch.float64)
    for b in range(5):
        for f in range(2):
            angles = [2 * math.pi * c.item() * x[b, f].item() for c in plr.frequencies[f]]
            waves = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            for d in range(4):
                z = sum(w * plr.weight[f, i, d].item() for i, w in enumerate(waves)) + plr.bias[f, d].item()
                expected[b, 4 * f + d] = max(z, 0.0)
    torch.testing.assert_close(plr(x), expected)
    assert torch.autograd.gradcheck(plr, (x.requires_grad_(True),))
    with pytest.raises(InputError, match="sigma"):
        Periodic(2, sigma=0.0)


def test_codes_equal_plain_embeddings_of_each_column():
    torch.manual_seed(0)
    cards, dims = [3, 10, 4, 2], [2, 4, 2, 4]
    module = CodeEmbedding(cards, dims)
    codes = torch.stack([torch.randint(c, (20,)) for c in cards], dim=1).float()
    plain = [nn.functional.embedding(codes[:, i].long(), module.vectors(i)) for i in range(4)]
    assert torch.equal(module(codes), torch.cat([plain[0], plain[2], plain[1], plain[3]], dim=1))
    assert module.out_features == 12 and len(module.tables) == 2
    rows = codes[:, :1].long()
    assert torch.equal(nn.Embedding.forward(module.tables[0], rows), module.tables[0](rows))
    module(codes).sum().backward()
    counts = torch.stack([(codes[:, 1] == code).sum() for code in range(10)])
    assert module.tables[1].weight.grad[:10, 0].tolist() == counts.tolist()
    with pytest.raises(InputError, match="embedded ones"):
        module.vectors(4)


def test_codes_outside_are_clamped():
    module = CodeEmbedding([3, 2], [2, 2])
    strange = torch.tensor([[-1.0, 0.0], [99.0, 7.0], [math.nan, math.inf], [1.0, -math.inf]])
    tame = module(torch.tensor([[0.0, 0.0], [2.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    assert torch.equal(module(strange)[[0, 1, 3]], tame[[0, 1, 3]])
    assert torch.equal(module(strange)[2, :2], tame[2, :2])  # a missing code counts as the first
    with pytest.raises(InputError, match="at least one code"):
        CodeEmbedding([0], [2])


def test_layout_decides_what_happens_to_each_column():
    torch.manual_seed(0)
    stage = TabularInput(LAYOUT, 2, "piecewise_linear")
    x = torch.tensor([[1.0, 1.0, 1.0, 39.0, 0.3], [2.0, -0.5, 0.0, 0.0, -4.0]])
    out = stage(x)
    assert stage.out_features == out.shape[1] == 1 + 3 + 4
    torch.testing.assert_close(out[:, 0], x[:, 2])
    torch.testing.assert_close(out[:, 1:4], torch.tensor([[1.0, 0.5, 0.3], [0.5, 0.0, -4.0]]))
    assert torch.equal(out[:, 4:6], stage.categorical.vectors(0)[[1, 2]])
    assert torch.equal(out[:, 6:], stage.categorical.vectors(1)[[39, 0]])


def test_widths_of_vectors_grow_with_the_number_of_categories():
    assert [part.embedding_dim for part in TabularInput(LAYOUT).categorical.tables] == [2, 8]
    many = Layout((1,), (Feature("id", "id", "code", 10_000),))
    assert TabularInput(many).out_features == 32
    assert TabularInput(many, 5).out_features == 5


def test_nothing_to_do_costs_nothing():
    plain = Layout((2,), (Feature("a", "a"), Feature("b", "b", "onehot")))
    assert make_input(plain) is None and make_input(Layout((7,))) is None
    x = torch.randn(3, 2)
    assert TabularInput(plain)(x) is x
    assert isinstance(make_input(Layout((1, 4, 4))), nn.Flatten)
    assert make_input(plain, numeric=Part("periodic", dim=3)).out_features == 4


def test_wrong_layouts():
    with pytest.raises(InputError, match="layout"):
        TabularInput(Layout((3,), (Feature("a", "a"),)))
    with pytest.raises(InputError, match="periodic"):
        TabularInput(LAYOUT, numeric="periodc")


def test_a_place_among_bins_is_how_many_bins_lie_below():
    bins = [(0.0, 1.0, 3.0, 4.0), (-1.0, 1.0), ()]
    stage = BinPlace(bins)
    x = torch.tensor([[0.0, -1.0, 7.0], [2.0, 0.0, -7.0], [4.0, 1.0, 0.0], [5.0, 2.0, 1.0], [-1.0, -2.0, 1.0]])
    below = torch.tensor([[0.0, 0.0], [1.5, 0.5], [3.0, 1.0], [4.0, 1.5], [-1.0, -0.5]])  # beyond the ends: straight on
    expected = math.sqrt(12) * (below / torch.tensor([3.0, 1.0]) - 0.5)
    torch.testing.assert_close(stage(x)[:, :2], expected)
    torch.testing.assert_close(stage(x)[:, 2], x[:, 2])  # without bins a number passes


def test_numbers_in_bins_of_equal_counts_get_their_ranks():
    values = np.sort(np.random.default_rng(0).lognormal(sigma=3.0, size=1000))
    stage = BinPlace([tuple(np.quantile(values, np.linspace(0, 1, 17)).tolist())])
    found = stage(torch.from_numpy(values.astype(np.float32))[:, None])[:, 0].numpy()
    assert (np.diff(found) >= 0).all()
    assert abs(found.mean()) < 0.05 and abs(found.std() - 1) < 0.05
    ranks = math.sqrt(12) * (np.linspace(0, 1, 1000) - 0.5)
    assert np.abs(found - ranks).max() < 0.2  # within a bin of a sixteenth, lognormal numbers are not spread evenly


def test_weights_of_places_are_weights_over_bins():
    stage = BinPlace([(0.0, 1.0, 3.0), (), (-2.0, -1.0, 0.0, 0.5, 9.0)])
    weight, x = torch.randn(4, 3), 4 * torch.randn(20, 3)
    over, offset = stage.over_bins(weight)
    torch.testing.assert_close(stage.cut(x) @ over.t() + offset, stage(x) @ weight.t(), rtol=1e-4, atol=1e-4)
