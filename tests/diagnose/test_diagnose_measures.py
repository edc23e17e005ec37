"""Every measure against a closed form, finite differences or an independent way, with a control that is not ill."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from glia.core.errors import InputError
from glia.diagnose.activation_statistics import activation_statistics
from glia.diagnose.calibration_signs import calibration_signs, log_losses, scores_of
from glia.diagnose.curve import read_curve
from glia.diagnose.effective_rank import effective_rank, layer_ranks
from glia.diagnose.gradient_norms import gradient_norms, signal_ratio
from glia.diagnose.inputs import input_scale
from glia.diagnose.label_noise import confident_suspects, label_noise
from glia.diagnose.landscape import filter_direction, loss_slices
from glia.diagnose.layers import run_layers
from glia.diagnose.noise_scale import noise_scale
from glia.diagnose.prove import weigh
from glia.diagnose.rate_trial import rate_trial
from glia.diagnose.reference import forest_reference
from glia.diagnose.skill import gap_interval, mean_interval, measure_skill
from glia.diagnose.surgery import rebuilt
from glia.diagnose.units import unit_health
from glia.diagnose.update_ratios import update_ratios
from glia.engine.optimizer_settings import Optimizer


def mse(output, target):
    return ((output - target) ** 2).sum(dim=1)


@pytest.fixture
def linear():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)).double()
    x, y = torch.randn(50, 3, dtype=torch.float64), torch.randn(50, 2, dtype=torch.float64)
    return network, x, y


def test_gradient_norms_are_those_of_a_linear_network_by_hand(linear):
    network, x, y = linear
    a, b = network[0].weight.detach(), network[1].weight.detach()
    error = 2 * (x @ a.T @ b.T - y)  # (N, 2), the derivative of each row's loss by its outputs
    first, last = gradient_norms(network, mse, x, y)
    assert last.signal == pytest.approx(float(error.square().sum(1).mean().sqrt()))
    assert first.signal == pytest.approx(float((error @ b).square().sum(1).mean().sqrt()))
    assert last.gradient_norm == pytest.approx(float((error.T @ (x @ a.T) / 50).norm()))
    assert first.gradient_norm == pytest.approx(float(((error @ b).T @ x / 50).norm()))
    assert (first.weight_norm, first.parameters) == (pytest.approx(float(a.norm())), 12)
    assert signal_ratio((first, last)) == pytest.approx(first.signal / last.signal)


def test_gradient_norms_agree_with_finite_differences():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    weight, slopes = network[0].weight, torch.zeros(5, 3, dtype=torch.float64)
    with torch.no_grad():
        for i in range(5):
            for j in range(3):
                for sign in (1, -1):
                    weight[i, j] += sign * 1e-5
                    slopes[i, j] += sign * mse(network(x), y).mean() / 2e-5
                    weight[i, j] -= sign * 1e-5
    assert gradient_norms(network, mse, x, y)[0].gradient_norm == pytest.approx(float(slopes.norm()), rel=1e-6)


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.drop = nn.Linear(3, 3), nn.Dropout(0.5)

    def forward(self, x):
        raise RuntimeError(f"no forward for {self.first(x).shape}")


def hooks(network):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in network.modules())


def test_a_pass_leaves_the_network_as_it_was_also_when_it_fails():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4, 1))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [m.training for m in network.modules()]
    passed = run_layers(network, mse, torch.randn(8, 3), torch.randn(8, 1))
    assert len(passed.layers) == 5 and hooks(network) == 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [m.training for m in network.modules()] == modes and all(p.grad is None for p in network.parameters())
    assert passed.layers[1].output.min() < 0 <= passed.layers[2].output.min()  # not what came in place afterwards
    broken = Broken()
    broken.drop.eval()
    with pytest.raises(RuntimeError, match="no forward"):
        run_layers(broken, mse, torch.randn(8, 3), torch.randn(8, 1))
    assert hooks(broken) == 0 and broken.training and not broken.drop.training


def test_frozen_networks_still_show_what_comes_back():
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).requires_grad_(False)
    first, last = gradient_norms(network, mse, torch.randn(8, 3), torch.randn(8, 1))
    assert first.signal > 0 and last.signal > 0 and first.gradient_norm == 0


def test_update_ratios_are_rate_times_gradient_over_weight_for_plain_descent(linear):
    network, x, y = linear
    expected = [0.01 * one.gradient_norm / one.weight_norm for one in gradient_norms(network, mse, x, y)]
    before = network[0].weight.clone()
    rule = Optimizer("sgd")
    found = update_ratios(network, mse, x, y, optimizer=rule, lr=0.01, batch_size=50, steps=1, skipped=0)
    assert list(found.values()) == pytest.approx(expected) and list(found) == ["0", "1"]
    assert torch.equal(network[0].weight, before)


def test_activation_statistics_are_numpys_and_every_value_is_counted():
    network = nn.Sequential(nn.Linear(3, 6), nn.ReLU())
    x = torch.randn(200, 3)
    found = activation_statistics(run_layers(network, mse, x, torch.zeros(200, 6)).layers)[1]
    values = network(x).detach().double().numpy()
    assert (found.mean, found.std) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    assert (found.low, found.high, found.zeros) == (values.min(), values.max(), (values == 0).mean())
    assert sum(found.counts) == 1200 and found.finite


@pytest.mark.parametrize("planted", [0, 3, 10])
def test_planted_dead_units_are_counted(planted):
    network = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
    with torch.no_grad():
        network[0].bias.fill_(0.5)
        network[0].bias[:planted] = -100.0
    (found,) = unit_health(run_layers(network, mse, torch.randn(100, 4), torch.zeros(100, 1)).layers)
    assert (found.dead, found.units, found.saturated) == (planted / 10, 10, 0.0)


@pytest.mark.parametrize(("kind", "limit"), [(nn.Tanh, math.atanh(math.sqrt(0.95))), (nn.Sigmoid, 4.357)])
def test_saturated_values_are_those_beyond_where_the_slope_is_a_twentieth(kind, limit):
    z = 4 * torch.randn(500, 6)
    network = nn.Sequential(kind(), nn.Linear(6, 1))
    (found,) = unit_health(run_layers(network, mse, z, torch.zeros(500, 1)).layers)
    assert found.saturated == pytest.approx(float((z.abs() > limit).double().mean()), abs=0.002)
    assert found.dead == 0.0 and found.bounded


def test_an_activation_that_is_called_as_a_function_shows_its_dead_units():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.last(torch.relu(self.first(x)))

    network = Functional()
    with torch.no_grad():
        network.first.bias[:2] = -100.0
        network.first.bias[2:] = 5.0
    (found,) = unit_health(run_layers(network, mse, torch.randn(60, 4), torch.zeros(60, 1)).layers)
    assert (found.layer, found.dead) == ("last", 0.25)


def test_channels_of_images_are_units():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    with torch.no_grad():
        network[0].bias[0] = -100.0
        network[0].bias[1:] = 5.0
    found = unit_health(run_layers(network, mse, torch.randn(30, 1, 4, 4), torch.zeros(30, 1)).layers)
    assert (found[0].units, found[0].dead) == (4, 0.25)


def test_effective_rank_of_constructed_matrices():
    q, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
    assert effective_rank(torch.eye(5)) == pytest.approx(5)
    assert effective_rank(torch.outer(torch.randn(6), torch.randn(9))) == pytest.approx(1, abs=1e-4)
    sizes = np.array([4.0, 2.0, 1.0, 1.0])
    known = q @ torch.diag(torch.tensor([*sizes, 0, 0, 0, 0], dtype=torch.float64)) @ q.T
    assert effective_rank(known) == pytest.approx(np.exp(stats.entropy(sizes / sizes.sum())))
    assert effective_rank(torch.zeros(3, 3)) == 0.0
    with pytest.raises(ValueError, match="matrix"):
        effective_rank(torch.zeros(3))


def test_units_that_are_alike_are_told_from_those_that_are_not():
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    passed = run_layers(network, mse, torch.randn(90, 4), torch.zeros(90, 1))
    assert layer_ranks(passed.layers)[0].alike > 0.8
    nn.init.constant_(network[0].weight, 0.3), nn.init.constant_(network[0].bias, 0.1)
    found = layer_ranks(run_layers(network, mse, torch.randn(90, 4), torch.zeros(90, 1)).layers)[0]
    assert (
        found.alike < 1e-6 and found.weight == pytest.approx(1, abs=1e-3) and found.output == pytest.approx(1, abs=1e-3)
    )


def test_slices_of_a_quadratic_loss_are_parabolas_with_its_curvature():
    torch.manual_seed(0)
    network = nn.Linear(5, 2, bias=False).double()
    x, y = torch.randn(40, 5, dtype=torch.float64), torch.randn(40, 2, dtype=torch.float64)
    before = network.weight.detach().clone()
    found = loss_slices(network, mse, x, y, directions=2, steps=7, reach=0.6, random_state=3)
    curvatures = []
    for number, line in enumerate(found.losses):
        direction = filter_direction({"weight": before}, 3, number)["weight"]
        assert direction.norm(dim=1).tolist() == pytest.approx(before.norm(dim=1).tolist())
        curvature = float((x @ direction.T).square().sum(1).mean())  # half the second derivative along the line
        assert np.diff(line, 2) == pytest.approx(np.full(5, 2 * curvature * 0.2**2))
        curvatures.append(curvature)
    assert found.sharpness == pytest.approx(np.mean(curvatures))
    assert found.centre == pytest.approx(float(mse(network(x), y).mean().detach())) and torch.equal(
        network.weight, before
    )
    with pytest.raises(InputError, match="odd number"):
        loss_slices(network, mse, x, y, steps=4)


def test_noise_scale_has_the_moments_of_the_rows_gradients(linear):
    """With batches of one row the estimates are the sample's own moments, which a loop over rows gives too."""
    network, x, y = linear
    rows = []
    for i in range(50):
        slopes = torch.autograd.grad(mse(network(x[i : i + 1]), y[i : i + 1]).mean(), list(network.parameters()))
        rows.append(torch.cat([slope.flatten() for slope in slopes]))
    slopes = torch.stack(rows)
    found = noise_scale(network, mse, x, y, batch=1)
    noise = float(slopes.var(dim=0, correction=1).sum())
    assert found.noise == pytest.approx(noise)
    assert found.gradient == pytest.approx(float(slopes.mean(0).square().sum()) - noise / 50)
    assert all(p.grad is None for p in network.parameters())


