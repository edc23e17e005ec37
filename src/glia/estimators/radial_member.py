"""One more member that errs elsewhere: a radial network in closed form beside networks that were trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F

from glia.core.layout import Layout
from glia.core.protocols import Task
from glia.core.seeds import seeded
from glia.engine.radial_fit import RadialFit, fit_radial
from glia.engine.rows import Rows
from glia.estimators.folds import Folds
from glia.nn.ensemble import MeanNetwork
from glia.nn.radial import Radial, RadialNetwork
from glia.objectives import fit_temperature

_PARTS = 3
"""Parts of the rows, each judged by a radial network that the others taught."""
_SLIGHT, _MOST = 0.05, 0.9
"""A member that should count less is left out: it would cost more than it brings. More it does not count."""

_STILL = 1e-6
"""A number whose standard deviation is less does not change."""

Outputs = NDArray[np.float32]


@dataclass(frozen=True)
class RadialMember:
    """A radial network that joined a mean.

    Parameters
    ----------
    spec : Radial
        Its settings.
    share : float
        What it counts in the mean.
    unseen : ndarray (N, O)
        What the mean's members say of rows that they did not learn from.
    """

    spec: Radial
    share: float
    unseen: Outputs


def add_radial_member(
    network: MeanNetwork, rows: Rows, unseen: Outputs, *, layout: Layout, task: Task, seed: int
) -> RadialMember | None:
    """Fit a radial network to rows and let it join a mean of networks, if it is of use there.

    Parameters
    ----------
    network : MeanNetwork
        Of K trained networks, whose scores are averaged; changed in place.
    rows : Rows
        N rows, with weights (N,) or none.
    unseen : ndarray (N, O)
        For each row the outputs of a member that did not learn from it.
    layout : Layout
        Of the prepared rows.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    seed : int
        Of the draws of rows.

    Returns
    -------
    RadialMember or None
        ``None`` where the rows are better told without it.

    Notes
    -----
    What it counts is what suits the unseen rows best: least squares for quantities, the least log loss for classes.
    A network in the mean counts what it did, times one minus that.
    """
    outputs = unseen.shape[1]
    weight = None if rows.weight is None else rows.weight.cpu().numpy()
    truth = rows.y.cpu().numpy()
    drawn = Folds.draw(len(rows), None if task == "regression" else _numbers(rows.y), _PARTS, seed)
    folds = [torch.from_numpy(np.flatnonzero(drawn.member == part)).to(rows.x.device) for part in range(_PARTS)]
    with seeded(seed, "radial"):  # weights that are drawn at random and replaced are no reason to move the caller's
        scaler = _scaled(Radial(1, 1).build(layout, outputs).to(rows.x.device), rows.x, layout)
        spread = scaler.spread_out(rows.x)
        if not bool(torch.isfinite(spread).all()):  # such as missing values of a network that takes them as they are
            return None
        found = fit_radial(spread, _shares(rows.y, outputs, task), rows.weight, folds, seed)
        spec = Radial(len(rows), found.metric.shape[1], task != "regression")
        own = spec.build(layout, outputs).to(rows.x.device)
    _fill(own, found, scaler, spread.mean(0))
    scores = own.scores(found.unseen).cpu().numpy()
    if task != "regression":
        cooling = fit_temperature(unseen, truth, task, weight) / fit_temperature(scores, truth, task, weight)
        own.sharpness.fill_(cooling)
        scores = scores * cooling
    share = min(_best_share(unseen, scores, truth, weight, task), _MOST)
    if share < _SLIGHT:
        return None
    members = len(network.networks)
    network.networks.append(own.eval())
    network.weigh([(1.0 - share) / members] * members + [share])
    network.to(rows.x.device)
    return RadialMember(spec, share, np.asarray((1.0 - share) * unseen + share * scores, dtype=np.float32))


def drop_radial_member(network: MeanNetwork) -> bool:
    """Take the radial network out of a mean that is trained further, since it would no longer fit; tell whether so."""
    if network.weights is None:
        return False
    del network.networks[-1]
    network.weigh(None)
    return True


def _scaled(network: RadialNetwork, x: Tensor, layout: Layout) -> RadialNetwork:
    """Let a network standardise numbers; columns of 0 and 1 stay what they are."""
    plain = x.flatten(1).index_select(1, network.columns)
    numbers = set(layout.indices("numeric")) if layout.features else set(network.columns.tolist())
    scaled = torch.tensor([column in numbers for column in network.columns.tolist()], device=x.device)
    unit = plain.std(0)
    network.middle = torch.where(scaled, plain.mean(0), 0.0)
    network.unit = torch.where(scaled & (unit > _STILL), unit, 1.0)
    return network


@torch.no_grad()
def _fill(network: RadialNetwork, found: RadialFit, scaler: RadialNetwork, mean: Tensor) -> None:
    """Give a network what was found for rows spread out, whose mean was (D,)."""
    numbers = len(network.columns)
    network.middle, network.unit = scaler.middle, scaler.unit
    network.length.fill_(found.length)
    network.metric.copy_(found.metric[:numbers])
    if network.code_metric is not None:
        network.code_metric.copy_(found.metric[numbers:])
    # Rows were centred where distances were taken, which leaves these as they are, and the centres with them.
    network.centres.copy_(found.centres + mean @ found.metric)
    network.output.weight.copy_(found.weight.t())
    network.output.bias.copy_(found.mean)


def _shares(y: Tensor, outputs: int, task: Task) -> Tensor:
    """Return targets as a radial network has them: values, or a column of 0 and 1 for each class, (N, O)."""
    if task == "multiclass":
        return F.one_hot(y.long(), outputs).float()
    return y.float().reshape(len(y), outputs)


def _numbers(y: Tensor) -> NDArray[Any]:
    return np.asarray(y.cpu().numpy().reshape(len(y)).astype(np.intp))


def _best_share(one: Outputs, other: Outputs, truth: NDArray[Any], weight: NDArray[Any] | None, task: Task) -> float:
    """Return the share in [0, 1] of the second in the mean of both that suits the truth best."""
    count = np.ones(len(one)) if weight is None else weight
    if task == "regression":
        gap = other.astype(np.float64) - one
        parts = count[:, None] * gap
        below = float((parts * gap).sum())
        return float(np.clip((parts * (truth.reshape(one.shape) - one)).sum() / below, 0.0, 1.0)) if below else 0.0
    temperature = fit_temperature(one, truth, task, weight)
    first, second = torch.from_numpy(one).double() / temperature, torch.from_numpy(other).double() / temperature
    answer, counts = torch.from_numpy(truth), torch.from_numpy(np.asarray(count, dtype=np.float64))

    def loss(share: float) -> float:
        scores = (1.0 - share) * first + share * second
        if task == "multiclass":
            return float((F.cross_entropy(scores, answer.long(), reduction="none") * counts).mean())
        wanted = answer.double().reshape(scores.shape)
        own = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        return float((own.mean(1) * counts).mean())

    return float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-4}).x)
