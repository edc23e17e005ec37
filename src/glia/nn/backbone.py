"""Transfer learning: a pretrained network with a new head, frozen, tuned as a whole, step by step, or by adapters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glia.core.errors import InputError, near
from glia.core.layout import Layout
from glia.nn.backbone_network import BackboneNetwork, Standardised
from glia.nn.low_rank import add_adapters
from glia.nn.mlp import is_whole
from glia.nn.modes import evaluating
from glia.nn.module_features import module_features
from glia.nn.networks import networks
from glia.nn.pretrained import PretrainedFeatures, config_of, from_config, from_model, is_pretrained, read_pretrained
from glia.nn.spec import Problems, Spec

RATES = {"frozen": 1.0, "full": 0.02, "gradual": 0.02, "lora": 0.2}
"""Way of tuning → rate of the backbone as a share of the head's: what is learned already needs small steps."""


@networks.register("backbone")
class Backbone(Spec):
    """Settings of a pretrained network with a new head.

    Parameters
    ----------
    source : nn.Module, path-like or mapping
        A module that takes the prepared rows: its features are what comes into its last linear layer. Or a folder that
        ``transformers.AutoModel`` loads (extra ``transfer``). Or a configuration of ``transformers`` such as
        ``{"model_type": "bert", …}``: that network with random weights.
    tune : {"frozen", "full", "gradual", "lora"}
        "frozen": only the head learns, from features that are computed once; where rows are varied at random, for some
        variants of each. "full": everything learns. "gradual": one stage after the other does, from the head down
        (arXiv 1801.06146). "lora": the head and low-rank adapters.
    layer : str, optional
        Name of the module's layer whose output is taken, instead of what comes into the last linear one.
    rate : "auto" or float
        Learning rate of the backbone as a share of the head's, > 0; "auto" is 0.02, of adapters 0.2.
    rate_decay : float
        Factor from each stage to the one below, in (0, 1]: what is near the input is of use for most tasks as it is.
    until : float
        Share of the epochs after which all stages learn, where these are unfrozen gradually, in [0, 1].
    rank : int
        Of the adapters.
    adapt : sequence of str, optional
        Names of the layers that get adapters, e.g. ``("query", "value")``; by default all linear ones.
    hidden : sequence of int
        Widths of dense layers in the head.
    dropout : float
        Before the head's layers, in [0, 1).
    hub : bool
        Whether ``source`` may be a name of the hub, from which it is then downloaded.
    """

    family = "backbone"

    def __init__(
        self,
        source: Any = None,
        tune: str = "frozen",
        layer: str | None = None,
        rate: Any = "auto",
        rate_decay: float = 0.85,
        until: float = 0.5,
        rank: int = 8,
        adapt: Sequence[str] | None = None,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        hub: bool = False,
    ) -> None:
        self.source, self.tune, self.layer = source, tune, layer
        self.rate, self.rate_decay, self.until = rate, rate_decay, until
        self.rank, self.adapt = rank, adapt
        self.hidden, self.dropout, self.hub = hidden, dropout, hub

    def build(self, layout: Layout, out_features: int) -> BackboneNetwork:
        """Return the pretrained network with a freshly initialised head: (B, *layout.shape) to (B, out_features).

        Raises
        ------
        InputError
            If settings are wrong, or the source cannot be used for the rows.
        MissingExtraError
            If ``transformers`` is needed and not installed.
        """
        self._check()
        features = self._features(layout)
        width = self._width(features, layout)
        if self.tune == "lora":
            add_adapters(features, self.rank, names=self.adapt)
        else:
            features.requires_grad_(True)
        head: list[nn.Module] = [Standardised(width)]
        for wide in self.hidden:
            head += [*self._dropped(), nn.Linear(width, wide), nn.ReLU()]
            width = wide
        head += [*self._dropped(), nn.Linear(width, out_features)]
        rate = RATES[self.tune] if self.rate == "auto" else float(self.rate)
        known = getattr(self, "_described", {}).get("pretrained", not isinstance(self.source, Mapping))
        return BackboneNetwork(
            features,
            nn.Sequential(*head),
            tune=self.tune,
            rate=rate,
            decay=self.rate_decay,
            until=self.until,
            pretrained=known,
        )

    @property
    def folder(self) -> str | None:
        """Folder or name of the source, ``None`` for others."""
        return str(self.source) if isinstance(self.source, (str, Path)) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: the configuration, never weights, paths or code; of a module its name only."""
        if isinstance(self.source, nn.Module) and not is_pretrained(self.source):
            kind = type(self.source)
            return {"custom": f"{kind.__module__}.{kind.__qualname__}"}
        known = getattr(self, "_described", None)
        if known is None:
            known = {"config": config_of(self._pretrained())}
        settings = super().to_dict()
        learned = known.get("pretrained", not isinstance(self.source, Mapping))
        own = {"source": known["config"], "hub": False, "width": known.get("width", 0), "pretrained": learned}
        return {**settings, **own}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Backbone:
        """Rebuild what ``to_dict`` gave."""
        rest = {name: value for name, value in data.items() if name not in ("width", "pretrained")}
        made = super().from_dict(rest)
        if not isinstance(made, Backbone) or not isinstance(made.source, Mapping):
            raise InputError("a stored backbone must have a configuration", f"source={data.get('source')!r}")
        if is_whole(data.get("width")):
            made._described = {"config": made.source, "width": data["width"]}
            made._described["pretrained"] = bool(data.get("pretrained", True))
        return made

    def _features(self, layout: Layout) -> nn.Module:
        if isinstance(self.source, nn.Module) and not is_pretrained(self.source):
            return module_features(self.source, layout, self.layer)
        made = self._pretrained()
        made.check(layout)
        known = getattr(self, "_described", {})
        learned = known.get("pretrained", not isinstance(self.source, Mapping))
        self._described = {"config": config_of(made), "width": known.get("width", 0), "pretrained": learned}
        return made

    def _pretrained(self) -> PretrainedFeatures:
        if isinstance(self.source, Mapping):
            return from_config(self.source)
        if isinstance(self.source, nn.Module):
            return from_model(self.source)
        return read_pretrained(self.source, hub=self.hub)

    def _width(self, features: nn.Module, layout: Layout) -> int:
        known: dict[str, Any] = getattr(self, "_described", {}) if isinstance(features, PretrainedFeatures) else {}
        if known.get("width"):
            return int(known["width"])
        sample = next(iter(features.parameters()), torch.zeros(()))
        rows = torch.zeros(2, *layout.shape, device=sample.device, dtype=sample.dtype)
        with evaluating(features), torch.no_grad():
            width = int(features(rows).shape[1])
        if known:
            self._described["width"] = width
        return width

    def _dropped(self) -> list[nn.Module]:
        return [nn.Dropout(self.dropout)] if self.dropout else []

    def _check(self) -> None:
        if not isinstance(self.source, (nn.Module, str, Path, Mapping)):
            do = "hand in a module, a folder, or a configuration of transformers"
            raise InputError("source must be what a backbone can be made of", f"source={self.source!r}", do)
        problems = Problems("Backbone")
        problems.check(self.tune in RATES, f"tune must be one of {', '.join(RATES)}", f"{self.tune!r}",
                       near(str(self.tune), RATES))  # fmt: skip
        good = self.rate == "auto" or (_is_number(self.rate) and 0 < self.rate < math.inf)
        problems.check(good, "rate must be 'auto' or above 0", f"rate={self.rate!r}")
        for name, low in (("rate_decay", 1e-9), ("until", 0.0)):
            value = getattr(self, name)
            problems.check(_is_number(value) and low <= value <= 1, f"{name} must be in [0, 1]", f"{name}={value!r}")
        share = _is_number(self.dropout) and 0 <= self.dropout < 1
        problems.check(share, "dropout must be in [0, 1)", f"dropout={self.dropout!r}")
        problems.check(is_whole(self.rank), "rank must be at least 1", f"rank={self.rank!r}")
        widths = all(is_whole(wide) for wide in self.hidden)
        problems.check(widths, "hidden must be whole numbers of at least 1", f"hidden={self.hidden!r}")
        problems.raise_all()


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
