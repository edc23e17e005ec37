"""Shapley values against brute force over orders, closed forms, the axioms, and their own standard errors."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain.shap import shap
from glia.explain.shapley_exact import coalitions, from_values
from glia.explain.shapley_kernel import draw_pairs

WAYS = ("exact", "permutation", "kernel")


def network(inputs, outputs=1, *, seed=0, width=16, scale=2.0):
    torch.manual_seed(seed)
    found = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.SiLU(),
                          nn.Linear(width, outputs))  # fmt: skip
    with torch.no_grad():
        for weight in found.parameters():
            weight.mul_(scale)
    return found


def rows(count, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns)).astype(np.float32)


class Wild(nn.Module):
    """No linear layer first; layer norm, products and jumps, so that nothing is smooth or additive."""

    def __init__(self, inputs, outputs=1):
        super().__init__()
        torch.manual_seed(1)
        self.norm = nn.LayerNorm(inputs)
        self.inner = network(inputs, outputs)

    def forward(self, x):
        return self.inner(self.norm(x)) + (x[:, :1] * x[:, 1:2] * x[:, 2:3]).round()


def brute_force(module, row, background, columns):
    """Return Shapley values as the mean over all orders of each column's change, by the network alone."""

    def value(inside):
        mixed = background.copy()
        mixed[:, list(inside)] = row[list(inside)]
        with torch.no_grad():
            return module(torch.from_numpy(mixed)).double().mean(0).numpy()

    total, count = np.zeros((columns, module(torch.zeros(1, columns)).shape[1])), 0
    for order in permutations(range(columns)):
        count += 1
        for place, column in enumerate(order):
            total[column] += value(order[: place + 1]) - value(order[:place])
    return total / count


@pytest.mark.parametrize("make", [network, Wild])
@pytest.mark.parametrize("outputs", [1, 3])
def test_exact_values_are_those_of_brute_force_over_all_orders(make, outputs):
    module, X, B = make(4, outputs), rows(3, 4), rows(5, 4, 1)
    result = shap(glia.wrap(module, task="regression"), X, background=B, method="exact")
    want = np.stack([brute_force(module, row, B, 4) for row in X])
    np.testing.assert_allclose(result.values, want if outputs > 1 else want[..., 0], atol=2e-6)
    assert result.values.shape == ((3, 4, 3) if outputs == 3 else (3, 4))
    assert result.standard_error is None and result.feature_names == ("x0", "x1", "x2", "x3")
    assert result.settings["way through the network"] == ("sums by column" if make is network else "whole")


@pytest.mark.parametrize("method", WAYS)
def test_a_linear_model_gives_the_closed_form(method):
    torch.manual_seed(0)
    module, X, B = nn.Linear(12, 2), rows(4, 12), rows(9, 12, 1)
    for one in (module, nn.Sequential(module)):  # the whole network, and sums by column
        result = shap(glia.wrap(one), X, background=B, method=method)
        weight = module.weight.detach().double().numpy()
        np.testing.assert_allclose(result.values, (X - B.mean(0))[:, :, None] * weight.T, atol=5e-6)
        if result.standard_error is not None:
            assert result.standard_error.max() < 1e-5


@pytest.mark.parametrize("make", [network, Wild])
@pytest.mark.parametrize("method", WAYS)
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_values_add_up(make, method, task):
    module, X, B = make(6, 3 if task == "multiclass" else 1), rows(5, 6), rows(11, 6, 1)
    predictor = glia.wrap(module, task=task)
    for space in ("logit",) if task == "regression" else ("logit", "probability"):
        result = shap(predictor, X, background=B, method=method, space=space)
        axis = 1
        gap = result.outputs - result.base - result.values.sum(axis=axis)
        assert np.abs(gap).max() < 1e-9 and np.abs(result.residual).max() < 1e-9
        if space == "probability":
            want = predictor.predict_proba(X)
            np.testing.assert_allclose(result.outputs, want[:, 1] if task == "binary" else want, atol=1e-6)
            assert result.unit == "probability"
        else:
            with torch.no_grad():
                want = module(torch.from_numpy(X)).numpy()
            np.testing.assert_allclose(result.outputs, want if task == "multiclass" else want[:, 0], atol=1e-5)


