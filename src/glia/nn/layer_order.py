"""The stages of any network from its input to its output: what rates per layer and gradual unfreezing go by."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Stage:
    """Layers that are treated alike.

    Parameters
    ----------
    names : tuple of str
        Dotted names of modules or parameters; all that begins with one of them belongs to the stage.
    """

    names: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Return whether a parameter, buffer or module is of this stage."""
        return any(name == own or name.startswith(f"{own}.") for own in self.names)


def layer_stages(network: nn.Module, prefix: str = "") -> list[Stage]:
    """Return the stages of a network, the first one next to the input.

    The order is that in which modules were registered, which by custom is that of their use. Lists and sequences of
    modules, and modules that hold much in such a list, are taken apart; its entries (the blocks of a transformer or
    residual network) are a stage each. What holds only offsets and scales (a normalisation) belongs to
    the stage before it, or at the front to the one behind.

    Parameters
    ----------
    network : nn.Module
        Parameters count whether or not they are frozen.
    prefix : str
        Stands before all names, with a dot between.
    """
    stages: list[list[str]] = []
    waiting: list[str] = []
    for name, module in _parts(network, prefix):
        held = [module] if isinstance(module, nn.Parameter) else list(module.parameters())
        if any(p.ndim > 1 for p in held):
            stages.append([*waiting, name])
            waiting = []
        elif stages:
            stages[-1].append(name)
        else:
            waiting.append(name)
    if waiting:
        stages.append(waiting)
    return [Stage(tuple(names)) for names in stages]


def _parts(module: nn.Module, prefix: str, *, root: bool = True) -> list[tuple[str, nn.Module | nn.Parameter]]:
    if not (root or _is_list(module) or _holds_list(module)):
        return [(prefix, module)]
    start = f"{prefix}." if prefix else ""
    held = [(name, child) for name, child in module.named_children() if _size(child)]
    if root and len(held) == 1 and _size(held[0][1]) == _size(module):  # a wrapper and nothing else
        return _parts(held[0][1], start + held[0][0])
    found: list[tuple[str, nn.Module | nn.Parameter]] = [
        (start + name, own) for name, own in module.named_parameters(recurse=False)
    ]
    blocks = _is_list(module) and len({type(child) for child in module.children() if _has_matrix(child)}) == 1
    for name, child in held:
        if blocks and not _is_list(child):
            found.append((start + name, child))  # a block is treated as one, whatever it consists of
        else:
            found += _parts(child, start + name, root=False)
    return found


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def _holds_list(module: nn.Module) -> bool:
    """Return whether a list with several entries that have matrices makes up a quarter of the module or more."""
    return any(
        _is_list(own) and sum(_has_matrix(child) for child in own.children()) > 1 and 4 * _size(own) >= _size(module)
        for own in module.modules()
    )


def _has_matrix(module: nn.Module) -> bool:
    return any(p.ndim > 1 for p in module.parameters())


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
