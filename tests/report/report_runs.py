"""Records of small real runs: scikit-learn's own networks and classic models on its bundled data, nothing invented."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from glia.report.evidence import curves, data_profile, hardest_rows, weak_groups

Metric = Callable[[Any, Any], float]
TASKS = ("binary", "multiclass", "regression")
every_task = pytest.mark.parametrize("task", TASKS)
LOADERS = {"binary": load_breast_cancer, "multiclass": load_digits, "regression": load_diabetes}


def interval(metric: Metric, y: Any, score: Any, rng: np.random.Generator, repeats: int = 40) -> dict[str, float]:
    drawn = []
    while len(drawn) < repeats:
        rows = rng.integers(0, len(y), len(y))
        if len(np.unique(y[rows])) == len(np.unique(y)) or y.dtype.kind == "f":
            drawn.append(metric(y[rows], score[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(metric(y, score)), "low": float(low), "high": float(high)}


def metrics_of(task: str) -> dict[str, Metric]:
    if task == "regression":
        return {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
    ranked: dict[str, Metric] = {
        "accuracy": lambda y, p: accuracy_score(y, p.argmax(1)),
        "log_loss": lambda y, p: log_loss(y, p, labels=np.arange(p.shape[1])),
    }
    if task == "binary":
        ranked["roc_auc"] = lambda y, p: roc_auc_score(y, p[:, 1])
    return ranked


def bins_of(y: np.ndarray, p: np.ndarray) -> tuple[list[dict[str, float]], float]:
    stated, right = p.max(1), (p.argmax(1) == y).astype(float)
    found, gap = [], 0.0
    for low in np.arange(0.0, 1.0, 0.1):
        rows = (stated > low) & (stated <= low + 0.1)
        if rows.any():
            entry = {"low": low, "high": low + 0.1, "confidence": stated[rows].mean(), "frequency": right[rows].mean()}
            found.append({key: float(v) for key, v in entry.items()} | {"count": int(rows.sum())})
            gap += abs(found[-1]["confidence"] - found[-1]["frequency"]) * rows.mean()
    return found, float(gap)


def fit_epochs(network: Any, parts: dict[str, Any], task: str, epochs: int) -> tuple[Any, list[dict[str, float]]]:
    history, best = [], (np.inf, network)
    scaler = StandardScaler().fit(parts["X"]["train"])
    scaled = {name: scaler.transform(X) for name, X in parts["X"].items()}
    for epoch in range(1, epochs + 1):
        if task == "regression":
            network.partial_fit(scaled["train"], parts["y"]["train"])
            losses = {n: float(np.mean((network.predict(scaled[n]) - parts["y"][n]) ** 2)) for n in ("train", "valid")}
        else:
            network.partial_fit(scaled["train"], parts["y"]["train"], classes=np.unique(parts["y"]["train"]))
            losses = {n: log_loss(parts["y"][n], network.predict_proba(scaled[n])) for n in ("train", "valid")}
        row = {"epoch": epoch, "train/loss": losses["train"], "valid/loss": losses["valid"]}
        if task != "regression":
            row["valid/accuracy"] = network.score(scaled["valid"], parts["y"]["valid"])
        history.append(row)
        if losses["valid"] < best[0]:
            best = (losses["valid"], deepcopy(network))
    return make_pipeline(scaler, best[1]), history


@lru_cache(maxsize=4)
def run(task: str) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Return the record and history of one real run on one of scikit-learn's tables."""
    bunch = LOADERS[task]()
    rng = np.random.default_rng(0)
    columns, target = (
        [str(name) for name in bunch.feature_names],
        {"binary": "diagnosis", "multiclass": "digit"}.get(task, "progression"),
    )
    X, y = bunch.data, bunch.target if task != "regression" else bunch.target.astype(float)
    rest = y if task != "regression" else None
    a, test = train_test_split(np.arange(len(y)), test_size=0.25, random_state=0, stratify=rest)
    train, valid = train_test_split(a, test_size=0.2, random_state=0, stratify=None if rest is None else rest[a])
    rows = {"train": train, "valid": valid, "test": test}
    parts = {"X": {k: X[r] for k, r in rows.items()}, "y": {k: y[r] for k, r in rows.items()}}
    classes = None if task == "regression" else [str(c) for c in bunch.target_names]
    classifier = task != "regression"
    network = (MLPClassifier if classifier else MLPRegressor)(
        hidden_layer_sizes=(32,), learning_rate_init=0.003 if classifier else 0.02, random_state=0, batch_size=32
    )
    fitted, history = fit_epochs(network, parts, task, 30)
    output = (lambda model, Z: model.predict_proba(Z)) if classifier else (lambda model, Z: model.predict(Z))
    scores = {k: output(fitted, Z) for k, Z in parts["X"].items()}
    metrics = metrics_of(task)
    primary = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}[task]
    truth, score = parts["y"]["test"], scores["test"]
    record: dict[str, Any] = {
        "metrics": {
            k: {n: interval(m, parts["y"][k], scores[k], rng) for n, m in metrics.items()} for k in ("valid", "test")
        }
    }
    models = (
        {
            "constant": DummyClassifier(),
            "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
            "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(10)),
            "histogram gradient boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
        }
        if classifier
        else {
            "constant": DummyRegressor(),
            "ridge regression": make_pipeline(StandardScaler(), Ridge()),
            "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor(10)),
            "histogram gradient boosting": HistGradientBoostingRegressor(max_iter=10, random_state=0),
        }
    )
    record["baselines"], compared = [], {}
    sign = -1.0 if primary == "rmse" else 1.0
    for name, model in models.items():
        found = output(model.fit(parts["X"]["train"], parts["y"]["train"]), parts["X"]["test"])
        figures = {n: interval(m, truth, found, rng) for n, m in metrics.items()}
        record["baselines"].append({"name": name, "metrics": figures, "seconds": None})
        both = np.stack([score, found], axis=1)
        compared[name] = (sign * figures[primary]["value"], both)
    best = max(compared, key=lambda name: compared[name][0])
    m = metrics[primary]
    difference = interval(lambda t, s: sign * (m(t, s[:, 0]) - m(t, s[:, 1])), truth, compared[best][1], rng, 100)
    record["comparison"] = {"baseline": best, "metric": primary, "difference": {**difference, "level": 0.95}}
    frame = pl.DataFrame(X[test], schema=columns)
    whole = pl.DataFrame(X, schema=columns).with_columns(pl.Series(target, [classes[c] for c in y] if classes else y))
    prediction = score.argmax(1) if classifier else score
    if classifier:
        losses = -np.log(np.clip(score[np.arange(len(truth)), truth], 1e-12, 1))
        bins, gap = bins_of(truth, score)
        record["calibration"] = {"ece": {"value": gap}, "bins": bins}
    else:
        losses = np.abs(score - truth)
        width = float(np.quantile(np.abs(scores["valid"] - parts["y"]["valid"]), 0.9))
        inside = (losses <= width).astype(float)
        record["intervals"] = {
            "nominal": 0.9,
            "coverage": interval(lambda t, s: float(np.mean(s)), truth, inside, rng),
            "width": 2 * width,
        }
    named = (lambda v: [classes[c] for c in v]) if classes else list
    record |= {
        "curves": curves(task, named(truth), named(prediction), score if classifier else None, classes),  # type: ignore[arg-type]
        "hardest": hardest_rows(
            frame, named(truth), named(prediction), score if classifier else None, losses, rows=test
        ),
        "weak_groups": weak_groups(frame, losses, None, min_rows=25),
        "profile": data_profile(whole, {target: "target"}),
        "importance": importance(fitted, output, parts, m, sign, columns, rng),
    }
    return record | about(task, target, classes, rows, columns, fitted, history, primary), history


