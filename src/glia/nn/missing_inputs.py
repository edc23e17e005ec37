"""Missing values as they are: a network learns what to put where a number is missing, and is told that it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Feature, Layout
from glia.nn.dense_stack import DenseStack
from glia.nn.networks import as_network, networks, spec_from_dict
from glia.nn.spec import Spec


class MissingInputs(nn.Module):
    """``value · observed + parameter · missing`` for every numeric column, with a parameter of its own.

    Missing is what is NaN, and where the layout has an indicator of the column, what that says. Columns without one get
    their mask appended, so that the layers after this one can tell a filled value from a real one.

    Parameters
    ----------
    layout : Layout
        Of a table, with features.

    Attributes
    ----------
    layout : Layout
        What comes out: the columns that went in, then the masks of numbers without an indicator.
    value : Parameter
        (F,), what stands for a missing value of each of the F numeric columns, in prepared units; 0 at the start.

    Notes
    -----
    **Shape**: (B, D) → (B, D + M). Where nothing is missing, the D columns pass unchanged. The gradient with respect to
    a missing input is 0, never NaN.

    Raises
    ------
    InputError
        If the layout is not that of a table with features.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        if len(layout.shape) != 1 or len(layout.features) != layout.shape[0]:
            raise InputError(
                "missing inputs need the layout of a table with features",
                f"shape {layout.shape}, {len(layout.features)} features",
                "prepare the rows with glia.Preparation",
            )
        numeric = layout.indices("numeric")
        flags = {layout.features[i].source: i for i in layout.indices("indicator")}
        owned = [flags.get(layout.features[j].source, -1) for j in numeric]
        bare = [place for place, flag in enumerate(owned) if flag < 0]
        made = tuple(
            Feature(f"{layout.features[numeric[p]].name} is missing", layout.features[numeric[p]].source, "indicator")
            for p in bare
        )
        self.layout = Layout((layout.shape[0] + len(made),), (*layout.features, *made))
        self.out_features = self.layout.in_features
        self.value = nn.Parameter(torch.zeros(len(numeric)))
        flagged = [place for place, flag in enumerate(owned) if flag >= 0]
        places = {"numeric": numeric, "flagged": flagged, "flags": [owned[p] for p in flagged], "bare": bare}
        for name, where in places.items():
            self.register_buffer(name, torch.tensor(where, dtype=torch.long), persistent=False)
        self.numeric: Tensor
        self.flagged: Tensor
        self.flags: Tensor
        self.bare: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, D + M)."""
        numbers = x.index_select(-1, self.numeric)
        missing = numbers.isnan()
        if len(self.flags):
            said = torch.zeros_like(missing)
            said = said.index_copy(-1, self.flagged, x.index_select(-1, self.flags) > 0.5)
            missing = missing | said
        filled = x.index_copy(-1, self.numeric, torch.where(missing, self.value, numbers))
        if not len(self.bare):
            return filled
        return torch.cat([filled, missing.index_select(-1, self.bare).to(x.dtype)], dim=-1)


class MissingNetwork(nn.Module):
    """``MissingInputs`` before a network: (B, D) → (B, O)."""

    def __init__(self, input: MissingInputs, network: nn.Module) -> None:
        super().__init__()
        self.input, self.network = input, network

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, D) to (B, O)."""
        out: Tensor = self.network(self.input(x))
        return out

    def dense_stack(self) -> DenseStack | None:
        """Return the network's layers behind both input stages, where it is nothing but those."""
        own = getattr(self.network, "dense_stack", None)
        found = None if own is None else own()
        if not isinstance(found, DenseStack):
            return None
        return replace(found, input=self.input if found.input is None else nn.Sequential(self.input, found.input))

    def initialise_from(self, batch: Tensor, generator: torch.Generator | None = None) -> None:
        """Finish an initialisation of the network that needs data."""
        finish = getattr(self.network, "initialise_from", None)
        if finish is not None:
            with torch.no_grad():
                finish(self.input(batch), generator)


@networks.register("missing_inputs")
class AsTheyAre(Spec):
    """Settings of a network that takes missing values as they are.

    Parameters
    ----------
    network : str or settings
        The family behind the input, "auto" for ``MLP()``.

    Examples
    --------
    ``glia.Classifier(network=AsTheyAre(MLP((64, 64))), preparation=glia.Preparation(impute="native"))``
    """

    family = "missing_inputs"

    def __init__(self, network: Any = "auto") -> None:
        self.network = network

    def build(self, layout: Layout, out_features: int) -> MissingNetwork:
        """Return a freshly initialised network that maps (B, D) to (B, out_features).

        Raises
        ------
        InputError
            If the layout is not that of a table, or the network's settings are wrong.
        """
        stage = MissingInputs(layout)
        return MissingNetwork(stage, as_network(self.network).build(stage.layout, out_features))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        inner = as_network(self.network)
        stored = inner.to_dict() if isinstance(inner, Spec) else {"custom": type(inner).__qualname__}
        return {"family": self.family, "network": stored}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> AsTheyAre:
        """Rebuild what ``to_dict`` gave."""
        return cls(spec_from_dict(data["network"]))