def test_noise_scale_of_a_known_quadratic():
    """The loss ½|w − c|² with c ~ N(m, s²) has the gradient w − m and noise d·s², whatever the batch size."""
    torch.manual_seed(0)
    network = nn.Linear(1, 6, bias=False)
    nn.init.zeros_(network.weight)
    mean, spread = torch.full((6,), 0.5), 2.0
    targets = mean + spread * torch.randn(20_000, 6)
    for batch in (4, 50):
        found = noise_scale(
            network, lambda o, t: 0.5 * ((o - t) ** 2).sum(1), torch.ones(20_000, 1), targets, batch=batch
        )
        assert found.scale == pytest.approx(6 * spread**2 / (6 * 0.25), rel=0.1)
    with pytest.raises(InputError, match="two batches"):
        noise_scale(network, mse, torch.ones(20, 1), targets[:20], batch=16)


def test_input_scale_sees_what_the_first_weights_see():
    x = torch.randn(300, 3) * torch.tensor([1.0, 1000.0, 0.1])
    plain = input_scale(run_layers(nn.Linear(3, 1), mse, x, torch.zeros(300, 1)).layers, x)
    assert plain.raw and plain.worst[0] == 1 and plain.spread == pytest.approx(1e4, rel=0.2)
    normed = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 1))
    found = input_scale(run_layers(normed, mse, x, torch.zeros(300, 1)).layers, x)
    assert not found.raw and found.largest < 2
    assert input_scale(run_layers(nn.Linear(3, 1), mse, x, torch.zeros(300, 1)).layers, x, (1,)).worst[0] == 0


