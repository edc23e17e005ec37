"""The settings of ``glia fit``: Python arguments, flags, ``settings.toml`` and JSON schema in one class."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from glia.core.decision_rule import Rule, as_rule
from glia.core.errors import InputError
from glia.core.settings import REQUIRED, Settings, setting
from glia.core.source_kinds import TARGETS, is_empty_folder, looks_like_series, source_kind
from glia.engine.distributed.settings import Distribution
from glia.engine.intervals import read_interval

Share = Annotated[float, Field(gt=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Auto = Literal["auto"]
ColumnRole = Literal[
    "numeric", "categorical", "ordinal", "datetime", "text", "image", "audio", "sequence", "id", "ignored", "target",
    "group", "weight",
]  # fmt: skip

_DATA, _SPLIT, _NETWORK, _PREPARE, _OBJECTIVE = "Data", "Splitting", "Network", "Preparation", "Objective"
_TRAINING, _JUDGING, _MACHINE = "Training", "Judging", "Machine"


class FitSettings(Settings):
    """Everything that decides a run; "auto" where Glia chooses from the data and records its choice."""

    data: str = setting(
        REQUIRED,
        "a table (CSV, TSV, Parquet, Arrow, JSON lines), a folder of pictures or sounds in sub-folders per class, or "
        "a file of series (.npz with X and y, UCR's .tsv)",
        group=_DATA,
    )  # fmt: skip
    target: str | list[str] = setting(REQUIRED, "the column to predict; several for several outputs", group=_DATA)
    out: str = setting("run", "folder for the model, the report and the record", group=_DATA)
    task: Auto | Literal["binary", "multiclass", "multilabel", "regression"] = setting(
        "auto", "what is predicted; auto tells it from the target", group=_DATA
    )
    roles: dict[str, ColumnRole] = setting(
        {}, "roles of columns where the inferred one is wrong", group=_DATA, flag="--role"
    )
    drop: list[str] = setting([], "columns to leave out", group=_DATA)
    id: str | None = setting(
        None, "column that tells sequences apart, whose steps are the rows, in the order of time", group=_DATA
    )
    weight: str | None = setting(None, "column of sample weights", group=_DATA)
    stream: Auto | bool = setting(
        "auto", "leave the rows on disk; auto does so with folders and with files that memory would not hold",
        group=_DATA,
    )  # fmt: skip
    memory: str = setting("500MB", "memory for the rows of a stream", group=_DATA)
    max_rows: Count | None = setting(None, "read at most this many rows", group=_DATA)

    split: Literal["random", "group", "time"] = setting("random", "how rows are divided into parts", group=_SPLIT)
    group: str | None = setting(None, "column whose equal values stay in one part (split = group)", group=_SPLIT)
    time: str | None = setting(
        None, "column by which the latest rows become the test (split = time); with id, that orders its steps",
        group=_SPLIT,
    )  # fmt: skip
    test_fraction: Share = setting(0.2, "share of the rows kept for the final test", group=_SPLIT)
    validation_fraction: Share = setting(
        0.15, "share of the rows kept for early stopping and calibration", group=_SPLIT
    )

    network: str = setting("auto", "the network's family by name", group=_NETWORK)
    backbone: str | None = setting(
        None, "folder of a pretrained network of transformers: of pictures, or of texts with its tokenizer",
        group=_NETWORK,
    )  # fmt: skip
    tune: Literal["frozen", "full", "gradual", "lora"] = setting(
        "frozen", "what of a backbone learns beside its new head: nothing, all, layer by layer, or low-rank adapters",
        group=_NETWORK,
    )  # fmt: skip
    hidden: list[Count] | None = setting(None, "widths of the hidden layers, first to last", group=_NETWORK)
    activation: str = setting("auto", "activation by name", group=_NETWORK)
    norm: str = setting("auto", "normalisation between layers by name, or none", group=_NETWORK)
    dropout: Auto | Annotated[float, Field(ge=0, lt=1)] = setting(
        "auto", "share of the activations that is dropped in training", group=_NETWORK
    )

    impute: str = setting("auto", "how missing values are filled in", group=_PREPARE)
    scale: str = setting("auto", "how numbers are scaled", group=_PREPARE)
    encode: str = setting("auto", "how categories become numbers", group=_PREPARE)
    numeric_embedding: str = setting("auto", "how numbers are embedded", group=_PREPARE)

    image_size: Auto | Annotated[int, Field(ge=4, le=2048)] = setting(
        "auto", "side in pixels that pictures are brought to", group=_PREPARE
    )
    text_length: Auto | Annotated[int, Field(ge=2, le=8192)] = setting(
        "auto", "tokens of a text that are read, the first ones; auto: as many as the longest has, at most 128",
        group=_PREPARE,
    )  # fmt: skip
    augment: Literal["auto", "none"] = setting(
        "auto", "whether training pictures are varied: moved a little, and mirrored where they have colours",
        group=_PREPARE,
    )  # fmt: skip

    loss: str = setting("auto", "loss by name", group=_OBJECTIVE)
    target_transform: Literal["none", "auto", "log", "yeo_johnson", "quantile", "logit"] = setting(
        "none", "scale on which a skewed or bounded quantity is learned", group=_OBJECTIVE
    )
    at_least: float | None = setting(None, "least value that the target can have", group=_OBJECTIVE)
    at_most: float | None = setting(None, "greatest value that the target can have", group=_OBJECTIVE)
    l1: NotNegative = setting(0.0, "strength of the L1 penalty, which makes weights exactly zero", group=_OBJECTIVE)
    l2: NotNegative = setting(0.0, "strength of the L2 penalty in the loss", group=_OBJECTIVE)
    weight_decay: Auto | NotNegative = setting("auto", "decoupled weight decay of the optimizer", group=_OBJECTIVE)
    class_weight: Literal["balanced"] | None = setting(
        None, "balanced gives rare classes the weight of common ones", group=_OBJECTIVE
    )
    balance: Literal[
        "none",
        "batches",
        "oversample",
        "undersample",
        "smote",
        "borderline_smote",
        "adasyn",
        "tomek",
        "enn",
        "smote_tomek",
        "smote_enn",
    ] = setting("none", "how training rows (never those that judge) are made to count evenly", group=_OBJECTIVE)
    threshold: str = setting(
        "auto",
        "what decides: auto, a probability, f1, balanced, mcc, recall_at_precision=0.9 or precision_at_recall=0.9",
        group=_OBJECTIVE,
    )
    cost: str | None = setting(
        None, "what mistakes cost, true classes as rows, sorted, to decide by: '0 1; 5 0'", group=_OBJECTIVE
    )

    @property
    def rule(self) -> Rule:
        """What decides, by ``threshold`` or by ``cost``."""
        return as_rule(self.threshold if self.cost is None else {"cost": self.cost})

    members: Auto | Count = setting(
        "auto", "networks trained at once and averaged; auto: several for small tables, one for large ones",
        group=_NETWORK,
    )  # fmt: skip
    radial: bool = setting(
        True, "whether a network of distances to the rows may join them; the model then holds prepared training rows",
        group=_NETWORK,
    )  # fmt: skip
    bagging: bool = setting(False, "each member learns from its own bootstrap sample (bagging)", group=_NETWORK)

    optimizer: str = setting("auto", "optimizer by name", group=_TRAINING)
    lr: Auto | Rate = setting("auto", "learning rate", group=_TRAINING)
    schedule: str = setting("auto", "learning-rate schedule by name", group=_TRAINING)
    batch_size: Auto | Count = setting("auto", "rows per step", group=_TRAINING)
    epochs: Auto | Count = setting("auto", "most passes over the training rows", group=_TRAINING)
    early_stopping: bool | Count = setting(
        True, "stop when the validation loss no longer falls; a number is the patience in epochs", group=_TRAINING
    )
    effort: Literal["quick", "default", "best"] = setting(
        "default", "how much time a good result is worth", group=_TRAINING
    )
    time_budget: str | None = setting(
        None, "with effort best: time in which settings are searched and fitted, 90s, 10m, 1h", group=_TRAINING
    )

    coverage: Share = setting(0.9, "share of cases that a prediction interval is to contain", group=_JUDGING)
    baselines: bool = setting(True, "compare with classic models", group=_JUDGING)
    bootstrap: Annotated[int, Field(ge=0)] = setting(
        500, "resamples behind each interval in the report; 0 for no intervals", group=_JUDGING
    )
    importance_repeats: Annotated[int, Field(ge=0)] = setting(
        5, "shuffles per column for permutation importance; 0 to look into nothing", group=_JUDGING
    )
    explain_rows: Annotated[int, Field(ge=0)] = setting(
        60, "test rows of which the report explains the answers by Shapley values; 0 to leave it out", group=_JUDGING
    )

    checkpoint_every: str = setting(
        "60s", "how often the state of the training is kept: 30s, 10min, 2h, 5 epochs, or none", group=_MACHINE
    )
    precision: Auto | Literal["float32", "bfloat16"] = setting("auto", "number format", group=_MACHINE)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:0, mps", group=_MACHINE)
    workers: Count = setting(1, "processes on this machine that train together", group=_MACHINE)
    compression: Literal["none", "bfloat16", "powersgd"] = setting(
        "none", "of the gradients that workers exchange; all but none change the result a little", group=_MACHINE
    )
    local_steps: Count = setting(
        1, "steps that a worker takes by itself before the workers' weights are averaged", group=_MACHINE
    )
    shard_parameters: bool = setting(
        False, "every worker holds only its part of the weights and of the optimizer", group=_MACHINE
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = setting(0, "the one seed of everything random", group=_MACHINE)

    @property
    def distribution(self) -> Distribution:
        """How workers share the work."""
        return Distribution(self.compression, local_steps=self.local_steps, shard_parameters=self.shard_parameters)

    @property
    def targets(self) -> list[str]:
        """The target columns, also when there is one."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    @model_validator(mode="before")
    @classmethod
    def _usual_target(cls, values: Any) -> Any:
        """Fill in what is predicted where the kind of source says so: of pictures, their sub-folder."""
        if isinstance(values, dict) and values.get("target") is None:
            data = values.get("data")
            if is_empty_folder(data):
                do = "give a table, or a folder of pictures, sounds or tables"
                raise InputError("there must be files to learn from", f"the empty folder {str(data)!r}", do)
            usual = TARGETS["sequences"] if looks_like_series(data) else TARGETS.get(source_kind(data))
            return values if usual is None else {**values, "target": usual}
        return values

    @model_validator(mode="after")
    def _fit_together(self) -> FitSettings:
        """Check what no field can say alone."""
        read_interval(self.checkpoint_every)
        _ = self.distribution, self.rule  # which check themselves
        if self.cost is not None and self.threshold != "auto":
            got = f"threshold={self.threshold!r} and cost={self.cost!r}"
            raise InputError("one thing must decide", got, "leave one of them away")
        if self.backbone is not None and self.network != "auto":
            got = f"backbone={self.backbone!r} and network={self.network!r}"
            raise InputError("a fit has one network", got, "leave one of them away")
        if self.backbone is None and self.tune != "frozen":
            raise InputError("tune says how a backbone learns", f"tune={self.tune!r} without one", "name its folder")
        if self.class_weight is not None and self.balance != "none":
            got = f"class_weight={self.class_weight!r} and balance={self.balance!r}"
            raise InputError("rare classes are made to count in one way", got, "leave one of them away")
        if self.test_fraction + self.validation_fraction >= 1:
            raise InputError(
                "some rows must remain for training",
                f"test_fraction={self.test_fraction} and validation_fraction={self.validation_fraction}",
                "make them smaller: together below 1",
            )
        for split, column in (("group", self.group), ("time", self.time)):
            if self.split == split and column is None:
                raise InputError(f"a split by {split} must name its column", f"no {split}", f"set {split} to a column")
        if not self.targets or len(set(self.targets)) < len(self.targets) or not all(self.targets):
            raise InputError(
                "the targets must be one or more different columns", f"target={self.target!r}", "name each once"
            )
        if self.members not in ("auto", 1) and self.workers > 1:
            got = f"members={self.members} and workers={self.workers}"
            raise InputError("several workers train one network", got, "set one of them to 1")
        lost = sorted(set(self.targets) & set(self.drop))
        if lost:
            raise InputError("the target must not be left out", f"drop={lost}", "take it off the dropped columns")
        return self
