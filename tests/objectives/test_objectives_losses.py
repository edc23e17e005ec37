"""Every loss against finite differences, torch, scikit-learn, worked figures and extreme scores."""

import json
import math
import pickle

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from scipy.special import softmax as scipy_softmax
from sklearn import metrics as sk
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.objectives import (
    CrossEntropy,
    CustomLoss,
    Focal,
    GaussianNLL,
    Huber,
    Quantile,
    as_loss,
    default_loss,
    loss_from_dict,
    losses,
    point_prediction,
    probabilities,
)
from glia.objectives.loss import Loss

B, C, L, T = 6, 4, 3, 2


def settings():
    """Every registered loss with its defaults and with others, for each of its tasks."""
    extra = [
        Huber(0.3),
        Focal(0.0),
        Focal(0.5),
        Quantile((0.1, 0.9)),
        losses.get("binary_cross_entropy")(label_smoothing=0.2),
        CrossEntropy(0.1),
    ]
    every = [losses.get(name)() for name in losses.names()] + extra
    return [(loss, task) for loss in every for task in sorted(loss.tasks)] + [(Focal(2.0, 0.25), "binary")]


def case(loss: Loss, task: str, seed: int = 0, scale: float = 2.0):
    rng = torch.Generator().manual_seed(seed)
    width = {"binary": 1, "multiclass": C, "multilabel": L, "regression": T * loss.heads}[task]
    output = scale * torch.randn(B, width, generator=rng, dtype=torch.float64)
    if task == "binary":
        target = torch.arange(B).remainder(2).double()
    elif task == "multiclass":
        target = torch.arange(B).remainder(C)
    elif task == "multilabel":
        target = torch.randint(0, 2, (B, L), generator=rng).double()
    else:
        target = 3.0 * torch.rand(B, T, generator=rng, dtype=torch.float64) + 0.1
    return output, target


def label(pair):
    return f"{pair[0]}-{pair[1]}" if isinstance(pair, tuple) else str(pair)