def test_the_curve_of_a_history_by_hand():
    losses, valid = [4.0, 2.0, 3.0, 1.0], [3.0, 1.0, 2.0, 2.5]
    found = read_curve([{"train/loss": a, "valid/loss": b, "lr": 0.1} for a, b in zip(losses, valid, strict=True)])
    assert (found.first, found.last, found.best, found.rising) == (4.0, 1.0, 1.0, pytest.approx(1 / 3))
    assert found.roughness == pytest.approx(1 / 3) and found.still_falling == pytest.approx(2 / 3)
    assert (found.valid_best, found.valid_best_epoch, found.valid_last, found.lr) == (1.0, 2, 2.5, 0.1)
    assert read_curve([{"train/loss": 1.0}]) is None
    assert not read_curve([{"train/loss": 1.0}, {"train/loss": None}, {"train/loss": 2.0}]).finite


def test_skill_is_one_for_truth_and_nought_for_the_best_constant():
    y = torch.tensor([0.0, 1.0, 1.0, 1.0])
    constant = torch.full((4, 1), math.log(3.0))
    assert measure_skill("binary", constant, y).skill == pytest.approx(0, abs=1e-6)
    assert measure_skill("binary", 50 * (2 * y.unsqueeze(1) - 1), y).skill == pytest.approx(1)
    values = torch.randn(30, 2)
    found = measure_skill("regression", values.mean(0).expand(30, -1), values)
    assert (found.relative, found.error) == (pytest.approx(1), pytest.approx(1))
    assert measure_skill("multiclass", torch.full((4, 3), math.nan), torch.tensor([0, 1, 2, 0])).relative == math.inf


