"""Losses for rare classes: worked figures, other ways to the same number, and what their minimisers are."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from glia.core.errors import InputError
from glia.objectives import (
    LDAM,
    BinaryCrossEntropy,
    ClassBalanced,
    CrossEntropy,
    ExpectedCost,
    Focal,
    LogitAdjusted,
    effective_weights,
    loss_from_dict,
)

O3 = torch.tensor([[1.0, -0.5, 0.2], [0.1, 0.7, -2.0], [0.3, 0.0, 1.5]], dtype=torch.float64)
Y3 = torch.tensor([2, 0, 1])
O1, Y1 = torch.tensor([[0.8], [-1.2], [0.1]], dtype=torch.float64), torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
WITH_COUNTS = [
    ClassBalanced((90, 9, 1)),
    LogitAdjusted((90, 9, 1)),
    LDAM((90, 9, 1)),
    ClassBalanced((90, 9, 1), 0.9, 2.0),
]


def test_effective_numbers_by_hand():
    # beta = 1/2: effective numbers of 1, 2 and 3 rows are 1, 3/2 and 7/4, their inverses 1, 2/3 and 4/7.
    total = 1 + 2 / 3 + 4 / 7
    np.testing.assert_allclose(effective_weights((1, 2, 3), 0.5), [3 / total, 2 / total, 12 / 7 / total])
    np.testing.assert_allclose(effective_weights((5, 500), 0.0), [1, 1])  # all alike
    counts = np.array([10.0, 400.0])
    np.testing.assert_allclose(
        effective_weights(counts.tolist(), 1 - 1e-12), 2 / counts / (1 / counts).sum(), rtol=1e-6
    )
    long_way = [(1 - 0.99) / (1 - 0.99**n) for n in (7, 80)]
    np.testing.assert_allclose(effective_weights((7, 80), 0.99), 2 * np.array(long_way) / sum(long_way))


def test_class_balanced_is_weighted_cross_entropy():
    weights = torch.tensor(effective_weights((90, 9, 1)), dtype=torch.float64)
    wanted = F.cross_entropy(O3, Y3, weight=weights, reduction="none")
    torch.testing.assert_close(ClassBalanced((90, 9, 1))(O3, Y3), wanted)
    low, high = effective_weights((50, 3))
    plain = BinaryCrossEntropy()(O1, Y1)
    torch.testing.assert_close(ClassBalanced((50, 3))(O1, Y1), plain * torch.tensor([high, low, high]))
    focal = ClassBalanced((90, 9, 1), gamma=2.0)
    torch.testing.assert_close(focal(O3, Y3), Focal(2.0)(O3, Y3) * weights[Y3])


def test_logit_adjusted_by_hand():
    # Shares 3/4 and 1/4 and equal scores: softmax is the shares themselves.
    loss = LogitAdjusted((3, 1))
    torch.testing.assert_close(
        loss(torch.zeros(2, 2, dtype=torch.float64), torch.tensor([0, 1])),
        -torch.tensor([math.log(0.75), math.log(0.25)], dtype=torch.float64),
    )
    one = loss(torch.zeros(2, 1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(one, -torch.tensor([math.log(0.75), math.log(0.25)], dtype=torch.float64))
    torch.testing.assert_close(LogitAdjusted((90, 9, 1), tau=0.0)(O3, Y3), CrossEntropy()(O3, Y3))


def test_ldam_by_hand():
    # 16 : 1 rows: margins 1/2 for the rare class, 1/4 for the common one (the fourth root of 16 is 2).
    loss = LDAM((16, 1), scale=3.0)
    output = torch.tensor([[0.4, 0.1], [0.4, 0.1]], dtype=torch.float64)
    wanted = [math.log1p(math.exp(3 * (0.1 - 0.15))), math.log1p(math.exp(3 * (0.4 + 0.4)))]
    torch.testing.assert_close(loss(output, torch.tensor([0, 1])), torch.tensor(wanted, dtype=torch.float64))
    single = loss((output[:, 1] - output[:, 0]).unsqueeze(1), torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(single, torch.tensor(wanted, dtype=torch.float64))


def test_expected_cost_by_hand():
    cost = "0 1; 5 0"
    p = torch.sigmoid(O1[:, 0])
    wanted = torch.where(Y1 == 1, 5 * (1 - p), p)
    torch.testing.assert_close(ExpectedCost(cost)(O1, Y1), wanted)
    torch.testing.assert_close(ExpectedCost()(O3, Y3), 1 - torch.softmax(O3, 1)[torch.arange(3), Y3])
    matrix = torch.tensor([[0.0, 2, 3], [1, 0, 1], [9, 4, 0]], dtype=torch.float64)
    found = ExpectedCost(tuple(map(tuple, matrix.tolist())))(O3, Y3)
    torch.testing.assert_close(found, (matrix[Y3] * torch.softmax(O3, 1)).sum(1))


@pytest.mark.parametrize("loss", [*WITH_COUNTS, ExpectedCost("0 2 3; 1 0 1; 9 4 0")], ids=repr)
def test_gradients_equal_finite_differences_and_settings_survive(loss):
    assert torch.autograd.gradcheck(lambda o: loss(o, Y3), O3.clone().requires_grad_())
    assert loss_from_dict(loss.to_dict()) == loss
    shares = F.one_hot(Y3, 3).double()  # class numbers are a special case of shares of classes
    if not (isinstance(loss, ClassBalanced) and loss.gamma):
        torch.testing.assert_close(loss(O3, shares), loss(O3, Y3))


@pytest.mark.parametrize("loss", [ClassBalanced((90, 9, 1)), LogitAdjusted((90, 9, 1), tau=0.5)], ids=repr)
def test_the_minimiser_is_the_shares_times_the_factors(loss):
    """Without inputs, scores that minimise the mean loss are log(share × factor): what probabilities are mended by."""
    shares = torch.tensor([0.9, 0.09, 0.01], dtype=torch.float64)
    z = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [z], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = (loss(z.expand(3, 3), torch.arange(3)) * shares).sum()
        value.backward()
        return value

    optimizer.step(closure)
    wanted = shares * torch.tensor(loss.class_factors, dtype=torch.float64)
    torch.testing.assert_close(torch.softmax(z.detach()[0], 0), wanted / wanted.sum(), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(torch.softmax(z.detach()[0], 0), shares, atol=0.01)  # the control


def test_counts_are_filled_in_once():
    loss = LogitAdjusted().for_counts(np.array([4, 0]))
    assert loss.counts == (4.0, 1.0)  # a class that is yet to come
    assert loss.for_counts((9, 9)) is loss
    torch.testing.assert_close(LogitAdjusted()(O3, Y3), CrossEntropy()(O3, Y3))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ClassBalanced(beta=1.0), lambda: ClassBalanced((1,)), lambda: LDAM(margin=-1), lambda: LDAM(scale=0),
        lambda: LogitAdjusted(tau=-1), lambda: ClassBalanced(gamma=-1), lambda: LogitAdjusted((1, 2))(O3, Y3),
        lambda: ExpectedCost("0 1"), lambda: ExpectedCost("0 1; 1 0")(O3, Y3), lambda: effective_weights((), 0.5),
        lambda: LDAM((float("nan"), 1)),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(wrong):
    with pytest.raises(InputError):
        wrong()
