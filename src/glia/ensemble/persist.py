"""Fitted ensembles to files and back: every member as ``glia.save`` packs it, side by side in one model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glia.core.errors import InputError
from glia.core.hardware import pick_device
from glia.core.modelfile import Archive, read_archive, write_archive
from glia.core.results import jsonable
from glia.ensemble.base import Ensemble
from glia.ensemble.parts import KINDS, EnsembleParts, from_members, to_members
from glia.estimators import persist
from glia.estimators.persist import fitting_together, pack, unpack

_OWN = "ensemble.json"
_ARRAYS = "ensemble/"
MAX_MEMBERS = 10_000


def save(estimator: Any, path: str | Path, *, target: str | list[str] | None = None) -> None:
    """Write a fitted estimator or ensemble to a file, atomically.

    Parameters
    ----------
    estimator : Classifier, Regressor, Perceptron, … or an ensemble of them
        Fitted. Of a network of your own the weights are stored, not the code: hand it in again at ``load``.
    path : path-like
        By custom ends in ``.glia``.
    target : str or list of str, optional
        Name of what is predicted.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    InputError
        If it, or a member, is not one of Glia's, or the file cannot be written.
    """
    if not isinstance(estimator, Ensemble):
        persist.save(estimator, path, target=target)
        return
    taken = to_members(estimator)
    parts: dict[str, Any] = {}
    tensors = {_ARRAYS + name: value for name, value in taken.arrays.items()}
    kinds = []
    for number, (name, member) in enumerate(taken.members.items()):
        try:
            packed = pack(member)
        except InputError as error:
            got = f"{name!r}, a {type(member).__name__}"
            raise InputError(
                "the members of a saved ensemble must be Glia's", got, "save it without that one"
            ) from error
        kinds.append({"name": name, "estimator": packed.manifest["estimator"], "parts": sorted(packed.parts)})
        parts |= {_part(number, part): content for part, content in packed.parts.items()}
        tensors |= {_tensor(number, key): value for key, value in packed.tensors.items()}
    parts[_OWN] = jsonable(
        {
            "kind": taken.kind, "settings": taken.settings, "state": taken.state, "members": kinds,
            "target": persist.target_data(taken.target),
        }
    )  # fmt: skip
    write_archive(path, {"estimator": taken.kind, "target": target}, tensors, parts=parts)


def load(path: str | Path, *, network: Any = None, device: str = "auto") -> Any:
    """Read a fitted estimator or ensemble from a file that ``save`` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        The file.
    network : nn.Module, class or factory, optional
        The code of a custom network, of all members; the file holds its weights only.
    device : str
        Where the networks are to run.

    Raises
    ------
    ModelFileError
        If the file is damaged, altered, unsafe, of another format, or of a network whose code is missing.
    """
    archive = read_archive(path)
    chosen = pick_device(device)
    with fitting_together(path):
        if str(archive.manifest["estimator"]) not in KINDS:
            return unpack(archive, network, chosen)
        own = archive.parts[_OWN]
        listed = own["members"]
        if not isinstance(listed, list) or len(listed) > MAX_MEMBERS:
            raise ValueError("the members of an ensemble must be a list")
        members = {
            str(one["name"]): unpack(_member(archive, number, one), network, chosen)
            for number, one in enumerate(listed)
        }
        if len(members) < len(listed):
            raise ValueError("two members have one name")
        arrays = {k.removeprefix(_ARRAYS): v for k, v in archive.tensors.items() if k.startswith(_ARRAYS)}
        target = persist.target_from(own["target"])
        kind = str(archive.manifest["estimator"])
        return from_members(EnsembleParts(kind, dict(own["settings"]), dict(own["state"]), arrays, target, members))


def _member(archive: Archive, number: int, listed: Mapping[str, Any]) -> Archive:
    """Return one member's share of the file."""
    parts = {str(part): archive.parts[_part(number, str(part))] for part in listed["parts"]}
    start = _tensor(number, "")
    tensors = {k.removeprefix(start): v for k, v in archive.tensors.items() if k.startswith(start)}
    return Archive({"estimator": str(listed["estimator"]), "target": None}, tensors, parts)


def _part(number: int, part: str) -> str:
    return f"member{number}_{part}"


def _tensor(number: int, name: str) -> str:
    return f"member{number}/{name}"