class Known(nn.Module):
    """Columns 0 and 1 play the same part, 2 is only in a product with 3, and 4 is not used."""

    def forward(self, x):
        return (torch.tanh(x[:, 0] + x[:, 1]) + x[:, 2] * x[:, 3]).unsqueeze(1)


@pytest.mark.parametrize("method", WAYS)
def test_symmetry_and_dummies(method):
    X, B = rows(4, 5), rows(8, 5, 1)
    X[:, 1], B[:, 1] = X[:, 0], B[:, 0]
    result = shap(glia.wrap(Known()), X, background=B, method=method, evaluations=30_000)
    slack = 1e-6 if method == "exact" else 6 * result.standard_error.max() + 1e-6
    np.testing.assert_allclose(result.values[:, 0], result.values[:, 1], atol=slack)
    assert np.abs(result.values[:, 4]).max() < (1e-6 if method != "kernel" else slack)
    product = X[:, 2:3] * X[:, 3:4] - (B[:, 2] * B[:, 3]).mean()
    np.testing.assert_allclose(result.values[:, 2] + result.values[:, 3], product[:, 0], atol=slack)


class Sum(nn.Module):
    def __init__(self, one, other):
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x):
        return 2 * self.one(x) - self.other(x)


@pytest.mark.parametrize("method", WAYS)
def test_values_of_a_sum_of_networks_are_the_sum_of_values(method):
    one, other, X, B = network(6), network(6, seed=5), rows(3, 6), rows(7, 6, 1)
    options = {"background": B, "method": method, "random_state": 3}
    parts = [shap(glia.wrap(m), X, **options).values for m in (one, other, Sum(one, other))]
    np.testing.assert_allclose(parts[2], 2 * parts[0] - parts[1], atol=2e-5)  # the same coalitions in all three


def test_the_short_way_gives_what_the_whole_network_gives():
    module, X, B = network(7), rows(4, 7), rows(9, 7, 1)

    class Opaque(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, x):
            return self.inner(x)

    for method in WAYS:
        short = shap(glia.wrap(module), X, background=B, method=method)
        whole = shap(glia.wrap(Opaque()), X, background=B, method=method)
        assert short.settings["way through the network"] == "sums by column"
        assert whole.settings["way through the network"] == "whole"
        np.testing.assert_allclose(short.values, whole.values, atol=2e-5)


def test_a_network_that_only_looks_like_its_layers_is_run_as_a_whole():
    class Tricky(nn.Sequential):
        def forward(self, x):
            return super().forward(x) + x[:, :1] * x[:, 1:2]

    module = Tricky(nn.Linear(4, 1))
    hooked = network(4)
    hooked[0].register_forward_hook(lambda m, i, o: o * 2)
    for one in (module, hooked):
        result = shap(glia.wrap(one), rows(2, 4), background=rows(3, 4, 1), method="exact")
        assert result.settings["way through the network"] == "whole"
        want = np.stack([brute_force(one, row, rows(3, 4, 1), 4)[:, 0] for row in rows(2, 4)])
        np.testing.assert_allclose(result.values, want, atol=1e-5)


