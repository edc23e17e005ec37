"""Files as fitted estimators of sounds and sequences take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glia.core.errors import InputError
from glia.estimators.audio_inputs import AudioInputs
from glia.estimators.sequence_fit import sequences_from, unlabelled_steps
from glia.estimators.sequence_input import SequenceInput


def reads_files(model: Any) -> bool:
    """Tell whether an estimator reads files in a way of its own, and not as tables."""
    return isinstance(model, (AudioInputs, SequenceInput))


def unlabelled_rows(model: Any, path: str) -> Any:
    """Return the rows of a file or folder for ``model.predict_frame``."""
    if isinstance(model, AudioInputs):
        return path
    return unlabelled_steps(path, model.schema_) if model._by_step else sequences_from(path, model.schema_, None)[0]


def labelled_rows(model: Any, path: str, targets: Sequence[str]) -> tuple[Any, Any]:
    """Return the rows of a file or folder and their targets for ``model.evaluate``.

    Raises
    ------
    InputError
        If the file does not say what is right.
    """
    if isinstance(model, AudioInputs):
        return path, None
    rows, y = sequences_from(path, model.schema_, targets[0])
    if y is None:
        raise InputError("the data must hold the target", f"{path!r} without {targets[0]!r}", "name it with --target")
    return rows, y
