"""Layer-wise relevance propagation: an output is handed back, layer by layer, to the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glia.core.errors import InputError, near
from glia.core.protocols import Predictor
from glia.explain.attribution import AttributionResult
from glia.explain.entry import opened
from glia.explain.finish import Parts, finish
from glia.explain.lrp_rules.composite import AnyRule, Composite, as_composite
from glia.explain.lrp_rules.operations import ATTENTION, Operations
from glia.explain.methods import methods
from glia.explain.rewriting import rewriting
from glia.explain.rewriting.slope import Ledger
from glia.explain.saliency import times_input

LOST = 1e-3
"""Largest share of relevance that may be lost for no known reason."""
BIASES = ("keep", "share")


@methods.register("lrp")
def lrp(
    predictor: Predictor,
    X: Any,
    *,
    rule: AnyRule | Composite = "epsilon_gamma",
    biases: str = "keep",
    attention: str = "constant",
    output: int | str | Sequence[int | str] | None = None,
    batch_rows: int = 256,
) -> AttributionResult:
    """Return the relevance of each input.

    Parameters
    ----------
    predictor : Predictor
        A fitted estimator of Glia's, or ``glia.wrap(module)``.
    X : rows
        Whatever the predictor takes.
    rule : str, Part, Composite or rule
        "epsilon", "gamma", "z_plus", "alpha_beta" everywhere, or a composite: "epsilon_gamma" (ε in dense layers, γ in
        convolutions), "epsilon_plus", "epsilon_alpha2_beta1", or ``Composite(...)``.
    biases : {"keep", "share"}
        A bias keeps its share of relevance, or gives it to the inputs in the proportion of theirs.
    attention : {"constant", "split"}
        Attention weights as constants, or as half of a product (see ``lrp_rules.operations``).
    output : int, str or sequence of them, optional
        The outputs to explain; all by default.
    batch_rows : int
        Rows in memory at a time.

    Returns
    -------
    AttributionResult
        ``residual`` is output − Σ relevance. ``checks`` says where it went, as shares of the outputs' size: "kept by
        biases", "kept by the stabiliser" and "kept by softmax" follow from the rules, "lost" from none.

    Raises
    ------
    InputError
        If an operation of the network has no rule; the message names it and its module.

    Notes
    -----
    Works on dense, convolution, pooling, norm, residual, embedding, recurrent and attention layers, and on the same as
    functions or operators. Relevance of embedded columns is summed over their vector. A mask that the network computes
    from the rows by comparison is a constant.

    Source: Bach et al., doi 10.1371/journal.pone.0130140; rules by layer: ``lrp_rules``.
    """
    for name, value, known in (("attention", attention, ATTENTION), ("biases", biases, BIASES)):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}", repr(value), near(str(value), known))
    composite, found, ledger = as_composite(rule), Parts(), Ledger()
    with opened(predictor, X, output, numbers=True) as entry:
        for point in entry.parts_of(batch_rows):
            operations = Operations(composite, attention, biases == "share", ledger)
            block = lambda: rewriting(entry.network, operations.handlers(), "LRP")  # noqa: E731, B023
            outputs, slopes = entry.slopes(point, block)
            found.values.append(times_input(entry, point.tensors, slopes))
            found.outputs.append(outputs.cpu().numpy())
        checks, warnings = _balance(found, ledger)
        settings = {"rule": rule if isinstance(rule, str) else repr(rule), "biases": biases, "attention": attention}
        return finish(entry, "lrp", found, settings, adds_up=True, checks=checks, warnings=warnings)


def _balance(found: Parts, ledger: Ledger) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return where relevance went that did not reach the inputs, as shares of the outputs' size."""
    size = max(sum(float(np.abs(o).sum()) for o in found.outputs), 1e-12)
    missing = sum(float(o.sum()) for o in found.outputs) - sum(float(v.sum()) for v in found.values)
    checks = {
        "kept by biases": ledger.biases / size,
        "kept by the stabiliser": ledger.stabiliser / size,
        "kept by softmax": ledger.softmax / size,
        "lost": (missing - ledger.biases - ledger.stabiliser - ledger.softmax) / size,
    }
    lost = abs(checks["lost"]) > LOST * max(1.0, abs(checks["kept by biases"]))
    return checks, (f"{checks['lost']:.1%} of the relevance is lost in the network",) if lost else ()
