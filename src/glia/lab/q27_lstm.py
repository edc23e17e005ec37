"""Question 27, LSTM: gates and a cell state that remember over a gap where a plain recurrent network forgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glia.core.seeds import numpy_rng, seeded
from glia.lab.bench import Bench
from glia.lab.data import LabData
from glia.lab.judging import points_of
from glia.lab.made_shapes import shaped
from glia.lab.question import Claim, Findings, Question, Sweep, ask

Floats = NDArray[np.float64]
Data = Callable[[int, int], LabData]

_GAPS, _EPOCHS, _RATE, _HIDDEN, _OPEN, _ROWS = (5, 20, 60), 16, 1e-2, 16, 4.0, 400
_POINTS = "points of accuracy (of 100)"
KINDS = {"plain": ("rnn", 0.0), "LSTM": ("lstm", 0.0), "LSTM, gate open": ("lstm", _OPEN)}

CLAIMS = (
    Claim(
        "short gap",
        "Over a short gap a plain recurrent network remembers as well as an LSTM.",
        f"accuracy after {_GAPS[0]} steps, plain minus LSTM",
        _POINTS,
        "no lower",
        5.0,
        on="made",
    ),
    Claim(
        "long gap",
        "An LSTM remembers over a gap over which a plain recurrent network forgets.",
        f"accuracy after {_GAPS[-1]} steps, LSTM (forget gate open at the start) minus plain",
        _POINTS,
        "higher",
        5.0,
        on="made",
    ),
    Claim(
        "forget gate",
        "It needs a forget gate that is open at the start (a bias above 0) for that.",
        f"accuracy after {_GAPS[-1]} steps, forget bias {_OPEN:g} minus 0",
        _POINTS,
        "higher",
        5.0,
        on="made",
    ),
    Claim(
        "gradient",
        f"Gradients reach back over {_GAPS[-1]} steps: they shrink less than in a plain recurrent network.",
        "share of the gradient that reaches the first step before training, LSTM (gate open) minus plain",
        "powers of ten",
        "higher",
        0.5,
        on="made",
    ),
    Claim(
        "cell state",
        "The cell state holds what was seen, in the middle of the gap, too.",
        "accuracy of a line through the state half-way, LSTM's cell (gate open) minus plain state",
        _POINTS,
        "higher",
        5.0,
        on="made",
    ),
)


class Reader(nn.Module):
    """A recurrent network that reads a sequence (B, T, F) and answers at its end.

    Parameters
    ----------
    kind : {"rnn", "lstm"}
        The cell.
    features, hidden, outputs : int
        Widths.
    forget : float
        Bias of an LSTM's forget gate at the start: the gate is sigmoid(bias) open. A bias near log(T) suits gaps of T
        steps (arXiv 1804.11188).
    """

    def __init__(self, kind: str, features: int, outputs: int, forget: float = 0.0, hidden: int = _HIDDEN) -> None:
        super().__init__()
        self.cell: nn.RNN | nn.LSTM = (nn.LSTM if kind == "lstm" else nn.RNN)(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)
        if kind == "lstm":  # torch keeps two biases, which are added
            named = dict(self.cell.named_parameters())
            with torch.no_grad():
                named["bias_hh_l0"][hidden : 2 * hidden] = forget
                named["bias_ih_l0"][hidden : 2 * hidden] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer to the state after the last step, (B, O)."""
        states: Tensor = self.cell(x)[0]
        answer: Tensor = self.head(states[:, -1])
        return answer


@dataclass(frozen=True)
class Gates:
    """What happens inside of an LSTM at every step: (B, T, H) each; gates lie between 0 (shut) and 1 (open)."""

    input: Tensor
    forget: Tensor
    output: Tensor
    cell: Tensor
    hidden: Tensor


@torch.no_grad()
def opened(lstm: nn.LSTM, x: Tensor) -> Gates:
    """Compute a one-layer LSTM step by step, with all that it keeps to itself.

    Hochreiter and Schmidhuber, *Neural Computation* 9(8), 1997, with the forget gate of Gers and others (2000):
    c = f·c + i·tanh(g), h = o·tanh(c).

    Parameters
    ----------
    lstm : nn.LSTM
        One layer, one direction, ``batch_first``.
    x : Tensor
        (B, T, F).
    """
    hidden = cell = torch.zeros(len(x), lstm.hidden_size)
    named = dict(lstm.named_parameters())
    inner, outer, bias = named["weight_hh_l0"], named["weight_ih_l0"], named["bias_ih_l0"] + named["bias_hh_l0"]
    steps: list[tuple[Tensor, ...]] = []
    for now in x.unbind(1):
        mixed = now @ outer.T + hidden @ inner.T + bias
        i, f, g, o = mixed.chunk(4, dim=1)
        i, f, o = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o)
        cell = f * cell + i * torch.tanh(g)
        hidden = o * torch.tanh(cell)
        steps.append((i, f, o, cell, hidden))
    return Gates(*(torch.stack(part, dim=1) for part in zip(*steps, strict=True)))


