"""What to do about each verdict, as settings of ``glia fit`` and constructor parameters."""

from __future__ import annotations

import math
from collections.abc import Callable

from glia.diagnose.case import Case
from glia.diagnose.measures import Measures
from glia.diagnose.verdict import Remedy


def remedy_for(kind: str, case: Case, m: Measures) -> Remedy:
    """Return the remedy of a verdict for a case."""
    return _REMEDIES[kind](case, m)


def suggested_rate(case: Case, m: Measures) -> float:
    """Return the middle (of logarithms) between the best rate of the short trainings and that of the range test.

    Where only one of them found a rate, or they contradict each other, it is that of the trainings, which went to the
    end.
    """
    best = m.trial.best()[0] if m.trial is not None else None
    found = m.range_test.suggestion if m.range_test is not None and m.range_test.found else None
    if best is None:
        return found if found is not None else 1e-3
    rate = math.sqrt(found * best) if found is not None and best / 10 <= found <= best * 10 else best
    return float(f"{rate:.2g}")


def _leak(case: Case, m: Measures) -> Remedy:
    names = [leak.column for leak in m.leaks]
    shown = ", ".join(repr(name) for name in names)
    words = f"Leave out {shown} unless it is known before the target is; then fit again."
    return Remedy(words, {"drop": names}, {"X": f"X.drop({names!r})"})


def _labels(case: Case, m: Measures) -> Remedy:
    count = 0 if m.labels is None else len(m.labels.suspects)
    words = f"Look through the {count} suspect rows (listed in the result) and correct them or leave them out."
    soft = case.task in ("binary", "multiclass")
    parameters = {"sample_weight": "0 for the suspect rows"}
    if soft:
        parameters["objective"] = "glia.Objective(label_smoothing=0.1)"
    return Remedy(words, {"early_stopping": True, "weight_decay": 0.1}, parameters)


def _direction(case: Case, m: Measures) -> Remedy:
    words = "Turn the sign of the loss round (or take the task's own), and do not set maximize in the optimizer."
    return Remedy(words, {"loss": "auto"}, {"objective": '"auto"'})


def _saturation(case: Case, m: Measures) -> Remedy:
    if m.inputs is not None and m.inputs.largest > 5:
        words = "Scale the inputs to unit size, so that units work where they are steep."
        return Remedy(words, {"scale": "standard"}, {"preparation": 'glia.Preparation(scale="standard")'})
    words = "Put a norm before the activations, or take one that is not bounded."
    settings = {"norm": "layer", "activation": "silu"}
    return Remedy(words, settings, {"network": 'glia.nn.MLP(activation="silu", norm="layer")'})


def _unscaled(case: Case, m: Measures) -> Remedy:
    words = "Scale every column to mean 0 and unit size before training (and in the same way before predicting)."
    return Remedy(words, {"scale": "standard"}, {"preparation": 'glia.Preparation(scale="standard")'})


def _rate(case: Case, m: Measures) -> Remedy:
    rate = suggested_rate(case, m)
    return Remedy(f"Train with a learning rate of {rate:.2g}.", {"lr": rate}, {"lr": f"{rate:.2g}"})


def _exploding(case: Case, m: Measures) -> Remedy:
    words = (
        "Start from weights that keep the signal's size (He or Xavier), put norms between the layers, clip gradients."
    )
    network = 'glia.nn.MLP(init="auto", norm="layer")'
    optimizer = 'glia.Optimizer("adamw", clip_norm=1.0)'
    return Remedy(words, {"norm": "layer"}, {"network": network, "optimizer": optimizer})


def _dead(case: Case, m: Measures) -> Remedy:
    words = "Start from fresh weights and an activation that is nowhere flat; take a lower rate if units die again."
    return Remedy(words, {"activation": "leaky_relu"}, {"network": 'glia.nn.MLP(activation="leaky_relu", init="auto")'})


def _alike(case: Case, m: Measures) -> Remedy:
    words = "Draw the initial weights at random: units that start equal get equal gradients and stay equal."
    return Remedy(words, {"network": "mlp"}, {"network": 'glia.nn.MLP(init="auto")'})


def _vanishing(case: Case, m: Measures) -> Remedy:
    words = (
        "Take an activation that is not bounded, He initialisation and norms between the layers, or skip connections."
    )
    network = 'glia.nn.MLP(activation="silu", init="auto", norm="layer", residual=True)'
    return Remedy(words, {"activation": "silu", "norm": "layer"}, {"network": network})


def _underfitting(case: Case, m: Measures) -> Remedy:
    words = "Give it more to learn with: hidden layers with an activation, wider ones, more steps, less regularisation."
    settings = {"hidden": [128, 128], "activation": "silu", "dropout": 0.0, "weight_decay": 0.0, "effort": "best"}
    network = 'glia.nn.MLP(hidden=(128, 128), activation="silu")'
    return Remedy(words, settings, {"network": network, "effort": '"best"'})


def _overfitting(case: Case, m: Measures) -> Remedy:
    words = "Stop when the validation loss turns and keep those weights; add weight decay; more rows help most."
    settings = {"early_stopping": True, "weight_decay": 0.1, "dropout": 0.3}
    return Remedy(words, settings, {"early_stopping": "True", "optimizer": 'glia.Optimizer("adamw", weight_decay=0.1)'})


def _calibration(case: Case, m: Measures) -> Remedy:
    words = (
        "Divide the scores by a temperature that is fitted on held-out rows; glia does so from 50 validation rows on."
    )
    return Remedy(words, {"validation_fraction": 0.15}, {"validation_fraction": "0.15"})


_REMEDIES: dict[str, Callable[[Case, Measures], Remedy]] = {
    "data leak": _leak,
    "label noise": _labels,
    "wrong direction": _direction,
    "saturation": _saturation,
    "unscaled inputs": _unscaled,
    "rate too high": _rate,
    "exploding gradients": _exploding,
    "dead units": _dead,
    "units alike": _alike,
    "vanishing gradients": _vanishing,
    "rate too low": _rate,
    "underfitting": _underfitting,
    "overfitting": _overfitting,
    "miscalibration": _calibration,
}
