"""Clipping against its formulas: norms, directions, bounds, and nothing read back from the device."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from glia.core.errors import InputError
from glia.engine.clipping import Clip, clip_adaptive, clip_norm, clip_value, gradient_norm


def parameters(seed: int = 0, device: str = "cpu") -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for shape in ((5, 3), (5,), (2, 3, 2, 2), ()):
        p = nn.Parameter(torch.randn(shape, generator=generator).to(device))
        p.grad = torch.randn(shape, generator=generator).to(device) * 3
        made.append(p)
    frozen = nn.Parameter(torch.ones(2))  # one without a gradient is no obstacle
    return [*made, frozen]


def flat(params: list[nn.Parameter]) -> np.ndarray:
    return torch.cat([p.grad.flatten() for p in params if p.grad is not None]).double().numpy()


@pytest.mark.parametrize("limit", [0.1, 1.0, 1e3])
def test_norm_is_bounded_and_the_direction_kept(limit: float) -> None:
    params = parameters()
    before = flat(params)
    norm = clip_norm((p for p in params), limit)  # a generator will do
    assert float(norm) == pytest.approx(np.linalg.norm(before), rel=1e-6)
    after = flat(params)
    assert np.linalg.norm(after) == pytest.approx(min(limit, np.linalg.norm(before)), rel=1e-5)
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    assert cosine == pytest.approx(1.0, abs=1e-6)


def test_value_cuts_each_element_and_turns_the_direction() -> None:
    params = parameters()
    before = flat(params)
    norm = clip_value(params, 0.5)
    np.testing.assert_allclose(flat(params), np.clip(before, -0.5, 0.5), rtol=1e-6)
    assert float(norm) == pytest.approx(np.linalg.norm(before), rel=1e-6)
    cosine = before @ flat(params) / np.linalg.norm(before) / np.linalg.norm(flat(params))
    assert cosine < 0.99  # the control: unlike clipping by norm


def test_adaptive_bounds_each_unit_by_its_weights() -> None:
    params = parameters()
    expected = []
    for p in params[:-1]:
        w, g = p.detach().double().numpy(), p.grad.double().numpy().copy()  # type: ignore[union-attr]
        for unit in range(len(w)) if w.ndim > 1 else [...]:
            bound = 0.1 * max(np.linalg.norm(w[unit]), 1e-3)
            size = np.linalg.norm(g[unit])
            g[unit] = g[unit] * min(1.0, bound / size)
        expected.append(g.ravel())
    clip_adaptive(params, 0.1)
    np.testing.assert_allclose(flat(params), np.concatenate(expected), rtol=1e-5)


def test_adaptive_lets_zero_weights_learn_and_zero_gradients_be() -> None:
    p = nn.Parameter(torch.zeros(2, 3))
    p.grad = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]])
    clip_adaptive([p], 0.01)
    torch.testing.assert_close(p.grad, torch.tensor([[0.0, 0.0, 0.0], [0.6e-5, 0.0, 0.8e-5]]))


def test_settings_apply_all_limits_and_give_the_norm_before() -> None:
    params = parameters()
    before = np.linalg.norm(flat(params))
    norm = Clip(norm=0.3, value=0.2)(iter(params))
    assert float(norm) == pytest.approx(before, rel=1e-6)
    assert np.linalg.norm(flat(params)) == pytest.approx(0.3, rel=1e-5)
    assert np.abs(flat(params)).max() <= 0.2


@pytest.mark.parametrize("clip", [Clip(norm=1.0), Clip(value=1.0), Clip(adaptive=0.01), Clip(1.0, 1.0, 0.01)])
def test_nothing_is_read_back(clip: Clip) -> None:
    params = [nn.Parameter(torch.empty(3, 2, device="meta"))]
    params[0].grad = torch.empty(3, 2, device="meta")
    norm = clip(params)  # tensors without values: reading one would raise
    with pytest.raises(RuntimeError):
        norm.item()  # the control


def test_no_gradients_have_norm_zero() -> None:
    bare = [nn.Parameter(torch.ones(2))]
    assert float(gradient_norm(bare)) == 0.0
    assert float(Clip(norm=1.0, value=1.0, adaptive=0.1)(bare)) == 0.0


def test_clipping_rescues_a_step_off_a_cliff() -> None:
    def end(clip: Clip | None) -> float:
        θ = torch.tensor(3.0, requires_grad=True)
        optimizer = torch.optim.SGD([θ], lr=0.1)
        for _ in range(200):
            optimizer.zero_grad()
            (θ**4).backward()
            if clip:
                clip([θ])
            optimizer.step()
        return float(θ.detach())

    assert not math.isfinite(end(None))  # the control: the plain step explodes
    assert abs(end(Clip(norm=1.0))) < 0.2
    assert abs(end(Clip(value=1.0))) < 0.2


@pytest.mark.parametrize("given", [{}, {"norm": 0.0}, {"value": -1.0}, {"adaptive": math.inf}, {"norm": math.nan}])
def test_misuse_is_answered(given: dict[str, float]) -> None:
    with pytest.raises(InputError, match="limit"):
        Clip(**given)