def test_intervals_are_those_of_the_normal_distribution():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, 400), rng.normal(0, 1, 300)
    low, high = stats.norm.interval(0.95, a.mean(), a.std(ddof=1) / 20)
    assert mean_interval(a) == pytest.approx((a.mean(), low, high))
    half = stats.norm.ppf(0.975) * math.sqrt(a.var(ddof=1) / 400 + b.var(ddof=1) / 300)
    assert gap_interval(a, b) == pytest.approx(
        (a.mean() - b.mean(), a.mean() - b.mean() - half, a.mean() - b.mean() + half)
    )


@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_scores_that_were_multiplied_are_found_out(factor):
    rng = np.random.default_rng(0)
    z = rng.normal(size=3000)
    y = (rng.logistic(size=3000) < z).astype(int)
    p = 1 / (1 + np.exp(-factor * z))
    found = calibration_signs("binary", y, np.stack([1 - p, p], 1))
    assert found.temperature == pytest.approx(factor, rel=0.12)
    assert (found.gain_low > 0.1) == (factor == 5.0) and (found.ece > 0.05) == (factor == 5.0)
    assert calibration_signs("binary", y[:50], np.stack([1 - p, p], 1)[:50]) is None


def test_log_losses_are_scikit_learns():
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(0)
    p, y = rng.dirichlet(np.ones(4), 60), rng.integers(0, 4, 60)
    assert log_losses("multiclass", scores_of("multiclass", p), y).mean() == pytest.approx(
        log_loss(y, p, labels=range(4))
    )
    assert log_losses("binary", scores_of("binary", p[:, :2] / p[:, :2].sum(1, keepdims=True)), y % 2).mean() == (
        pytest.approx(log_loss(y % 2, p[:, :2] / p[:, :2].sum(1, keepdims=True)))
    )