@pytest.mark.parametrize("method", ["permutation", "kernel"])
def test_estimates_come_to_the_exact_values_within_their_standard_errors(method):
    # 40 seeds × 6 rows × 9 columns: shares of 95 % intervals that hold the exact value.
    module, X, B = network(9, scale=2.5), rows(6, 9), rows(12, 9, 1)
    predictor = glia.wrap(module)
    exact = shap(predictor, X, background=B, method="exact").values
    budget = 12 * 2 * 8 * 4 if method == "permutation" else 12 * 120
    inside, errors, stated = [], [], []
    for seed in range(40):
        result = shap(predictor, X, background=B, method=method, evaluations=budget, random_state=seed)
        assert result.standard_error.min() > 0
        inside.append(np.abs(result.values - exact) <= 1.96 * result.standard_error)
        errors.append((result.values - exact) ** 2)
        stated.append(result.standard_error**2)
    assert np.mean(inside) >= 0.90
    assert 0.6 < np.mean(errors) / np.mean(stated) < 1.25  # neither boastful nor far too careful
    finer = shap(predictor, X, background=B, method=method, evaluations=20 * budget)
    assert np.sqrt(((finer.values - exact) ** 2).mean()) < 0.5 * np.sqrt(np.mean(errors))


def test_kernel_is_exact_once_every_coalition_is_taken():
    module, X, B = network(8), rows(3, 8), rows(6, 8, 1)
    exact = shap(glia.wrap(module), X, background=B, method="exact")
    kernel = shap(glia.wrap(module), X, background=B, method="kernel", evaluations=6 * 256)
    np.testing.assert_allclose(kernel.values, exact.values, atol=1e-5)
    assert kernel.standard_error.max() == 0.0


def test_pairs_of_coalitions_are_different_and_never_complements():
    rng = np.random.default_rng(0)
    for players in (2, 3, 6, 7, 12):
        for count in (players, 40, 4000):
            seen = set()
            for masks, there in draw_pairs(players, count, rng):
                assert len(masks) <= there
                for mask in masks:
                    assert 0 < mask.sum() < players
                    key, other = tuple(mask), tuple(~mask)
                    assert key not in seen and other not in seen
                    seen.add(key)
            if count == 4000:
                assert len(seen) == 2 ** (players - 1) - 1  # all of them


def test_values_of_a_game_given_by_a_table():
    # Three musicians (a worked example): alone 1, 2, 3; pairs 4, 5, 7; together 10.
    game = np.zeros(8)
    for number, mask in enumerate(coalitions(3)):
        game[number] = {(): 0, (0,): 1, (1,): 2, (2,): 3, (0, 1): 4, (0, 2): 5, (1, 2): 7, (0, 1, 2): 10}[
            tuple(np.flatnonzero(mask))
        ]
    np.testing.assert_allclose(from_values(game[None, :, None])[0, :, 0], [2.0, 3.5, 4.5])


def test_groups_are_players():
    module, X, B = network(18), rows(3, 18), rows(5, 18, 1)
    groups = {"first": ["x0", "x1", "x2", "x3", "x4"], "last": [f"x{i}" for i in range(8, 18)]}
    predictor = glia.wrap(module)
    with pytest.raises(InputError, match="up to 16"):
        shap(predictor, X, background=B, method="exact")
    result = shap(predictor, X, background=B, method="exact", groups=groups)
    assert result.feature_names == ("first", "x5", "x6", "x7", "last")
    alone = shap(predictor, X, background=B, method="permutation")
    assert np.abs(result.residual).max() < 1e-9

    # The group's exact value is that of the game in which its columns move together: not the sum of single values.
    def merged(row):
        def value(inside):
            mixed = B.copy()
            for player in inside:
                columns = [[0, 1, 2, 3, 4], [5], [6], [7], list(range(8, 18))][player]
                mixed[:, columns] = row[columns]
            with torch.no_grad():
                return float(module(torch.from_numpy(mixed)).double().mean())

        total = np.zeros(5)
        for order in permutations(range(5)):
            for place, player in enumerate(order):
                total[player] += value(order[: place + 1]) - value(order[:place])
        return total / 120

    np.testing.assert_allclose(result.values, np.stack([merged(row) for row in X]), atol=1e-5)
    assert np.abs(result.values[:, 0] - alone.values[:, :5].sum(1)).max() > 1e-3


