"""Saliency, input × gradient, SmoothGrad and integrated gradients: closed forms, axioms, finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

import glia
from glia.core.errors import InputError
from glia.explain import deeplift, input_x_gradient, integrated_gradients, lrp, saliency, smoothgrad

W = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
B = np.array([0.25, -1.0])


def linear():
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor(W))
        net.bias.copy_(torch.tensor(B))
    return glia.wrap(net)


def deep(seed=0, inputs=5, outputs=2, activation=nn.ReLU, bias=True):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(inputs, 16, bias), activation(), nn.Linear(16, 16, bias), activation(), nn.Linear(16, outputs, bias)
    )


def rows(count=6, width=5, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_a_linear_network_has_closed_forms():
    X, base = rows(4, 3), np.array([[0.5, -1.0, 2.0]], dtype=np.float32)
    wide = np.broadcast_to(W.T, (4, 3, 2))
    np.testing.assert_allclose(saliency(linear(), X).values, abs(wide), atol=1e-6)
    np.testing.assert_allclose(saliency(linear(), X, absolute=False).values, wide, atol=1e-6)
    np.testing.assert_allclose(smoothgrad(linear(), X, absolute=False).values, wide, atol=1e-6)
    shares, moved = X[:, :, None] * wide, (X - base)[:, :, None] * wide
    for method in (input_x_gradient, integrated_gradients, deeplift, lrp):
        np.testing.assert_allclose(method(linear(), X).values, shares, atol=1e-5, err_msg=method.__name__)
    for method in (integrated_gradients, deeplift):
        result = method(linear(), X, baseline=base)
        np.testing.assert_allclose(result.values, moved, atol=1e-5)
        np.testing.assert_allclose(result.base, np.broadcast_to(base @ W.T + B, (4, 2)), atol=1e-5)
        np.testing.assert_allclose(result.residual, 0, atol=1e-5)
    np.testing.assert_allclose(lrp(linear(), X).residual, np.broadcast_to(B, (4, 2)), atol=1e-5)
    np.testing.assert_allclose(input_x_gradient(linear(), X).residual, np.broadcast_to(B, (4, 2)), atol=1e-5)


def test_saliency_is_the_derivative():
    net, X, step = deep(activation=nn.Tanh), rows(), 1e-3
    found = saliency(glia.wrap(net), X, absolute=False).values
    with torch.no_grad():
        for i in range(5):
            up, down = torch.tensor(X), torch.tensor(X)
            up[:, i] += step
            down[:, i] -= step
            slope = (net.double()(up.double()) - net(down.double())) / (2 * step)
            np.testing.assert_allclose(found[:, i], slope, atol=1e-4)
    net.float()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU, nn.Tanh])
@pytest.mark.parametrize("rule", ["gauss_legendre", "trapezoid"])
def test_integrated_gradients_are_complete(activation, rule):
    net, X = deep(activation=activation), rows(20) * 3
    result = integrated_gradients(glia.wrap(net), X, quadrature_rule=rule)
    assert abs(result.residual).max() <= 1e-5 and result.warnings == ()
    with torch.no_grad():
        np.testing.assert_allclose(result.outputs, net(torch.tensor(X)), atol=1e-5)
        np.testing.assert_allclose(result.base, net(torch.zeros(20, 5)), atol=1e-5)


def test_integrated_gradients_find_the_integral_itself():
    """Of x₀² x₁ + sin x₂ the shares from 0 are x₀²x₁·2/3, x₀²x₁·1/3, sin x₂; of ReLU nets, a fine Riemann sum."""

    class Formula(nn.Module):
        def forward(self, x):
            return (x[:, 0] ** 2 * x[:, 1] + torch.sin(x[:, 2]))[:, None]

    X = rows(8, 3)
    product = X[:, 0] ** 2 * X[:, 1]
    found = integrated_gradients(glia.wrap(Formula()), X).values
    np.testing.assert_allclose(found, np.stack([product * 2 / 3, product / 3, np.sin(X[:, 2])], axis=1), atol=1e-5)
    net, X = deep(), rows(4)
    result = integrated_gradients(glia.wrap(net), X, tolerance=1e-7)
    steps = (torch.arange(20000) + 0.5) / 20000
    for i, row in enumerate(torch.tensor(X)):
        x = (steps[:, None] * row).requires_grad_()
        for o in range(2):
            (grad,) = torch.autograd.grad(net(x)[:, o].sum(), x)
            np.testing.assert_allclose(result.values[i, :, o], grad.mean(0) * row, atol=2e-4)


def test_integrated_gradients_do_not_depend_on_how_a_function_is_written():
    """|x|, and the same as two ReLUs that are scaled up and down inside: one function, one explanation."""

    class Plain(nn.Module):
        def forward(self, x):
            return (x.abs() @ torch.ones(3, 1, dtype=x.dtype)) - (x[:, :1] * 2).relu()

    class Written(nn.Module):
        def forward(self, x):
            both = torch.cat([x, -x], dim=1) * 7
            return both.relu().sum(1, keepdim=True) / 7 - 2 * torch.maximum(x[:, :1], torch.zeros_like(x[:, :1]))

    X = rows(10, 3)
    one, two = (integrated_gradients(glia.wrap(net), X, baseline=X[:1] + 1) for net in (Plain(), Written()))
    np.testing.assert_allclose(one.values, two.values, atol=1e-5)


def test_symmetry_and_dummy():
    class Both(nn.Module):
        def forward(self, x):
            total = x[:, 0] + x[:, 1]
            return torch.stack([torch.tanh(total) * x[:, 2], total.relu()], dim=1)  # x₃ is in neither

    X = rows(6, 4)
    X[:, 1] = X[:, 0]
    for method in (saliency, input_x_gradient, smoothgrad, integrated_gradients, deeplift, lrp):
        values = method(glia.wrap(Both()), X).values
        np.testing.assert_allclose(values[:, 0], values[:, 1], atol=2e-2 if method is smoothgrad else 1e-5)
        assert (values[:, 3] == 0).all() and (values[:, 2, 1] == 0).all(), method.__name__


def test_expected_gradients_are_the_mean_over_backgrounds():
    net, X, back = glia.wrap(deep()), rows(5), rows(7, seed=3)
    whole = integrated_gradients(net, X, baseline="rows", background=back)
    single = [integrated_gradients(net, X, baseline=back[i : i + 1]).values for i in range(7)]
    np.testing.assert_allclose(whole.values, np.mean(single, axis=0), atol=2e-3)
    assert abs(whole.residual).max() <= 1e-5
    mean = integrated_gradients(net, X, baseline="mean", background=back)
    same = integrated_gradients(net, X, baseline=back.mean(0, keepdims=True))
    np.testing.assert_allclose(mean.values, same.values, atol=1e-5)


def test_few_steps_are_confessed():
    result = integrated_gradients(glia.wrap(deep()), rows(20) * 5, max_steps=16, tolerance=1e-9)
    assert "miss the tolerance" in result.warnings[0] and abs(result.residual).max() > 1e-9
    assert "Do not rely on it" in result.summary()


def test_smoothgrad_nears_the_mean_gradient_and_knows_its_error():
    net, X = glia.wrap(deep(activation=nn.Tanh, outputs=1)), rows(3)
    exact = smoothgrad(net, X, samples=4000, absolute=False, background=rows(50), random_state=9).values
    found = [smoothgrad(net, X, samples=16, absolute=False, background=rows(50), random_state=i) for i in range(40)]
    spread = np.std([one.values for one in found], axis=0)
    told = np.mean([one.standard_error for one in found], axis=0)
    np.testing.assert_allclose(told, spread, rtol=0.45)
    assert (abs(np.mean([one.values for one in found], axis=0) - exact) < 5 * spread / np.sqrt(40) + 1e-4).all()
    one = smoothgrad(net, X, samples=8, batch_rows=3)
    two = smoothgrad(net, X, samples=8, batch_rows=3)
    np.testing.assert_array_equal(one.values, two.values)


def test_outputs_are_chosen_and_batches_change_nothing():
    net, X = glia.wrap(deep(outputs=3), task="multiclass", classes=["a", "b", "c"]), rows(9)
    for method in (saliency, input_x_gradient, integrated_gradients, deeplift, lrp):
        whole = method(net, X)
        assert whole.values.shape == (9, 5, 3) and whole.output_names == ("a", "b", "c") and whole.unit == "logit"
        one = method(net, X, output="b", batch_rows=2)
        assert one.values.shape == (9, 5)
        np.testing.assert_allclose(
            one.values, whole.values[..., 1], atol=2e-3 if method is integrated_gradients else 1e-5
        )


def test_settings_are_checked():
    net, X = glia.wrap(deep()), rows()
    for message, call in {
        "baseline must be a row or one of": lambda: integrated_gradients(net, X, baseline="zero"),
        "did you mean 'zeros'": lambda: deeplift(net, X, baseline="zero"),
        "taken from a background": lambda: deeplift(net, X, baseline="mean"),
        "one row": lambda: deeplift(net, X, baseline=X),
        "rows like those explained": lambda: deeplift(net, X, baseline=X[:1, :2]),
        "quadrature must be": lambda: integrated_gradients(net, X, quadrature_rule="simpson"),
        "tolerance must be > 0": lambda: integrated_gradients(net, X, tolerance=0),
        "noise must be > 0": lambda: smoothgrad(net, X, noise=0),
        "batch_rows must be at least 1": lambda: saliency(net, X, batch_rows=0),
        "output must be": lambda: saliency(net, X, output="z"),
    }.items():
        with pytest.raises(InputError, match=message):
            call()


def test_a_network_without_a_gradient_is_refused():
    class Steps(nn.Module):
        def forward(self, x):
            return (x > 0).float().sum(1, keepdim=True)

    for method in (saliency, input_x_gradient, integrated_gradients, deeplift, lrp):
        with pytest.raises(InputError, match="can be differentiated"):
            method(glia.wrap(Steps()), rows())