def gap(steps: int, seed: int, rows: int = _ROWS, again: bool = False) -> LabData:
    """Return sequences (1 + steps, 2): a sign with a flag, then noise; the class is the sign.

    ``again`` shows the sign at the end once more: then nothing has to be remembered.
    """
    rng = numpy_rng(seed, "gap", steps)
    label = rng.integers(0, 2, rows)
    x = np.zeros((rows, steps + 1, 2))
    x[:, :, 0] = 0.5 * rng.normal(size=(rows, steps + 1))
    for at in (0, -1) if again else (0,):
        x[:, at, 0], x[:, at, 1] = 2.0 * label - 1.0, 1.0
    return shaped("a sign before a gap", x, label.astype(float), "binary")


def measure(
    bench: Bench, seeds: Sequence[int], data: Data = gap, kinds: Mapping[str, tuple[str, float]] = KINDS
) -> Findings:
    """Train plain networks and LSTMs over gaps of three lengths, and look into their states.

    ``data`` makes sequences of (steps, seed); ``kinds`` says which cell and forget bias stand behind the three names.
    """
    scores = {name: np.empty((len(seeds), len(_GAPS))) for name in kinds}
    nets: dict[str, list[nn.Module]] = {}
    for j, steps in enumerate(_GAPS):
        there = bench.on(data(steps, bench.number("q27")))
        taught: dict[tuple[str, float], list[nn.Module]] = {}
        for name, (kind, forget) in kinds.items():
            bench.say(f"{name}, gap of {steps} steps")
            make = partial(Reader, kind, 2, there.outputs, forget)
            if (kind, forget) not in taught:  # equal kinds need one training
                taught[kind, forget] = there.train(
                    make, seeds, epochs=_EPOCHS, lr=_RATE, batch_size=32, watched={}, form="separate"
                ).networks
            nets[name] = taught[kind, forget]
            scores[name][:, j] = points_of(there, nets[name], there.data.test)
    plain, closed, wide = kinds
    held = {name: np.array([probed(net, there.data) for net in nets[name]]) for name in (plain, wide)}
    reach = {
        name: np.array([reaching(bench, seed, kinds[name], there.data) for seed in seeds]) for name in (plain, wide)
    }
    middle = held[wide].shape[1] // 2
    pairs = {
        "short gap": (scores[plain][:, 0], scores[wide][:, 0]),
        "long gap": (scores[wide][:, -1], scores[plain][:, -1]),
        "forget gate": (scores[wide][:, -1], scores[closed][:, -1]),
        "gradient": (reach[wide], reach[plain]),
        "cell state": (held[wide][:, middle], held[plain][:, middle]),
    }
    names = dict.fromkeys(pairs, ("LSTM", "plain")) | {
        "short gap": ("plain", "LSTM"),
        "forget gate": (f"bias {_OPEN:g}", "bias 0"),
    }
    sweeps = (
        Sweep(
            "Over how long a gap is a sign remembered?", _GAPS, scores, "steps of noise in between", "test accuracy (%)"
        ),
        Sweep(
            f"Is the sign in the state, on the way over {_GAPS[-1]} steps?",
            list(range(held[plain].shape[1])),
            {f"{wide}: cell": held[wide], f"{plain}: state": held[plain]},
            "step",
            "accuracy of a line through the state (%)",
        ),
    )
    note = "Your data are a table, not sequences: all claims are measured on made sequences."
    return Findings(pairs, names, sweeps, notes=(note,))


@torch.no_grad()
def states(network: nn.Module, x: Tensor) -> Tensor:
    """Return what a reader keeps from step to step, (B, T, H): an LSTM's cell state, or a plain network's state."""
    cell = network.cell
    if isinstance(cell, nn.LSTM):
        return opened(cell, x).cell
    if isinstance(cell, nn.RNN):
        found: Tensor = cell(x)[0]
        return found
    raise TypeError(f"no state is known of {type(cell).__name__}")


def probed(network: nn.Module, data: LabData) -> Floats:
    """Return how well a line, fitted by least squares, tells the class from the state of every step, of 100, (T,)."""
    train, test = states(network, data.train.x).double(), states(network, data.test.x).double()
    goal = (2.0 * data.train.y - 1.0).double()
    found = []
    for step in range(train.shape[1]):
        rows, held = (torch.cat([x[:, step], torch.ones(len(x), 1)], dim=1) for x in (train, test))
        ridge = rows.T @ rows + 1e-3 * len(rows) * torch.eye(rows.shape[1])
        line = torch.linalg.solve(ridge, rows.T @ goal)
        found.append(100.0 * float(((held @ line > 0) == (data.test.y > 0.5)).double().mean()))
    return np.array(found)


def reaching(bench: Bench, seed: int, kind: tuple[str, float], data: LabData) -> float:
    """Return how much of the answer's gradient reaches the first step, against the last one, as a power of ten."""
    with seeded(bench.seed, "lab network", seed):
        network = Reader(kind[0], 2, 1, kind[1])
    x = data.test.x[:64].double().requires_grad_()
    network.double()(x).sum().backward()
    if x.grad is None:
        return np.nan
    size = x.grad.norm(dim=2).mean(0).clamp_min(1e-300)
    return float(torch.log10(size[0] / size[-1]))


def _advice(verdicts: Mapping[str, str]) -> str:
    if verdicts["forget gate"] == "supported":
        return "For sequences with long gaps: an LSTM, with its forget gate open at the start."
    return (
        "For sequences with long gaps: an LSTM."
        if verdicts["long gap"] == "supported"
        else "Gaps here are short enough."
    )


ask(Question(27, "LSTM", "Over how long a gap do recurrent networks remember, and by what?", CLAIMS, measure, _advice))
