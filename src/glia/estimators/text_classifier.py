"""Classification of texts: one class for each, or several labels."""

from __future__ import annotations

from glia.estimators.classifier import Classifier
from glia.estimators.text_inputs import TextInputs


class TextClassifier(TextInputs, Classifier):
    """A network that tells texts apart, with the contract of ``Classifier``.

    Parameters
    ----------
    network : "auto", str, settings, nn.Module or factory
        ``glia.nn.Backbone("folder/")`` builds on a pretrained network, whose tokenizer is then used; "auto" is a
        ``glia.nn.TextConvNet`` over word pieces learned from the training texts. Your own module gets (B, T, 2): token
        numbers, and the mask (1 at real tokens).
    preparation : "auto" or TextPreparation
        How texts become tensors.
    **others
        As in ``Classifier``; ``members="auto"`` is one network.

    Examples
    --------
    >>> texts, y = ["good film", "bad film", "good", "bad"] * 10, [1, 0, 1, 0] * 10
    >>> TextClassifier(epochs=40).fit(texts, y).predict(["a good one"]).tolist()
    [1]
    """