@pytest.mark.parametrize("pair", settings(), ids=label)
def test_gradients_equal_finite_differences(pair):
    loss, task = pair
    output, target = case(loss, task)
    assert loss(output, target).shape == (B,)
    assert torch.autograd.gradcheck(lambda o: loss(o, target), output.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("pair", settings(), ids=label)
def test_a_row_depends_on_its_own_outputs_only_and_vmap_agrees(pair):
    loss, task = pair
    output, target = case(loss, task)

    def one(o, t):
        return loss(o.unsqueeze(0), t.unsqueeze(0))[0]

    rows = torch.func.vmap(one)(output, target)
    torch.testing.assert_close(rows, loss(output, target))
    gradients = torch.func.vmap(torch.func.grad(one))(output, target)
    leaf = output.clone().requires_grad_()
    loss(leaf, target).sum().backward()
    torch.testing.assert_close(gradients, leaf.grad)


@pytest.mark.parametrize("pair", settings(), ids=label)
def test_a_batch_of_members_can_be_vmapped(pair):
    loss, task = pair
    output, target = case(loss, task)
    members = torch.stack([output, output + 0.3])
    both = torch.func.vmap(loss, in_dims=(0, None))(members, target)
    torch.testing.assert_close(both, torch.stack([loss(m, target) for m in members]))


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pair", [p for p in settings() if p[0].name not in ("poisson",)], ids=label)
def test_extreme_scores_give_finite_losses_and_gradients(pair, dtype, size):
    loss, task = pair
    output, target = case(loss, task, scale=size)
    output = output.to(dtype).requires_grad_()
    values = loss(output, target.to(dtype) if target.is_floating_point() else target)
    values.sum().backward()
    assert torch.isfinite(values).all() and torch.isfinite(output.grad).all()
    assert (values >= 0).all() or loss.name == "gaussian_nll"


def test_binary_cross_entropy_keeps_its_digits_far_out():
    loss, one = losses.get("binary_cross_entropy")(), torch.ones(2)
    values = loss(torch.tensor([[50.0], [-200.0]]), one)
    torch.testing.assert_close(values, torch.tensor([math.exp(-50.0), 200.0]))


def test_parity_with_torch():
    o, y = case(losses.get("mse")(), "regression")
    pairs = {
        "mse": F.mse_loss,
        "mae": F.l1_loss,
        "huber": F.huber_loss,
    }
    for name, reference in pairs.items():
        torch.testing.assert_close(losses.get(name)()(o, y), reference(o, y, reduction="none").mean(1))
    torch.testing.assert_close(Huber(0.3)(o, y), F.huber_loss(o, y, reduction="none", delta=0.3).mean(1))
    poisson = F.poisson_nll_loss(o, y, log_input=True, full=False, reduction="none").mean(1)
    torch.testing.assert_close(losses.get("poisson")()(o, y), poisson)
    gauss = GaussianNLL()
    oo, y = case(gauss, "regression")
    mean, variance = oo[:, 0::2], gauss.variance(oo)
    torch.testing.assert_close(gauss(oo, y), F.gaussian_nll_loss(mean, y, variance, reduction="none").mean(1))
    torch.testing.assert_close(point_prediction(oo, gauss), mean)
    o, y = case(CrossEntropy(), "multiclass")
    torch.testing.assert_close(CrossEntropy(0.1)(o, y), F.cross_entropy(o, y, reduction="none", label_smoothing=0.1))
    # smoothing by hand: the same as soft targets
    soft = 0.9 * F.one_hot(y, C) + 0.1 / C
    torch.testing.assert_close(CrossEntropy(0.1)(o, y), CrossEntropy()(o, soft))
    torch.testing.assert_close(losses.get("kl_divergence")()(o, y), CrossEntropy()(o, y))
    o, y = case(losses.get("binary_cross_entropy")(), "multilabel")
    reference = F.multilabel_soft_margin_loss(o, y, reduction="none")
    torch.testing.assert_close(losses.get("binary_cross_entropy")()(o, y), reference)


def test_parity_with_scikit_learn():
    o, y = case(losses.get("mse")(), "regression")
    positive = o.abs()
    msle = sk.mean_squared_log_error(y.numpy(), positive.numpy())
    assert float(losses.get("msle")()(positive, y).mean()) == pytest.approx(msle)
    q = Quantile((0.1, 0.5, 0.9))
    heads, y = case(q, "regression")
    expected = np.mean(
        [
            sk.mean_pinball_loss(y[:, t].numpy(), heads[:, 3 * t + i].numpy(), alpha=a)
            for t in range(T)
            for i, a in enumerate(q.levels)
        ]
    )
    assert float(q(heads, y).mean()) == pytest.approx(expected)
    torch.testing.assert_close(q.point(heads), heads[:, [1, 4]])
    o, y = case(losses.get("hinge")(), "binary")
    assert float(losses.get("hinge")()(o, y).mean()) == pytest.approx(sk.hinge_loss(y.numpy(), o[:, 0].numpy()))
    o, y = case(CrossEntropy(), "multiclass")
    crammer_singer = sk.hinge_loss(y.numpy(), o.numpy(), labels=range(C))
    assert float(losses.get("multiclass_hinge")()(o, y).mean()) == pytest.approx(crammer_singer)
    expected = sk.log_loss(y.numpy(), scipy_softmax(o.numpy(), axis=1), labels=range(C))
    assert float(CrossEntropy()(o, y).mean()) == pytest.approx(expected)


def test_kl_divergence_of_distributions_equals_scipy_and_is_zero_at_a_perfect_fit():
    o, _ = case(CrossEntropy(), "multiclass")
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 5 + [[0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    kl = losses.get("kl_divergence")()
    expected = rel_entr(p.numpy(), scipy_softmax(o.numpy(), axis=1)).sum(1)
    np.testing.assert_allclose(kl(o, p).numpy(), expected, rtol=1e-10)
    assert float(kl(p[:1].log(), p[:1])) == pytest.approx(0.0, abs=1e-12)


def test_focal_by_hand_and_as_cross_entropy_at_gamma_zero():
    p = 0.8
    o, one = torch.tensor([[math.log(p / (1 - p))]], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert float(Focal(2.0, 0.25)(o, one)) == pytest.approx(-0.25 * 0.2**2 * math.log(0.8))
    assert float(Focal(2.0, 0.25)(o, 0 * one)) == pytest.approx(-0.75 * 0.8**2 * math.log(0.2))
    both = torch.cat([torch.zeros_like(o), o], dim=1)  # the same row as two classes
    assert float(Focal(2.0)(both, torch.tensor([1]))) == pytest.approx(float(Focal(2.0)(o, one)))
    o, y = case(CrossEntropy(), "multiclass")
    torch.testing.assert_close(Focal(0.0)(o, y), CrossEntropy()(o, y))
    assert float(Focal(2.0)(o, y).sum()) < float(CrossEntropy()(o, y).sum())


def test_worked_figures():
    one = torch.ones(1, 1, dtype=torch.float64)
    assert float(losses.get("log_cosh")()(3 * one, one)) == pytest.approx(math.log(math.cosh(2.0)))
    assert float(losses.get("squared_hinge")()(0.5 * one, torch.ones(1))) == pytest.approx(0.25)
    assert float(losses.get("squared_hinge")()(0.5 * one, torch.zeros(1))) == pytest.approx(2.25)
    assert float(Quantile((0.9,))(0 * one, one)) == pytest.approx(0.9)
    assert float(Quantile((0.9,))(2 * one, one)) == pytest.approx(0.1)
    # below 0 the logarithm goes on along its tangent, so that a negative output is still pushed up
    leaf = (-3 * one).requires_grad_()
    value = losses.get("msle")()(leaf, one)
    value.sum().backward()
    assert value.item() == pytest.approx((math.log(2) + 3) ** 2)
    assert leaf.grad.item() == pytest.approx(-2 * (math.log(2) + 3))


@pytest.mark.parametrize("name", ["mse", "binary_cross_entropy", "hinge", "quantile"])
def test_shapes_that_would_broadcast_are_refused(name):
    loss = losses.get(name)()
    with pytest.raises(InputError, match="one row per target row"):
        loss(torch.zeros(4, 1), torch.zeros(4, 2))
    with pytest.raises(InputError, match="one row per target row"):
        loss(torch.zeros(4, 2), torch.zeros(4))


def test_a_single_column_takes_flat_targets():
    o, y = torch.randn(5, 1), torch.randn(5)
    torch.testing.assert_close(losses.get("mse")()(o, y), (o[:, 0] - y) ** 2)
    torch.testing.assert_close(losses.get("mse")()(o[:, 0], y), (o[:, 0] - y) ** 2)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("huber", {"delta": 0.0}),
        ("huber", {"delta": math.nan}),
        ("quantile", {"levels": (0.5, 0.1)}),
        ("quantile", {"levels": ()}),
        ("quantile", {"levels": (0.0, 0.5)}),
        ("focal", {"gamma": -1.0}),
        ("focal", {"alpha": 1.0}),
        ("gaussian_nll", {"floor": 0.0}),
        ("cross_entropy", {"label_smoothing": 1.0}),
        ("binary_cross_entropy", {"label_smoothing": -0.1}),
    ],
)
def test_settings_out_of_range_are_refused(name, values):
    with pytest.raises(InputError):
        losses.get(name)(**values)


def test_losses_come_in_by_name_object_or_function():
    assert as_loss("auto", "binary") == default_loss("binary") == losses.get("binary_cross_entropy")()
    assert as_loss("categorical_cross_entropy", "multiclass") == CrossEntropy()
    assert as_loss(Huber(2.0), "regression") == Huber(2.0)
    with pytest.raises(InputError, match="did you mean 'huber'"):
        as_loss("hubr", "regression")
    with pytest.raises(InputError, match=r"must fit the task 'regression' · got loss='hinge' · choose one of: gauss"):
        as_loss("hinge", "regression")
    with pytest.raises(InputError, match="must be a name, a Loss or a callable"):
        as_loss(torch.nn.MSELoss, "regression")
    assert all(default_loss(t).tasks >= {t} for t in ("binary", "multiclass", "multilabel", "regression"))
    assert all(losses.describe().values())


def test_a_users_function_gives_rows_or_a_scalar():
    o, y = torch.randn(5, 2, requires_grad=True), torch.randn(5, 2)
    rows = as_loss(lambda a, b: (a - b) ** 2, "regression")
    torch.testing.assert_close(rows(o, y), losses.get("mse")()(o, y))
    scalar = as_loss(torch.nn.MSELoss(), "regression")
    (got,) = torch.autograd.grad(scalar(o, y).mean(), o)
    (expected,) = torch.autograd.grad(losses.get("mse")()(o, y).mean(), o)
    torch.testing.assert_close(got, expected)
    with pytest.raises(InputError, match="reduction='none'"):
        CustomLoss(torch.nn.MSELoss(), needs_rows=True)(o, y)
    with pytest.raises(InputError, match="one figure per row"):
        CustomLoss(lambda a, b: a[:2, 0])(o, y)


def test_probabilities():
    z = torch.tensor([[-120.0], [0.0], [3.0]])
    p = probabilities(z, "binary")
    torch.testing.assert_close(p.sum(1), torch.ones(3))
    torch.testing.assert_close(p[:, 1], torch.sigmoid(z[:, 0]))
    assert float(probabilities(torch.tensor([[30.0]]), "binary")[0, 0]) == pytest.approx(math.exp(-30.0))
    o = torch.randn(4, 3)
    torch.testing.assert_close(probabilities(o, "multiclass"), torch.softmax(o, 1))
    torch.testing.assert_close(probabilities(o, "multilabel"), torch.sigmoid(o))
    for task, output in (("regression", o), ("binary", o), ("multiclass", z)):
        with pytest.raises(InputError, match="probabilities of the task"):
            probabilities(output, task)


@pytest.mark.parametrize("pair", settings(), ids=label)
def test_a_loss_survives_json_and_pickle(pair):
    loss, _ = pair
    assert loss_from_dict(json.loads(json.dumps(loss.to_dict()))) == loss
    assert pickle.loads(pickle.dumps(loss)) == loss


def test_data_that_name_no_loss_are_refused():
    with pytest.raises(InputError, match="hand it in again"):
        loss_from_dict(CustomLoss(torch.nn.MSELoss()).to_dict())
    with pytest.raises(InputError, match="known settings · got 'delt'"):
        loss_from_dict({"name": "huber", "settings": {"delt": 1.0}})
    with pytest.raises(InputError, match="must be a known name"):
        loss_from_dict({"name": "os.system"})