def importance(
    model: Any, output: Any, parts: Any, metric: Metric, sign: float, columns: list[str], rng: np.random.Generator
) -> list[dict[str, Any]]:
    X, y = parts["X"]["test"], parts["y"]["test"]
    whole, found = metric(y, output(model, X)), []
    for i, name in enumerate(columns):
        lost = []
        for _ in range(3):
            shuffled = X.copy()
            shuffled[:, i] = rng.permutation(shuffled[:, i])
            lost.append(sign * (whole - metric(y, output(model, shuffled))))
        half = 4.303 * np.std(lost, ddof=1) / np.sqrt(3)  # Student's t, 2 degrees of freedom
        mean = float(np.mean(lost))
        found.append({"column": name, "value": mean, "low": mean - half, "high": mean + half})
    return sorted(found, key=lambda entry: -entry["value"])


def about(
    task: str,
    target: str,
    classes: list[str] | None,
    rows: dict[str, Any],
    columns: list[str],
    fitted: Any,
    history: list[dict[str, float]],
    primary: str,
) -> dict[str, Any]:
    weights = fitted[-1].coefs_
    layers = [
        {"name": f"linear_{i}", "type": "Linear", "output": f"(B, {w.shape[1]})", "parameters": w.size + w.shape[1]}
        for i, w in enumerate(weights)
    ]
    best = min(history, key=lambda row: row["valid/loss"])["epoch"]
    schema = [{"name": c, "role": "numeric", "dtype": "Float64", "reason": "numbers"} for c in columns]
    return {
        "glia": "0.1.0",
        "created": "2026-01-15T10:30:00+00:00",
        "command": f"glia fit {task}.csv --target {target} --out run",
        "settings": {"network": {"hidden": [32]}, "batch_size": 32, "epochs": 30, "seed": 0},
        "versions": {"numpy": np.__version__, "polars": pl.__version__},
        "hardware": {"threads": 1},
        "source": {"name": f"{task}.csv", "rows": sum(map(len, rows.values())), "columns": len(columns) + 1},
        "target": target,
        "task": task,
        "classes": classes,
        "schema": {"columns": schema, "warnings": []},
        "split": {"method": "random", "rows": {k: len(v) for k, v in rows.items()}, "duplicates": 0},
        "network": {
            "name": "MLP",
            "parameters": sum(layer["parameters"] for layer in layers),
            "layers": layers,
            "text": repr(fitted[-1]),
        },
        "choices": {"lr": {"value": 0.003, "why": "the default of this test"}},
        "training": {"epochs": len(history), "best_epoch": best, "stopped": "the limit of epochs"},
        "primary": primary,
    }
