"""Unsupervised domain adaptation of any of Glia's estimators that has one network."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn

from glia.core.errors import InputError, near
from glia.core.seeds import derive, numpy_rng, seeded
from glia.engine.loop import Trainer
from glia.engine.optimizer_settings import Optimizer
from glia.engine.rows import Rows
from glia.engine.schedules import as_schedule
from glia.nn.ensemble import MeanNetwork
from glia.nn.modes import evaluating
from glia.transfer.alignment import AdaptationLoss, Adversary, Ramp, scaled_coral
from glia.transfer.pairs import DomainRows
from glia.transfer.result import AdaptationResult
from glia.transfer.tapped import Tapped, last_linear

METHODS = ("coral", "adversarial")
WEIGHTS = {"coral": 1.0, "adversarial": 1.0}
"""What "auto" weights the alignment by; both kinds do not depend on the scale of the features."""
RATE, STEPS, JUDGED = 1e-3, 600, 2000


def adapt(
    estimator: Any,
    X_source: Any,
    y_source: Any,
    X_target: Any,
    method: str = "coral",
    weight: Any = "auto",
    *,
    epochs: Any = "auto",
    lr: float = RATE,
    batch_size: int = 64,
    random_state: int = 0,
) -> AdaptationResult:
    """Train on with labelled rows of the source and unlabelled rows of the target, so that features become alike.

    Parameters
    ----------
    estimator : estimator
        Fitted to the source, or not yet: then a copy is. What is handed in stays as it is.
    X_source, y_source
        Labelled rows, at least two.
    X_target
        Rows without labels of where the model will be used, at least two.
    method : {"coral", "adversarial"}
        "coral": means and covariances of the features are drawn together (arXiv 1607.01719). "adversarial": features
        are learned from which a second network cannot tell the domains apart (arXiv 1409.7495).
    weight : "auto" or float
        Of that beside the task's loss, above 0.
    epochs : "auto" or int
        Passes over the source; "auto" is about 600 steps.
    lr : float
        Learning rate, > 0; by a cosine to 0.
    batch_size : int
        Rows of each domain per step, at least 2.
    random_state : int
        Same seed, same bits.

    Returns
    -------
    AdaptationResult
        The adapted copy is its ``estimator``.

    Raises
    ------
    InputError
        If a setting is wrong, rows are too few, or the network has no features that could change.

    Notes
    -----
    Both methods suppose that the task is the same in both domains and classes are about as common. Where they are not,
    aligned features are worse than before: compare on a few labelled rows of the target.
    """
    _check(method, weight, lr, batch_size)
    fitted = copy.deepcopy(estimator) if hasattr(estimator, "network_") else clone(estimator).fit(X_source, y_source)
    if not isinstance(getattr(fitted, "network_", None), nn.Module) or isinstance(fitted.network_, MeanNetwork):
        got = f"{type(estimator).__name__}, members={getattr(estimator, 'members', None)!r}"
        raise InputError("adaptation needs an estimator with one network", got, "set members=1")
    source, target = fitted.prepare(X_source), fitted.prepare(X_target)
    if min(len(source), len(target)) < 2:
        got = f"{len(source)} and {len(target)}"
        raise InputError("adaptation needs at least two rows of each domain", got, "hand in more rows")
    labels = torch.from_numpy(np.ascontiguousarray(fitted.target_.encode(fitted._check_y(y_source))))
    rows = Rows(source, labels.to(source.device))
    tapped = Tapped(fitted.network_, last_linear(fitted.network_, source[:2]))
    outputs = int(fitted.network_(source[:2]).shape[1])
    width = _width(tapped, source[:2], outputs)
    chosen = WEIGHTS[method] if weight == "auto" else float(weight)
    before = _apart(tapped, source, target, outputs, random_state)
    network: nn.Module = tapped
    callbacks = []
    if method == "adversarial":
        with seeded(random_state, "adversary"):
            network = Adversary(tapped, width).to(source.device)
            callbacks = [Ramp(network.reversal, chosen)]
    size = min(batch_size, len(source), len(target))
    passes = max(1, round(STEPS / math.ceil(len(source) / size))) if epochs == "auto" else int(epochs)
    trainer = Trainer(
        network,
        AdaptationLoss(fitted._resolved.loss, outputs, width, method, chosen),  # type: ignore[arg-type]  # pairs
        Optimizer("adamw", weight_decay=0.01, clip_norm=1.0).make(network, lr),
        epochs=passes,
        batch_size=size,
        schedule=as_schedule("cosine"),
        callbacks=callbacks,
        clip=Optimizer(clip_norm=1.0).clip(),
        random_state=derive(random_state, "adaptation"),
    )
    history = trainer.fit(DomainRows(rows, target))
    after = _apart(tapped, source, target, outputs, random_state)
    entries = [{key: value for key, value in entry.items() if key != "seconds"} for entry in history.to_list()]
    return AdaptationResult(fitted, method, chosen, before[0], after[0], before[1], after[1], entries)


def _check(method: str, weight: Any, lr: float, batch_size: int) -> None:
    if method not in METHODS:
        raise InputError("method must be coral or adversarial", f"method={method!r}", near(str(method), METHODS))
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool) and 0 < weight < math.inf
    if not (number or weight == "auto"):
        raise InputError("weight must be 'auto' or above 0", f"weight={weight!r}")
    if not (0 < lr < math.inf and batch_size >= 2):
        raise InputError("lr must be above 0 and batch_size at least 2", f"lr={lr!r}, batch_size={batch_size!r}")


def _width(tapped: Tapped, rows: Tensor, outputs: int) -> int:
    with evaluating(tapped), torch.enable_grad():
        found = tapped(rows)[:, outputs:]
    learned = [p for p in tapped.parameters() if p.requires_grad]
    # Side by side with outputs, features always have a gradient; whether it reaches a weight is the question.
    slopes = torch.autograd.grad((found * torch.arange(1.0, found.shape[1] + 1).to(found)).sum(), learned)
    if not any(bool(slope.any()) for slope in slopes):
        do = "fit a backbone with tune='full', 'gradual' or 'lora'"
        raise InputError("adaptation needs features that can learn", "a network that is frozen before its head", do)
    return int(found.shape[1])


@torch.no_grad()
def _apart(tapped: Tapped, source: Tensor, target: Tensor, outputs: int, seed: int) -> tuple[float, float]:
    """Return the CORAL distance of the features, and how well a linear model tells their domains apart."""
    with evaluating(tapped):
        found = [
            torch.cat([tapped(part) for part in torch.split(x[:JUDGED], 256)])[:, outputs:] for x in (source, target)
        ]
    distance = float(scaled_coral(found[0], found[1]))
    features = torch.cat(found).cpu().numpy().astype(np.float64)
    domain = np.repeat([0, 1], [len(part) for part in found])
    return distance, _told_apart(features, domain, seed)


def _told_apart(features: NDArray[np.float64], domain: NDArray[np.int64], seed: int) -> float:
    order = numpy_rng(seed, "told apart").permutation(len(domain))
    half = len(order) // 2
    learn, judge = order[:half], order[half:]
    if min(len(np.unique(domain[learn])), len(np.unique(domain[judge]))) < 2:
        return 0.5
    mean, scale = features[learn].mean(0), features[learn].std(0) + 1e-9
    scaled = (features - mean) / scale
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=200).fit(scaled[learn], domain[learn])
    return float(balanced_accuracy_score(domain[judge], model.predict(scaled[judge])))
