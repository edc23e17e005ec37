"""The linear (logistic) model as a network family: what every deeper network has to beat."""

from __future__ import annotations

from glia.core.layout import Layout
from glia.nn.mlp import MLP, MLPNetwork
from glia.nn.parts import Part
from glia.nn.spec import Spec


class Linear(Spec):
    """Settings of a linear model: one layer, no hidden units.

    Parameters
    ----------
    init : str or Part
        A name of ``glia.nn.initialisers``; zeros are fine here, since without hidden units no symmetry is to be broken.
    bias : bool
        Whether it has an intercept.
    numeric_embedding : str or Part
        "piecewise_linear" makes it additive: a bent line per feature.
    embedding_dim : int or "auto"
        Width of learned vectors of category codes.
    output : {"linear", "sigmoid", "tanh"}
        Bound of the outputs.
    """

    family = "linear"

    def __init__(
        self,
        init: str | Part = "zeros",
        bias: bool = True,
        numeric_embedding: str | Part = "none",
        embedding_dim: int | str = "auto",
        output: str = "linear",
    ) -> None:
        self.init = init
        self.bias = bias
        self.numeric_embedding = numeric_embedding
        self.embedding_dim = embedding_dim
        self.output = output

    def build(self, layout: Layout, out_features: int) -> MLPNetwork:
        """Return a freshly initialised network that maps (B, *layout.shape) to (B, out_features).

        Raises
        ------
        InputError
            Naming everything that is wrong with the settings, at once.
        """
        return MLP(hidden=(), **self.get_params(deep=False)).build(layout, out_features)