def test_a_row_does_not_depend_on_the_rows_beside_it():
    predictor, X, B = glia.wrap(network(9)), rows(6, 9), rows(10, 9, 1)
    for method in WAYS:
        whole = shap(predictor, X, background=B, method=method)
        part = shap(predictor, X[2:4], background=B, method=method)
        np.testing.assert_allclose(part.values, whole.values[2:4], atol=5e-6)


@pytest.mark.parametrize("method", ["permutation", "kernel", "gradient"])
def test_the_same_seed_gives_the_same_bits(method):
    predictor, X = glia.wrap(network(10)), rows(6, 10)
    one, same, other = (shap(predictor, X, method=method, evaluations=600, random_state=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.values, same.values)
    assert (one.values != other.values).any()


def test_the_network_stays_as_it_was():
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    module.train()
    module[3].eval()
    modes = [part.training for part in module.modules()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for method in (*WAYS, "gradient"):
        result = shap(glia.wrap(module), rows(4, 5), method=method)
        assert np.abs(result.residual).max() < 1e-9
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    with pytest.raises(InputError):
        shap(glia.wrap(module), rows(4, 5), method="gradient", space="probability")
    assert [part.training for part in module.modules()] == modes


def test_gradients_are_right_where_columns_do_not_interact():
    class Additive(nn.Module):
        def forward(self, x):
            return torch.stack([torch.sin(x).sum(1), (x**2).sum(1)], dim=1)

    X, B = rows(4, 300), rows(8, 300, 1)
    result = shap(glia.wrap(Additive()), X, background=B, evaluations=2048)
    assert result.settings["method"] == "gradient"  # more than 256 columns
    want = np.stack([np.sin(X) - np.sin(B).mean(0), X**2 - (B**2).mean(0)], axis=-1)
    assert np.abs(result.residual).max() < 1e-9
    slack = np.abs(result.values - want) / np.maximum(result.standard_error, 1e-9)
    assert np.mean(slack <= 2.36) > 0.90  # Student's with 7 degrees of freedom
    assert np.sqrt(((result.values - want) ** 2).mean()) < 0.05


def test_images_have_values_of_their_own_shape():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    X, B = np.random.default_rng(0).random((2, 1, 8, 8)).astype("f"), np.zeros((3, 1, 8, 8), dtype="f")
    predictor = glia.wrap(module, task="multiclass")
    result = shap(predictor, X, background=B)
    assert result.values.shape == (2, 1, 8, 8, 3) and result.feature_names == ()
    gap = result.outputs - result.base - result.values.reshape(2, -1, 3).sum(1)
    assert np.abs(gap).max() < 1e-9
    assert result.checks["largest gap before the correction"] < 0.05 * np.abs(result.outputs - result.base).max()
    # From a black background what is black has no share, up to its part of the correction.
    X[:, :, :4] = 0
    result = shap(predictor, X, background=B)
    assert np.abs(result.values[:, :, :4]).max() == 0.0
    with pytest.raises(InputError, match="rows of columns"):
        shap(predictor, X, background=B, method="exact")


def test_one_output_of_several():
    predictor, X, B = glia.wrap(network(5, 3), task="multiclass", classes=["a", "b", "c"]), rows(3, 5), rows(4, 5, 1)
    whole = shap(predictor, X, background=B)
    assert whole.output_names == ("a", "b", "c") and whole.settings["method"] == "exact"
    one = shap(predictor, X, background=B, output="b")
    np.testing.assert_allclose(one.values, whole.values[..., 1], atol=1e-6)
    two = shap(predictor, X, background=B, output=["c", 0])
    np.testing.assert_allclose(two.values, whole.values[..., [2, 0]], atol=1e-6)
    assert two.output_names == ("c", "a") and one.values.shape == (3, 5)


def test_backgrounds():
    predictor, X, B = glia.wrap(network(5)), rows(30, 5), rows(250, 5, 1)
    stood_in = shap(predictor, X, method="exact")
    assert stood_in.settings["background"] == "all 30 rows of the explained rows"
    np.testing.assert_allclose(stood_in.base, stood_in.outputs.mean(), atol=1e-6)
    assert shap(predictor, X, background=7).settings["background"] == "7 of 30 rows of the explained rows"
    drawn = shap(predictor, X, background=B)
    assert drawn.settings["background"] == "100 of 250 rows of the given background"
    whole = shap(predictor, X, background=B, max_background=250, method="permutation")
    np.testing.assert_allclose(whole.base, predictor.predict(B).mean(), atol=1e-5)
    one = shap(predictor, X[:2], background=B[:1], method="permutation")
    exact = shap(predictor, X[:2], background=B[:1], method="exact")
    assert np.abs(one.values - exact.values).max() < 5 * one.standard_error.max() + 1e-6


def test_one_column_takes_it_all():
    predictor, X = glia.wrap(network(1)), rows(3, 1)
    for method in WAYS:
        result = shap(predictor, X, background=rows(4, 1, 1), method=method)
        np.testing.assert_allclose(result.values[:, 0], result.outputs - result.base, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "exakt"}, "did you mean 'exact'"),
        ({"space": "odds"}, "space must be"),
        ({"evaluations": 0}, "evaluations must be at least 1"),
        ({"background": 0}, "ask for at least 1"),
        ({"background": np.zeros((2, 3), dtype="f")}, "like the explained rows"),
        ({"max_background": 0}, "max_background"),
        ({"groups": {"g": ["x0", "y"]}}, "grouped columns must be columns"),
        ({"groups": {"g": ["x0"], "h": ["x0"]}}, "in one group at most"),
        ({"groups": {"x1": ["x0"]}}, "called like another column"),
        ({"output": 3}, "output must be"),
    ],
)
def test_what_cannot_be_used_is_said(options, message):
    with pytest.raises(InputError, match=message):
        shap(glia.wrap(network(4), task="binary"), rows(3, 4), **options)
    with pytest.raises(InputError, match="one row and no background"):
        shap(glia.wrap(network(4)), rows(1, 4))


