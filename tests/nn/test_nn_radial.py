"""Radial networks against their formula, one row at a time; codes, gradients, files, and training by gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import glia
from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.nn import Radial, RadialNetwork, as_network, spec_from_dict

LAYOUT = Layout(
    (5,),
    (
        Feature("a", "a"),
        Feature("kind", "kind", "code", 3),
        Feature("b", "b"),
        Feature("b is missing", "b", "indicator"),
        Feature("place", "place", "code", 4),
    ),
)


def network(outputs: int = 2, *, shares: bool = False) -> RadialNetwork:
    torch.manual_seed(0)
    made = Radial(centres=7, width=4, shares=shares).build(LAYOUT, outputs)
    made.middle, made.unit = torch.tensor([0.5, -1.0, 0.0]), torch.tensor([2.0, 0.5, 1.0])
    made.length.fill_(1.7)
    return made.eval()


def rows(count: int) -> torch.Tensor:
    rng = np.random.default_rng(1)
    columns = [rng.normal(size=count), rng.integers(0, 3, count), rng.normal(size=count)]
    columns += [rng.integers(0, 2, count), rng.integers(0, 4, count)]
    return torch.tensor(np.stack(columns, 1), dtype=torch.float32)


def by_formula(made: RadialNetwork, x: torch.Tensor) -> np.ndarray:
    assert made.code_metric is not None
    metric, codes = made.metric.detach().double().numpy(), made.code_metric.detach().double().numpy()
    centres = made.centres.detach().double().numpy()
    weight, bias = made.output.weight.detach().double().numpy(), made.output.bias.detach().double().numpy()
    answers = []
    for a, kind, b, missing, place in x.double().numpy():
        u = np.clip(np.array([(a - 0.5) / 2.0, (b + 1.0) / 0.5, missing]), -4, 4)
        z = u @ metric + codes[int(kind)] + codes[3 + int(place)]
        hidden = np.exp(-np.sqrt(((z - centres) ** 2).sum(1)) / 1.7)
        answers.append(weight @ hidden + bias)
    return np.array(answers)


def test_outputs_are_those_of_the_formula():
    made, x = network(), rows(40)
    with torch.no_grad():
        np.testing.assert_allclose(made(x).numpy(), by_formula(made, x), atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 3])
def test_shares_become_log_odds_or_logarithms(outputs):
    made, x = network(outputs, shares=True), rows(40)
    made.sharpness.fill_(1.3)
    share = by_formula(made, x)
    if outputs == 1:
        share = np.clip(share, 1e-3, 1 - 1e-3)
        expected = 1.3 * np.log(share / (1 - share))
    else:
        share = np.clip(share, 1e-3, 1)
        expected = 1.3 * np.log(share / share.sum(1, keepdims=True))
    with torch.no_grad():
        np.testing.assert_allclose(made(x).numpy(), expected, atol=2e-3)


def test_rows_lie_where_their_columns_parts_add_up_to():
    made, x = network(), rows(6)
    with torch.no_grad():
        wide = made.spread_out(x)
        assert wide.shape == (6, 3 + 3 + 4)
        whole = torch.cat([made.metric, made.code_metric])
        torch.testing.assert_close(made.project(x), wide @ whole)


def test_answers_in_parts_are_those_with_gradients_and_hooks_see_all_of_them():
    torch.manual_seed(0)
    made = Radial(centres=2100, width=4).build(LAYOUT, 2).eval()  # more centres and rows than are taken at once
    x, seen = rows(300), []
    whole = made(x).detach()
    with torch.no_grad():
        in_parts = made(x)
        torch.testing.assert_close(in_parts, whole, atol=1e-5, rtol=1e-5)
        handle = made.output.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        torch.testing.assert_close(made(x), whole)
        handle.remove()
    assert [tuple(one.shape) for one in seen] == [(300, 2100)] and seen[0].min() > 0 and seen[0].max() < 1


def test_codes_out_of_range_are_taken_for_the_nearest():
    made, x = network(), rows(2)
    x[0, 1], x[1, 1] = 99, -5
    inside = x.clone()
    inside[0, 1], inside[1, 1] = 2, 0
    assert torch.equal(made(x), made(inside))


def test_gradients_are_finite_also_on_a_centre():
    made, x = network(), rows(3)
    with torch.no_grad():
        made.centres[0] = made.project(x)[0]
    x.requires_grad_()
    made(x).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters() if p.grad is not None)


def test_trained_by_gradients_it_learns_a_ring():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 2))
    y = (np.hypot(*X.T) > 1.1).astype(int)
    model = glia.Classifier(network="radial", epochs=40, random_state=0).fit(X[:600], y[:600])
    assert type(model.network_) is RadialNetwork
    assert model.score(X[600:], y[600:]) > 0.93
    assert glia.Classifier(network="linear", epochs=40, random_state=0).fit(X[:600], y[:600]).score(X, y) < 0.75


def test_settings_go_to_plain_data_and_back_and_wrong_ones_are_named():
    spec = Radial(centres=5, width=3, shares=True)
    again = spec_from_dict(spec.to_dict())
    assert isinstance(again, Radial) and again.get_params() == spec.get_params()
    assert isinstance(as_network("rbf"), Radial)
    with pytest.raises(InputError, match="centres must be a whole number") as wrong:
        Radial(centres=0, width="wide", shares="yes").build(LAYOUT, 1)
    assert "3 problems" in str(wrong.value)