def test_flipped_labels_are_suspects_and_right_ones_are_not():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    truth = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    flipped = rng.random(600) < 0.15
    given = np.where(flipped, 1 - truth, truth)
    found = label_noise("binary", given, forest_reference("binary", torch.from_numpy(x), torch.from_numpy(given)))
    hits = flipped[list(found.suspects)]
    assert hits.mean() > 0.6 and hits.sum() > 0.6 * flipped.sum()
    assert found.surest_low > 0.05
    clean = label_noise("binary", truth, forest_reference("binary", torch.from_numpy(x), torch.from_numpy(truth)))
    assert clean.surest < 0.02 and clean.share < 0.05


def test_confident_suspects_by_hand():
    """Thresholds are the mean own probabilities: class 0 (0.9 + 0.8 + 0.1)/3 = 0.6, class 1 (0.7 + 0.9)/2 = 0.8."""
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.1, 0.9]])
    assert confident_suspects(p, np.array([0, 0, 0, 1, 1])).tolist() == [2]


def test_gross_values_of_a_quantity_are_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)).astype(np.float32)
    y = (x[:, :1] + 0.1 * rng.normal(size=(500, 1))).astype(np.float32)
    wrong = rng.random(500) < 0.1
    bad = np.where(wrong[:, None], y + 30, y)
    found = label_noise("regression", bad, forest_reference("regression", torch.from_numpy(x), torch.from_numpy(bad)))
    assert set(np.flatnonzero(wrong)) <= set(found.suspects) and found.surest_low > 0.05
    clean = label_noise("regression", y, forest_reference("regression", torch.from_numpy(x), torch.from_numpy(y)))
    assert clean.surest < 0.02


def test_a_trial_of_rates_finds_where_descent_converges_and_where_it_runs_away():
    """Descent on ½·h·w² converges for rates below 2/h; here h is 2·mean(x²) = 2."""
    torch.manual_seed(0)
    x = torch.randn(64, 1).sign()

    def fresh(seed):
        network = nn.Linear(1, 1, bias=False)
        nn.init.constant_(network.weight, 3.0)
        return network

    found = rate_trial(fresh, mse, x, 0 * x, 1.0, optimizer=Optimizer("sgd"), lr=0.3, batch_size=64, steps=60)
    by_rate = dict(zip(found.rates, found.relative, strict=True))
    assert found.own == pytest.approx(9 * (1 - 0.6) ** 120, abs=1e-9) and found.best()[0] == 0.3
    assert by_rate[found.rates[0]] == pytest.approx(9 * (1 - 0.0006) ** 120, rel=1e-3)
    assert by_rate[found.rates[4]] == math.inf and found.best(low=1.0)[1] == math.inf


def test_a_proof_is_students_t_over_pairs():
    without, with_ = [1.0, 1.2, 0.9, 1.1, 1.05], [0.8, 0.95, 0.85, 0.8, 0.9]
    found = weigh(without, with_, 10, "")
    interval = stats.ttest_rel(with_, without).confidence_interval(0.95)
    assert (found.difference.low, found.difference.high) == pytest.approx((interval.low, interval.high))
    assert found.outcome == "helped"
    assert weigh(with_, without, 10, "").outcome == "did not help"
    assert weigh([1.0, 1.2, 0.8], [0.5, 1.5, 0.6], 10, "").outcome == "undecided"


def test_a_rebuilt_network_has_other_activations_norms_and_weights_and_the_old_one_keeps_its_own():
    network = nn.Sequential(nn.Linear(3, 6), nn.Sigmoid(), nn.Linear(6, 6), nn.Sigmoid(), nn.Linear(6, 1))
    before = network[0].weight.clone()
    made = rebuilt(network, 1, torch.randn(8, 3), activation=nn.SiLU, norm=True)
    assert [type(m).__name__ for m in made] == ["Linear", "Sequential", "Linear", "Sequential", "Linear"]
    assert isinstance(made[1][0], nn.LayerNorm) and isinstance(made[1][1], nn.SiLU)
    assert torch.equal(network[0].weight, before) and not torch.equal(made[0].weight, before)
    assert torch.equal(rebuilt(network, 1, torch.randn(8, 3)).get_parameter("0.weight"), made[0].weight)
