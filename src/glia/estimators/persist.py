"""Models to files and back: JSON and tensors only. Loading runs no code that comes from the file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from glia.core.errors import GliaError, InputError, ModelFileError, near
from glia.core.hardware import pick_device
from glia.core.layout import Layout
from glia.core.modelfile import Archive, read_archive, write_archive
from glia.core.seeds import seeded
from glia.data import Schema
from glia.data.audio import AudioPreparation
from glia.data.balance import Balance
from glia.data.images import ImagePreparation, PictureTablePreparation
from glia.data.preparation import Preparation
from glia.data.series import SequencePreparation, WindowPreparation
from glia.data.texts import TextPreparation
from glia.engine.history import History
from glia.engine.optimizer_settings import Optimizer
from glia.engine.schedules import schedules
from glia.estimators.audio_classifier import AudioClassifier
from glia.estimators.classifier import Classifier
from glia.estimators.forecaster import Forecaster
from glia.estimators.image_augment import Augment
from glia.estimators.image_classifier import ImageClassifier
from glia.estimators.image_regressor import ImageRegressor
from glia.estimators.perceptron import Perceptron
from glia.estimators.population_fit import averaged, count_members, has_members
from glia.estimators.regressor import Regressor
from glia.estimators.sequence_classifier import SequenceClassifier
from glia.estimators.sequence_labeler import SequenceLabeler
from glia.estimators.sequence_regressor import SequenceRegressor
from glia.estimators.spec_augment import SpecAugment
from glia.estimators.target_transforms import TargetTransform, read_bounds
from glia.estimators.targets import ClassTarget, ValueTarget
from glia.estimators.text_classifier import TextClassifier
from glia.estimators.text_regressor import TextRegressor
from glia.nn import PerceptronFit, PerceptronNetwork, Spec, as_network, spec_from_dict
from glia.nn.ensemble import MeanNetwork
from glia.nn.without_values import without_values
from glia.objectives import Decision, Loss, Objective
from glia.objectives.losses import loss_from_dict

_ESTIMATORS: dict[str, Any] = {
    "Classifier": Classifier, "Regressor": Regressor, "Perceptron": Perceptron,
    "ImageClassifier": ImageClassifier, "ImageRegressor": ImageRegressor,
}  # fmt: skip
_SETTINGS: dict[str, Any] = {
    "Preparation": Preparation, "Objective": Objective, "Optimizer": Optimizer, "Balance": Balance,
    "Augment": Augment, "ImagePreparation": ImagePreparation,
}  # fmt: skip
_PREPARATIONS: dict[str, Any] = {"Preparation": Preparation, "ImagePreparation": ImagePreparation}
"""Kinds of preparation by the name of their class; files from before there were several have no name."""
for _kind in (Forecaster, SequenceClassifier, SequenceLabeler, SequenceRegressor, TextClassifier, TextRegressor):
    _ESTIMATORS[_kind.__name__] = _kind
_PREPARATIONS["SequencePreparation"] = _SETTINGS["SequencePreparation"] = SequencePreparation
_PREPARATIONS["TextPreparation"] = _SETTINGS["TextPreparation"] = TextPreparation
_PREPARATIONS["WindowPreparation"] = WindowPreparation
_PREPARATIONS["PictureTablePreparation"] = _SETTINGS["PictureTablePreparation"] = PictureTablePreparation
_ESTIMATORS["AudioClassifier"] = AudioClassifier
_PREPARATIONS["AudioPreparation"] = _SETTINGS["AudioPreparation"] = AudioPreparation
_SETTINGS["SpecAugment"] = SpecAugment
_PREPARED = "preparation/"
_NETWORK = "network/"
_LABELS = r"[<>|=][biufUSO]\d*|[<>=][mM]8(\[\d{0,4}(Y|M|W|D|h|m|s|ms|us|ns)\])"
_FIGURES = ("temperature_", "n_iter_", "best_epoch_", "stop_reason_", "choices_", "mistakes_", "converged_")


def save(estimator: Any, path: str | Path, *, target: str | list[str] | None = None) -> None:
    """Write a fitted estimator to a file, atomically.

    Parameters
    ----------
    estimator : Classifier, Regressor or Perceptron
        Fitted. Of a network of your own the weights are stored, not the code: hand it in again at ``load``.
    path : path-like
        By custom ends in ``.glia``.
    target : str or list of str, optional
        Name of what is predicted.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    InputError
        If it is not one of Glia's, or the file cannot be written.
    """
    packed = pack(estimator, target)
    write_archive(path, packed.manifest, packed.tensors, parts=packed.parts)


def pack(estimator: Any, target: str | list[str] | None = None) -> Archive:
    """Return what ``save`` writes, for files that hold more than one estimator.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    InputError
        If it is not one of Glia's.
    """
    kind = type(estimator).__name__
    if kind not in _ESTIMATORS:
        raise InputError("only Glia's estimators can be saved", f"{type(estimator).__name__}")
    check_is_fitted(estimator)
    named = target if target is not None else getattr(estimator, "target_name_", None)
    tensors = {_NETWORK + name: _array(value) for name, value in estimator.network_.state_dict().items()}
    parts: dict[str, Any] = {"fitted.json": _fitted(estimator), "layout.json": estimator.layout_.to_dict()}
    if estimator.schema_ is not None:
        parts["schema.json"] = estimator.schema_.to_dict()
    if estimator.preparation_ is not None:
        parts["preparation.json"], arrays = estimator.preparation_.to_state()
        parts["fitted.json"]["preparation"] = type(estimator.preparation_).__name__
        tensors |= {_PREPARED + name: value for name, value in arrays.items()}
    if getattr(estimator, "conformity_", None) is not None:
        tensors["conformity_"] = estimator.conformity_
    parts["fitted.json"]["parts"] = sorted(parts)
    return Archive({"estimator": kind, "target": named}, tensors, parts)


def _array(value: torch.Tensor) -> NDArray[Any]:
    """Return a weight as NumPy has it; bfloat16, which it lacks, as float32 of the same value."""
    plain = value.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def _fitted(estimator: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "params": {
            name: _plain(value) for name, value in estimator.get_params(deep=False).items() if name != "checkpoint"
        },
        "n_features_in": int(estimator.n_features_in_),
        "feature_names_in": [str(n) for n in getattr(estimator, "feature_names_in_", [])],
        "from_table": estimator._from_table,
        "shape_in": list(getattr(estimator, "shape_in_", ())),
        "target": target_data(estimator.target_),
        "figures": {name: getattr(estimator, name) for name in _FIGURES if hasattr(estimator, name)},
    }
    if isinstance(estimator, Perceptron):
        found = estimator.fit_
        data["perceptron"] = {
            "weights": np.asarray(found.weights).tolist(),
            "bias": np.asarray(found.bias).tolist(),
            "mistakes_per_epoch": list(found.mistakes_per_epoch),
            "bound": estimator.mistake_bound_ if np.isfinite(estimator.mistake_bound_) else None,
        }
    else:
        spec = as_network(estimator.spec_)
        data["network"] = spec.to_dict() if isinstance(spec, Spec) else {"custom": type(spec).__qualname__}
        if any(other is not estimator.spec_ for other in estimator.specs_):
            data["networks"] = [own.to_dict() for own in estimator.specs_ if isinstance(own, Spec)]
        loss = estimator._resolved.loss
        if isinstance(estimator, Classifier):
            data["decision"], data["factors"] = estimator.decision_.to_dict(), estimator.factors_
        data["loss"] = loss.to_dict() if hasattr(loss, "to_dict") and _is_json(loss) else None
        # Without times, so that the same run gives the same file.
        data["history"] = [
            {key: value for key, value in entry.items() if key != "seconds"} for entry in estimator.history_.to_list()
        ]
    return data


def _is_json(loss: Loss) -> bool:
    try:
        loss_from_dict(loss.to_dict())
    except (GliaError, TypeError, ValueError, KeyError):
        return False
    return True


def load(path: str | Path, *, network: Any = None, device: str = "auto") -> Any:
    """Read a fitted estimator from a file that ``save`` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        The file.
    network : nn.Module, class or factory, optional
        The code of a custom network; the file holds its weights only.
    device : str
        Where the network is to run.

    Raises
    ------
    ModelFileError
        If the file is damaged, altered, unsafe, of another format, or of a network whose code is missing.
    """
    archive = read_archive(path)
    chosen = pick_device(device)
    with fitting_together(path):
        return unpack(archive, network, chosen)


@contextmanager
def fitting_together(path: str | Path) -> Iterator[None]:
    """Rebuild within a block what a file holds: whatever its parts lead to, the file is to blame and is named."""
    try:
        # Building a network draws initial weights: the caller's random state is none of its business.
        with seeded(0, "load"):
            yield
    except ModelFileError:
        raise
    except Exception as error:
        detail = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelFileError(
            "the parts of a model file must fit together", f"{str(path)!r}: {detail}", "save the model again"
        ) from error


def unpack(archive: Archive, network: Any, device: torch.device) -> Any:
    """Return the fitted estimator that ``pack`` took apart; call it within ``fitting_together``."""
    kind = str(archive.manifest["estimator"])
    if kind not in _ESTIMATORS:
        raise ModelFileError("the file's estimator must be known", repr(kind), near(kind, _ESTIMATORS))
    data = archive.parts["fitted.json"]
    if data["parts"] != sorted(archive.parts):
        raise ValueError(f"the parts are {sorted(archive.parts)}")
    estimator = _ESTIMATORS[kind](**_arguments(data["params"]))
    estimator.n_features_in_ = int(data["n_features_in"])
    if data["feature_names_in"]:
        estimator.feature_names_in_ = np.array(data["feature_names_in"], dtype=object)
    if data["shape_in"]:
        estimator.shape_in_ = tuple(data["shape_in"])
    estimator._from_table = bool(data["from_table"])
    estimator.target_name_ = archive.manifest.get("target")
    estimator.target_ = target_from(data["target"])
    estimator.layout_ = Layout.from_dict(archive.parts["layout.json"])
    estimator.schema_ = Schema.from_dict(archive.parts["schema.json"]) if "schema.json" in archive.parts else None
    estimator.preparation_ = None
    if "preparation.json" in archive.parts:
        arrays = {k.removeprefix(_PREPARED): v for k, v in archive.tensors.items() if k.startswith(_PREPARED)}
        kind_of = _PREPARATIONS[data.get("preparation", "Preparation")]
        estimator.preparation_ = kind_of.from_state(archive.parts["preparation.json"], arrays)
    for name in _FIGURES:
        if name in data["figures"]:
            setattr(estimator, name, data["figures"][name])
    if kind == "Perceptron":
        _rebuild_perceptron(estimator, data)
    else:
        _rebuild_network(estimator, data, archive, network, device)
    return estimator


def _rebuild_perceptron(estimator: Perceptron, data: dict[str, Any]) -> None:
    found = data["perceptron"]
    counts = tuple(int(n) for n in found["mistakes_per_epoch"])
    bias = float(found["bias"]) if np.ndim(found["bias"]) == 0 else np.asarray(found["bias"], dtype=np.float64)
    estimator.fit_ = PerceptronFit(
        np.asarray(found["weights"], dtype=np.float64), bias, sum(counts), len(counts), counts[-1] == 0, counts
    )
    planes = 1 if estimator.target_.task == "binary" else estimator.target_.outputs
    estimator.network_ = PerceptronNetwork(estimator.layout_.in_features, planes)
    estimator.network_.load_weights(estimator.fit_)
    if not np.isfinite(estimator.fit_.weights).all() or np.size(bias) != planes or not np.isfinite(bias).all():
        raise ValueError(f"{planes} planes must have finite weights and one bias each")
    estimator.mistake_bound_ = float("inf") if found["bound"] is None else float(found["bound"])


def _rebuild_network(
    estimator: Any, data: dict[str, Any], archive: Archive, network: Any, device: torch.device
) -> None:
    estimator.spec_ = spec_from_dict(data["network"]) if network is None else as_network(network)
    if network is not None:
        estimator.network = network
    estimator._resolve()
    if data["loss"] is not None:
        loss = Objective(loss_from_dict(data["loss"])).resolve(estimator.target_.task).loss
        estimator._resolved = replace(estimator._resolved, loss=loss)
    outputs = estimator._resolved.out_features(estimator.target_.outputs)
    weights = {
        k.removeprefix(_NETWORK): torch.from_numpy(v.copy())
        for k, v in archive.tensors.items()
        if k.startswith(_NETWORK)
    }
    members = count_members(weights) if has_members(estimator.members, estimator.network, weights) else 0
    estimator.members_ = max(members, 1)
    listed = data.get("networks")
    if listed is not None and len(listed) != members:
        raise ValueError(f"{len(listed)} networks for the weights of {members}")
    specs = [spec_from_dict(own) for own in listed] if listed else [estimator.spec_] * estimator.members_
    estimator.specs_ = specs

    def build() -> torch.nn.Module:
        made = [spec.build(estimator.layout_, outputs) for spec in specs]
        if not members:
            return made[0]
        counts = [1.0 / members] * members if "weights" in weights else None
        return MeanNetwork(made, estimator.target_.task, averaged(estimator.members), counts)

    if network is None:
        with without_values():  # a small file cannot ask for a huge network: its weights must be there
            planned = build().state_dict()
        if {k: v.shape for k, v in planned.items()} != {k: v.shape for k, v in weights.items()}:
            raise ValueError("the weights are not those of the network")
    module = build()
    module.load_state_dict(weights)
    estimator._device = device
    estimator.network_ = module.to(device).eval()
    estimator.history_ = History(data["history"])
    if isinstance(estimator, Regressor):
        estimator.conformity_ = found = archive.tensors.get("conformity_")
        if found is not None and (found.ndim != 2 or found.shape[1] != estimator.target_.outputs):
            raise ValueError(f"errors of shape {found.shape} for {estimator.target_.outputs} targets")
    else:
        _rebuild_decision(estimator, data)


def _rebuild_decision(estimator: Classifier, data: dict[str, Any]) -> None:
    """Read how scores become probabilities and those decisions; files before it was stored have the plain way."""
    if not (isinstance(estimator.temperature_, float) and 0 < estimator.temperature_ < math.inf):
        raise ValueError("the temperature must be a finite number above 0")
    task, classes = estimator.target_.task, estimator.target_.outputs
    factors = data.get("factors")
    if factors is not None and not (len(factors) == classes and all(0 < float(f) < math.inf for f in factors)):
        raise ValueError(f"{len(factors)} factors for {classes} classes must be finite and above 0")
    estimator.factors_ = None if factors is None else [float(f) for f in factors]
    kept = data.get("decision")
    estimator.decision_ = Decision() if kept is None else Decision.from_dict(kept, task, classes)


def target_data(target: ClassTarget | ValueTarget) -> dict[str, Any]:
    """Return what is predicted as plain JSON data."""
    if isinstance(target, ClassTarget):
        classes = target.classes
        if classes.dtype.kind == "S":
            classes = np.char.decode(classes, "latin-1")
        stored = classes.astype(np.int64) if classes.dtype.kind in "mM" else classes
        return {"classes": stored.tolist(), "dtype": target.classes.dtype.str, "task": target.task}
    data = {"mean": target.mean.tolist(), "scale": target.scale.tolist(), "single": target.single}
    if target.bounds is not None:
        data["bounds"] = [side if math.isfinite(side) else None for side in target.bounds]
    if target.transform is not None:
        rest = None if target.rest is None else target.rest.tolist()
        data |= {"transform": target.transform.to_dict(), "rest": rest}
    return data


def target_from(data: Mapping[str, Any]) -> ClassTarget | ValueTarget:
    """Rebuild what ``target_data`` gave; raises ``ValueError`` where it cannot be."""
    if "classes" not in data:
        values = ValueTarget(np.array(data["mean"], float), np.array(data["scale"], float), bool(data["single"]))
        if values.mean.ndim != 1 or values.mean.shape != values.scale.shape or values.single > (len(values.mean) == 1):
            raise ValueError("the target's mean and scale must be of one length")
        values.bounds = read_bounds(data.get("bounds"))
        if data.get("transform") is not None:
            values.transform = TargetTransform.from_dict(data["transform"], values.outputs)
            rest = data.get("rest")
            values.rest = None if rest is None else np.array(rest, dtype=float)
            if values.rest is not None and values.rest.shape[1:] != values.mean.shape:
                raise ValueError("the errors of a target must be a row of figures each")
        return values
    listed, kind, task = data["classes"], str(data["dtype"]), data["task"]
    if not isinstance(listed, list) or not re.fullmatch(_LABELS, kind):
        raise ValueError(f"classes of an unknown type, {kind[:20]!r}")
    if kind[1] in "mM":
        classes = np.array(listed, dtype=np.int64).astype(kind)
    else:
        classes = np.array([x.encode("latin-1") for x in listed] if kind[1] == "S" else listed, dtype=kind)
    fits = {"binary": len(listed) == 2, "multiclass": len(listed) > 2, "multilabel": len(listed) > 0}
    if classes.ndim != 1 or not fits.get(task, False):
        raise ValueError(f"{len(listed)} classes for the task {task!r}")
    return ClassTarget(classes, task)


def _plain(value: Any) -> Any:
    """Return settings as JSON data; code (modules, functions) becomes a note of what it was."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Spec):
        return {"network": value.to_dict()}
    if type(value).__name__ in _SETTINGS and isinstance(value, BaseEstimator):
        given = getattr(value, "stored_params", None)
        params = value.get_params(deep=False) if given is None else given()
        own = {name: _plain(item) for name, item in params.items()}
        return {"settings": type(value).__name__, "fields": own}
    if isinstance(value, Loss) and _is_json(value):
        return {"loss": value.to_dict()}
    if is_dataclass(value) and type(value) in _schedules().values():
        name = next(name for name, kind in _schedules().items() if kind is type(value))
        return {"schedule": [[f.name, _plain(getattr(value, f.name))] for f in fields(value) if f.init], "name": name}
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(key), _plain(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"sequence": [_plain(item) for item in value]}
    return {"left_out": f"{type(value).__module__}.{type(value).__qualname__}"}


def _schedules() -> dict[str, Any]:
    return {name: schedules.get(name) for name in schedules.names()}


def _arguments(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for a constructor; what could not be stored is left to its default."""
    return {k: _rebuilt(v) for k, v in stored.items() if not (isinstance(v, dict) and "left_out" in v)}


def _rebuilt(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "network" in value:
        return "auto" if "custom" in value["network"] else spec_from_dict(value["network"])
    if "settings" in value:
        return _SETTINGS[value["settings"]](**_arguments(value["fields"]))
    if "schedule" in value:
        return schedules.get(value["name"])(**{name: _rebuilt(item) for name, item in value["schedule"]})
    if "loss" in value:
        return loss_from_dict(value["loss"])
    if "mapping" in value:
        return {_rebuilt(key): _rebuilt(item) for key, item in value["mapping"]}
    if "sequence" in value:
        return tuple(_rebuilt(item) for item in value["sequence"])
    return "auto"