def test_gradients_need_inputs_with_derivatives():
    tokens = nn.Sequential(nn.Embedding(9, 2), nn.Flatten(), nn.Linear(12, 1))
    X = torch.from_numpy(np.random.default_rng(0).integers(0, 9, (4, 6)))
    with pytest.raises(InputError, match="inputs with derivatives"):
        shap(glia.wrap(tokens, prepare=lambda x: x), X, method="gradient")
    result = shap(glia.wrap(tokens, prepare=lambda x: x), X)  # places of a text as columns
    assert result.settings["method"] == "exact" and np.abs(result.residual).max() < 1e-9


def test_noise_is_a_reason_not_to_rely_on_it():
    predictor = glia.wrap(network(12, scale=3.0))
    rough = shap(predictor, rows(3, 12), background=rows(2, 12, 1), method="permutation", evaluations=1)
    assert rough.warnings and "give more evaluations" in rough.warnings[0] and "Do not rely" in rough.summary()
    fine = shap(predictor, rows(3, 12), background=rows(2, 12, 1), method="permutation", evaluations=10_000)
    assert not fine.warnings


def test_memory_stays_bounded(monkeypatch):
    # The same values in tiny pieces as in one.
    import glia.explain.shapley_game as module

    predictor, X, B = glia.wrap(network(8)), rows(3, 8), rows(20, 8, 1)
    whole = [shap(predictor, X, background=B, method=method).values for method in WAYS]
    widest = []
    inner = predictor.network_[2].forward
    monkeypatch.setattr(module, "CHUNK", 64 * 16)
    monkeypatch.setattr(module, "SUMS", 8 * 16)
    predictor.network_[4].register_forward_pre_hook(lambda m, i: widest.append(len(i[0])))
    pieces = [shap(predictor, X, background=B, method=method).values for method in WAYS]  # hooks: the whole network
    assert max(widest) <= 128 and inner is not None
    predictor = glia.wrap(network(8))
    short = [shap(predictor, X, background=B, method=method).values for method in WAYS]
    for a, b, c in zip(whole, pieces, short, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)
