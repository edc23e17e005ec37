"""Which parameters share settings: weight decay where it helps, rates scaled by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from torch import Tensor, nn

from glia.core.errors import InputError

Parameters: TypeAlias = nn.Module | Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]
"""A module, its parameters (named or not), or groups as ``torch.optim`` takes them."""

_NORMALISING = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_EMBEDDING = (nn.Embedding, nn.EmbeddingBag)


def parameter_groups(
    target: Parameters,
    lr: float,
    weight_decay: float = 0.0,
    *,
    lr_scales: Mapping[str, float] | None = None,
    matrices: bool = False,
) -> list[dict[str, Any]]:
    """Return the parameters as ``torch.optim`` groups, as few as their settings allow.

    Weight decay pulls towards zero, which says something about a weight that mixes inputs and nothing about an offset,
    a scale or a looked-up vector: of a module, biases, normalising layers, embeddings and all parameters with fewer
    than two axes are spared. Of plain parameters none is.

    Parameters
    ----------
    target : nn.Module, or iterable of tensors, (name, tensor) pairs or groups
        What is optimised. Frozen parameters are taken along (they have no gradient, hence do not move), so that
        unfreezing them later needs no new optimizer.
    lr : float
        The base learning rate; a group starts at ``lr * lr_scale``.
    weight_decay : float
        At least 0.
    lr_scales : mapping of str to float, optional
        Start of a parameter's dotted name → factor of its learning rate; the longest match wins. Only for modules.
    matrices : bool
        Whether to part the hidden weight matrices (``matrix=True`` in their group) from everything else: embeddings
        and the last matrix, which is the output layer, count as "else".

    Returns
    -------
    list of dict
        Each with ``params, lr, lr_scale, weight_decay``, and ``matrix`` where asked for.

    Raises
    ------
    InputError
        If there is no parameter, or a name of ``lr_scales`` matches none.
    """
    if isinstance(target, nn.Module):
        groups = _module_groups(target, weight_decay, dict(lr_scales or {}), matrices)
    else:
        if lr_scales:
            raise InputError(
                "learning rates by name need a module's names", "plain parameters", "hand in the module itself"
            )
        groups = _plain_groups(list(target), weight_decay, matrices)
    for group in groups:
        group.setdefault("lr_scale", 1.0)
        group.setdefault("lr", lr * group["lr_scale"])
    if not any(group["params"] for group in groups):
        raise InputError("an optimizer needs parameters", "none", "hand in a module that has weights to learn")
    return groups


def _module_groups(
    module: nn.Module, weight_decay: float, scales: dict[str, float], matrices: bool
) -> list[dict[str, Any]]:
    head = _output_matrix(module) if matrices else None
    unmatched = set(scales)
    grouped: dict[tuple[float, float, bool], list[Tensor]] = {}
    for name, parameter, owner in _owned(module):
        prefix = max((p for p in scales if name == p or name.startswith(f"{p}.")), key=len, default=None)
        unmatched.discard(prefix or "")
        spared = parameter.ndim < 2 or name.endswith("bias") or _is_scale_or_table(owner)
        matrix = matrices and parameter.ndim == 2 and not spared and parameter is not head
        key = (0.0 if spared else weight_decay, 1.0 if prefix is None else scales[prefix], matrix)
        grouped.setdefault(key, []).append(parameter)
    if unmatched:
        names = ", ".join(sorted({name.split(".")[0] for name, _ in module.named_parameters()}))
        raise InputError(
            "every name of lr_scales must begin a parameter's name",
            f"lr_scales={sorted(unmatched)!r}",
            f"the network's parts are: {names}",
        )
    return [
        {"params": members, "weight_decay": decay, "lr_scale": scale, **({"matrix": matrix} if matrices else {})}
        for (decay, scale, matrix), members in grouped.items()
    ]


def _plain_groups(items: list[Any], weight_decay: float, matrices: bool) -> list[dict[str, Any]]:
    if items and isinstance(items[0], dict):
        groups = [{"weight_decay": weight_decay, **item, "params": _tensors(item["params"])} for item in items]
    else:
        groups = [{"weight_decay": weight_decay, "params": _tensors(items)}]
    if not matrices:
        return groups
    parted = []
    for group in groups:
        for matrix in (True, False):
            members = [p for p in group["params"] if (p.ndim == 2) == matrix]
            if members:
                parted.append({**group, "params": members, "matrix": matrix})
    return parted


def _tensors(items: Any) -> list[Tensor]:
    listed = [items] if isinstance(items, Tensor) else list(items)
    return [item[1] if isinstance(item, tuple) else item for item in listed]


def _owned(module: nn.Module) -> Iterator[tuple[str, Tensor, nn.Module]]:
    """Yield name, parameter and the module that holds it; a shared parameter once."""
    seen: set[int] = set()
    for prefix, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if id(parameter) not in seen and parameter.is_floating_point():
                seen.add(id(parameter))
                yield (f"{prefix}.{name}" if prefix else name), parameter, owner


def _is_scale_or_table(owner: nn.Module) -> bool:
    # Glia's own and users' layers need not derive from torch's; the field names them after what they are.
    kind = type(owner).__name__
    return isinstance(owner, _NORMALISING + _EMBEDDING) or kind.endswith(("Norm", "Embedding", "Embeddings"))


def _output_matrix(module: nn.Module) -> Tensor | None:
    found = [p for _, p, owner in _owned(module) if p.ndim == 2 and not _is_scale_or_table(owner)]
    return found[-1] if found else None
