"""``glia evaluate MODEL DATA [--target y]``."""

from __future__ import annotations

from glia.cli.flags import verb
from glia.cli.output import Terminal
from glia.core.errors import InputError, near
from glia.core.modelfile import read_archive
from glia.core.settings import REQUIRED, Settings, setting


class EvaluateSettings(Settings):
    """Which model is measured, on what."""

    model: str = setting(REQUIRED, "the model file, as glia fit wrote it")
    data: str = setting(
        REQUIRED,
        "rows with the right answers: a table, a folder of pictures or sounds per class, or a file of series",
    )
    target: str | list[str] | None = setting(None, "the column with the right answers, where it is not the model's own")

    @property
    def targets(self) -> list[str]:
        """The columns with the right answers; empty for the model's own."""
        return [self.target] if isinstance(self.target, str) else list(self.target or [])


@verb(EvaluateSettings, "model", "data")
def command(settings: EvaluateSettings, terminal: Terminal) -> None:
    """Measure a saved model on rows whose answer is known."""
    from glia.data import read
    from glia.estimators.image_inputs import ImageInputs
    from glia.estimators.persist import load
    from glia.estimators.raw_rows import labelled_rows, reads_files

    targets = settings.targets or model_targets(settings.model)
    model = load(settings.model)
    if isinstance(model, ImageInputs) and not model.reads_table(settings.data):
        terminal.answer(model.evaluate(settings.data))
        return
    if reads_files(model):
        terminal.answer(model.evaluate(*labelled_rows(model, settings.data, targets)))
        return
    frame = read(settings.data, infer=False).frame
    for target in targets:
        if target not in frame.columns:
            raise InputError("the data must hold the target", f"no column {target!r}", near(target, frame.columns))
    frame = frame.drop_nulls(targets)
    if not frame.height:
        raise InputError(
            "the target must have values", f"only missing ones in {', '.join(targets)}", "check the column"
        )
    y = frame[targets[0]] if len(targets) == 1 else frame.select(targets)
    terminal.answer(model.evaluate(frame.drop(targets), y))


def model_targets(path: str) -> list[str]:
    """Return the names of the targets that a model file says it was fitted to.

    Raises
    ------
    InputError
        If it names none.
    """
    found = read_archive(path).manifest.get("target")
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError("the target must be known", "a model without a named target", "name the column with --target")
    return names
