"""The fifty questions by number, and where their measurements are."""

from __future__ import annotations

import re
from importlib import import_module, resources

from glia.core.errors import InputError
from glia.lab.question import Question, questions

TITLES = {
    1: "Neuron and network", 2: "Parts of a neuron", 3: "Perceptron", 4: "Perceptron and MLP", 5: "Forward propagation",
    6: "Backpropagation", 7: "Chain rule", 8: "Loss functions", 9: "Kinds of losses", 10: "Optimizers",
    11: "Exploding gradients", 12: "Vanishing gradients", 13: "Regularisation", 14: "Normalisation", 15: "Activations",
    16: "Batch normalisation", 17: "Weight initialisation", 18: "Momentum", 19: "L1 and L2", 20: "Early stopping",
    21: "Dropout", 22: "Learning rate", 23: "Deep networks' difficulties", 24: "CNN and dense network", 25: "Pooling",
    26: "Recurrent networks", 27: "LSTM", 28: "GAN", 29: "Autoencoder", 30: "Self-organising map", 31: "Regression",
    32: "Large data sets", 33: "Transfer learning", 34: "Anomaly detection", 35: "Interpretability",
    36: "Deep against classic learning", 37: "Ensembles", 38: "NLP", 39: "Self-supervised learning",
    40: "Imbalanced data", 41: "Adversarial attacks", 42: "Complexity and generalisation", 43: "Missing data",
    44: "SHAP and LIME", 45: "Edge deployment", 46: "Distributed training", 47: "Ethics", 48: "Reinforcement learning",
    49: "Batch size", 50: "Limitations",
}  # fmt: skip
"""Number → name of all fifty."""


def all_questions() -> dict[int, Question]:
    """Return the questions whose parts exist, by number; their modules are loaded at the first call."""
    for file in sorted(entry.name for entry in resources.files("glia.lab").iterdir()):
        if re.fullmatch(r"q\d\d_\w+\.py", file):
            import_module(f"glia.lab.{file.removesuffix('.py')}")
    return dict(sorted(questions.items()))


def choose(words: str) -> tuple[list[Question], dict[int, str]]:
    """Return the questions that are named, and the titles of those that are still to come.

    Parameters
    ----------
    words : str
        ``"all"``, a number, or numbers and ranges: ``"3,10-12"``.

    Raises
    ------
    InputError
        If a number is none of the fifty, or nothing that is named exists yet.
    """
    known = all_questions()
    if words == "all":
        return list(known.values()), {number: title for number, title in TITLES.items() if number not in known}
    numbers: list[int] = []
    for part in words.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:
            raise InputError(
                "questions are named by number", repr(words), "write 16, 3,10-12, or all; glia lab list names them"
            )
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    strange = [number for number in numbers if number not in TITLES]
    if strange or not numbers:
        raise InputError("the questions are numbered 1 to 50", words, "glia lab list names them")
    missing = {number: TITLES[number] for number in numbers if number not in known}
    if len(missing) == len(set(numbers)):
        shown = ", ".join(f"{number} ({title})" for number, title in missing.items())
        raise InputError("the question's parts must exist", f"{shown}: still to come", "glia lab list names the others")
    return [known[number] for number in dict.fromkeys(numbers) if number in known], missing
