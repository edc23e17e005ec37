"""The range test on bowls whose diverging rate is known, and on real tables: what it suggests must train."""

import dataclasses
import json
import math
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.engine.optimizers import default_lr, make_optimizer
from glia.engine.range_test import range_test


def squares(output: Tensor, y: Tensor) -> Tensor:
    return (output - y).square().sum(1)


class Bowl(nn.Module):
    """Loss ½·L·w² through one weight: gradient descent diverges for rates above 2 / L."""

    def __init__(self, curvature: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))
        self.root = math.sqrt(curvature / 2)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w * self.root


@pytest.mark.parametrize("curvature", [0.5, 20.0, 4000.0])
def test_the_turning_point_of_a_bowl_is_two_over_its_curvature(curvature: float) -> None:
    x, y = torch.ones(8, 1), torch.zeros(8, 1)
    result = range_test(Bowl(curvature), squares, x, y, optimizer="sgd", low=1e-7, high=100.0, steps=200)
    edge = 2 / curvature
    assert result.found
    assert edge / 5 < result.minimum < edge * 1.2
    assert result.diverged_at is not None
    assert edge < result.diverged_at < edge * 100
    assert edge / 1000 < result.suggestion < edge / 2
    for rate, converges in ((result.suggestion, True), (result.diverged_at, False)):
        bowl = Bowl(curvature)
        optimizer = make_optimizer("sgd", bowl, rate)
        for _ in range(100):
            optimizer.zero_grad()
            squares(bowl(x), y).mean().backward()
            optimizer.step()
        assert (abs(float(bowl.w.detach())) < 0.5) == converges


def real() -> tuple[Tensor, Tensor]:
    X, y = load_breast_cancer(return_X_y=True)
    return torch.tensor((X - X.mean(0)) / X.std(0)).float(), torch.tensor(y).float()


def net(inputs: int = 30) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(inputs, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1), nn.Flatten(0)
        )


def binary(output: Tensor, y: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(output, y, reduction="none")


def trained(name: str, rate: float) -> float:
    x, y = real()
    network, generator = net(), torch.Generator().manual_seed(0)
    optimizer = make_optimizer(name, network, rate)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(40):
            index = torch.randint(len(x), (64,), generator=generator)
            optimizer.zero_grad()
            binary(network(x[index]), y[index]).mean().backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        return float(binary(network(x), y).mean())


@pytest.mark.parametrize("name", ["adam", "sgd", "momentum", "lion"])
def test_the_suggestion_trains_where_a_far_smaller_rate_does_not(name: str) -> None:
    x, y = real()
    result = range_test(net(), binary, x, y, optimizer=name, batch_size=64)
    assert result.found
    at = trained(name, result.suggestion)
    assert at < 0.2
    assert trained(name, result.suggestion / 300) > 3 * at


def test_the_same_seed_gives_the_same_answer() -> None:
    x, y = real()
    first, second = (range_test(net(), binary, x, y, batch_size=64, random_state=3) for _ in range(2))
    assert first == second
    assert first != range_test(net(), binary, x, y, batch_size=64, random_state=4)


def test_nothing_of_the_network_or_the_random_state_is_touched() -> None:
    x, y = real()

    def fails(output: Tensor, target: Tensor) -> Tensor:
        if len(seen) > 5:
            raise RuntimeError("boom")
        seen.append(1)
        return binary(output, target)

    for loss in (binary, fails):
        seen: list[int] = []
        network = net().eval()
        network[1].train()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        modes = [module.training for module in network.modules()]
        random = torch.get_rng_state()
        if loss is fails:
            with pytest.raises(RuntimeError, match="boom"):
                range_test(network, loss, x, y)
        else:
            range_test(network, loss, x, y)
        assert torch.equal(torch.get_rng_state(), random)
        assert [module.training for module in network.modules()] == modes
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize("seed", range(5))
def test_a_flat_loss_falls_back_on_the_usual_rate(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(512, 1, generator=generator)

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return self.w * 0 + x

    result = range_test(Constant(), squares, torch.zeros(512, 1), y, batch_size=32, random_state=seed)
    assert not result.found
    assert result.suggestion == default_lr("adam")
    assert result.diverged_at is None
    assert "does not fall clearly" in result.summary()


def test_a_rate_that_is_too_high_from_the_start() -> None:
    x, y = torch.ones(8, 1), torch.zeros(8, 1)
    result = range_test(Bowl(20.0), squares, x, y, optimizer="sgd", low=1.0, high=10.0)
    assert not result.found
    assert result.suggestion <= 0.1  # the edge
    assert result.diverged_at is not None


def test_the_result_tells_draws_and_serialises() -> None:
    x, y = real()
    result = range_test(net(), binary, x, y, batch_size=64)
    assert f"{result.suggestion:.2g} suits adam" in result.summary()
    assert json.loads(json.dumps(result.to_dict()))["rates"] == list(result.rates)
    assert len(result.rates) == len(result.losses) == len(result.smoothed)
    settings = dict(matplotlib.rcParams)
    ax = result.plot()
    ax.figure.canvas.draw()
    assert ax.get_title(loc="left") == f"A learning rate of {result.suggestion:.2g} is workable"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), result.smoothed)
    assert dict(matplotlib.rcParams) == settings
    assert "Learning rates" in result._repr_html_()
    assert dataclasses.is_dataclass(result)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 1.0, "high": 0.1}, "0 < low < high · got low=1.0, high=0.1"),
        ({"steps": 3}, "at least 10 steps"),
        ({"batch_size": 0}, "at least 1 row"),
        ({"x": torch.zeros(0, 30)}, "got 0 rows and 569 targets"),
        ({"x": torch.full((569, 30), math.nan)}, "the loss must be finite before the first step · got nan"),
        ({"optimizer": "adma"}, "did you mean 'adam'"),
    ],
)
def test_misuse_is_answered(change: dict[str, object], message: str) -> None:
    x, y = real()
    with warnings.catch_warnings(), pytest.raises(InputError, match=message):
        range_test(**{"network": net(), "loss_fn": binary, "x": x, "y": y, **change})  # type: ignore[arg-type]
