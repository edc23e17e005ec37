"""The multilayer perceptron: its network, usable alone, and its settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Generator, Tensor, nn

from glia.core.errors import InputError
from glia.core.layout import Layout
from glia.core.registry import Registry
from glia.nn.activations import activations, make_activation
from glia.nn.dense_stack import DenseStack, is_watched, stack_of
from glia.nn.embeddings import make_input
from glia.nn.initialisers import initialise_layer_, initialisers
from glia.nn.lsuv import lsuv_
from glia.nn.normalisation import make_norm, norms
from glia.nn.numeric_embeddings import numeric_embeddings
from glia.nn.parts import Part, as_part, factory_of
from glia.nn.residual import DenseBlock, ResidualBlock
from glia.nn.spec import Problems, Spec
from glia.nn.trace import TraceResult, trace

OUTPUTS = ("linear", "sigmoid", "tanh")


class MLPNetwork(nn.Module):
    """Dense blocks and a linear output.

    Parameters
    ----------
    in_features : int
        Values per row; where ``input`` is given, what that stage returns.
    out_features : int
        Outputs per row.
    hidden : sequence of int
        Width of each hidden layer; empty for a linear model.
    activation, init, norm : str or Part
        Names of their registries.
    dropout : float
        In [0, 1), after every hidden layer.
    residual : bool
        A linear stem, then one ``ResidualBlock`` (two linear layers) per width, with a last norm where one is set.
    bias : bool
        Of linear layers.
    output : {"linear", "sigmoid", "tanh"}
        "sigmoid" and "tanh" bound the outputs: for regression on a known range.
    input : nn.Module, optional
        Stage before the first layer, e.g. ``TabularInput``.
    generator : torch.Generator, optional
        Where weights are drawn from; torch's global state without one.

    Notes
    -----
    **Shape**: (B, in_features) → (B, out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (256, 256),
        *,
        activation: str | Part = "relu",
        init: str | Part = "auto",
        norm: str | Part = "none",
        dropout: float = 0.0,
        residual: bool = False,
        bias: bool = True,
        output: str = "linear",
        input: nn.Module | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.init = in_features, out_features, init
        block = ResidualBlock if residual else DenseBlock
        self.input = input
        width, self.stem = in_features, None
        if residual and hidden:
            self.stem, width = nn.Linear(in_features, hidden[0], bias=bias), hidden[0]
            initialise_layer_(self.stem, init, activation="linear", generator=generator)
        blocks = []
        for size in hidden:
            blocks.append(
                block(
                    width,
                    size,
                    activation=activation,
                    init=init,
                    norm=norm,
                    dropout=dropout,
                    bias=bias,
                    generator=generator,
                )
            )
            width = size
        self.blocks = nn.ModuleList(blocks)
        self.last_norm = make_norm(norm, width) if residual and hidden else None
        self.output = nn.Linear(width, out_features, bias=bias)
        self.output_activation = None if output == "linear" else make_activation(output)
        initialise_layer_(self.output, init, activation=output, generator=generator)

    def stages(self) -> list[tuple[str, nn.Module]]:
        """Return the parts that a row goes through one after the other."""
        before = (("input", self.input), ("stem", self.stem))
        blocks = ((f"blocks.{i}", block) for i, block in enumerate(self.blocks))
        after = (("last_norm", self.last_norm), ("output", self.output), ("output_activation", self.output_activation))
        return [(name, part) for name, part in (*before, *blocks, *after) if part is not None]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        if self.input is not None:
            x = self.input(x)
        if self.stem is not None:
            x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        if self.last_norm is not None:
            x = self.last_norm(x)
        x = self.output(x)
        return x if self.output_activation is None else self.output_activation(x)

    def dense_stack(self) -> DenseStack | None:
        """Return the layers, and the input stage where there is one, if the network is nothing but those.

        ``None`` with a norm, skip connections, an activation with learned values, a replaced part, or hooks: such a
        network must be run by ``forward``.
        """
        plain = type(self) is MLPNetwork and self.stem is None and self.last_norm is None and not is_watched(self)
        if not plain or not all(type(block) is DenseBlock for block in self.blocks):
            return None
        parts = [part for block in self.blocks for _, part in block.stages()]  # type: ignore[operator]  # see above
        end = [] if self.output_activation is None else [self.output_activation]
        return stack_of([*parts, self.output, *end], self.input)

    def trace(self, x: Tensor) -> TraceResult:
        """Return what every layer does with a batch: see ``glia.nn.trace``."""
        return trace(self, x)

    def initialise_from(self, batch: Tensor, generator: Generator | None = None) -> None:
        """Finish an initialisation that needs data (``init="lsuv"``); leave every other network as it is.

        Call it once before training, with some hundred prepared training rows.
        """
        if isinstance(self.init, (str, Part)) and as_part(self.init).name == "lsuv":
            lsuv_(self, batch, generator=generator)


class MLP(Spec):
    """Settings of a multilayer perceptron.

    Parameters
    ----------
    hidden : tuple of int
        Width of each hidden layer; ``()`` gives a linear (logistic) model.
    activation : str or Part
        A name of ``glia.nn.activations``, e.g. "relu", or ``Part("leaky_relu", negative_slope=0.2)``.
    init : str or Part
        A name of ``glia.nn.initialisers``, or "auto": He for the ReLU family, Xavier for S-shapes, LeCun for SELU.
    norm : str or Part
        A name of ``glia.nn.norms``.
    dropout : float
        In [0, 1).
    residual : bool
        Skip connections around blocks.
    bias : bool
        Whether linear layers have one.
    numeric_embedding : str or Part
        A name of ``glia.nn.numeric_embeddings``.
    embedding_dim : int or "auto"
        Width of learned vectors of category codes.
    output : {"linear", "sigmoid", "tanh"}
        Bound of the outputs.

    Examples
    --------
    >>> MLP(hidden=(64, 64), dropout=0.1)
    MLP(dropout=0.1, hidden=(64, 64))
    """

    family = "mlp"

    def __init__(
        self,
        hidden: Sequence[int] = (256, 256),
        activation: str | Part = "relu",
        init: str | Part = "auto",
        norm: str | Part = "none",
        dropout: float = 0.0,
        residual: bool = False,
        bias: bool = True,
        numeric_embedding: str | Part = "none",
        embedding_dim: int | str = "auto",
        output: str = "linear",
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.init = init
        self.norm = norm
        self.dropout = dropout
        self.residual = residual
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
        self._check(layout, out_features)
        stage = make_input(layout, self.embedding_dim, self.numeric_embedding)
        return MLPNetwork(
            int(getattr(stage, "out_features", layout.in_features)),
            out_features,
            tuple(int(width) for width in self.hidden),
            activation=self.activation,
            init=self.init,
            norm=self.norm,
            dropout=float(self.dropout),
            residual=self.residual,
            bias=self.bias,
            output=self.output,
            input=stage,
        )

    def _check(self, layout: Layout, out_features: int) -> None:
        problems = Problems("MLP")
        widths = isinstance(self.hidden, (tuple, list)) and all(is_whole(width) for width in self.hidden)
        problems.check(widths, "hidden must be widths of at least 1", f"hidden={self.hidden!r}", "give e.g. (256, 256)")
        _check_part(problems, "activation", self.activation, activations)
        _check_part(problems, "init", self.init, initialisers, "auto")
        _check_part(problems, "norm", self.norm, norms)
        _check_part(problems, "numeric_embedding", self.numeric_embedding, numeric_embeddings)
        share = _is_number(self.dropout) and 0.0 <= self.dropout < 1.0
        problems.check(share, "dropout must be in [0, 1)", f"dropout={self.dropout!r}", "give e.g. 0.1")
        for name in ("residual", "bias"):
            value = getattr(self, name)
            problems.check(isinstance(value, bool), f"{name} must be True or False", f"{name}={value!r}")
        width = self.embedding_dim == "auto" or is_whole(self.embedding_dim)
        got = f"embedding_dim={self.embedding_dim!r}"
        problems.check(width, "embedding_dim must be 'auto' or at least 1", got, "give 'auto' or e.g. 8")
        known = self.output in OUTPUTS
        problems.check(known, "output must be known", f"output={self.output!r}", f"choose one of: {', '.join(OUTPUTS)}")
        problems.check(layout.in_features >= 1, "rows must have at least one value", f"layout of shape {layout.shape}")
        problems.check(is_whole(out_features), "out_features must be at least 1", f"out_features={out_features!r}")
        problems.raise_all()


def is_whole(value: Any, least: int = 1) -> bool:
    """Whether a value is a whole number (not a truth value) of at least ``least``."""
    return _is_number(value) and value == int(value) and value >= least


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not hasattr(value, "__float__") or not hasattr(value, "__add__"):
        return False
    return math.isfinite(float(value))


def _check_part(problems: Problems, name: str, value: Any, registry: Registry[Any], *also: str) -> None:
    if isinstance(value, str) and value in also:
        return
    try:
        factory_of(value, registry)
    except InputError as error:
        problems.note(InputError(f"{name}: {error.must}", error.got, error.do))
