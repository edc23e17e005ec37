"""Networks of the ``transformers`` package as makers of features: from a folder, or from a configuration alone.

Only safetensors weights are read, and no code that comes with them is run.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from glia.core.errors import InputError, ModelFileError
from glia.core.layout import Layout
from glia.core.optional import require
from glia.nn.module_features import masked_mean, pooled_features

EXTRA = "transfer"
_LEFT_OUT = frozenset(
    {"auto_map", "attn_implementation", "quantization_config", "name_or_path", "transformers_version", "dtype",
     "torch_dtype", "architectures"}
)  # fmt: skip
"""Keys of a configuration that say where something comes from, or could bring code."""
_REPEATED, _MOST_REPEATED = ("layers", "depth", "blocks", "num_stages"), 512
"""Layers are made one by one, even without memory: a configuration from a file must not ask for any number of them."""


class PretrainedFeatures(nn.Module):
    """A network of ``transformers`` with one vector for each row.

    Parameters
    ----------
    model : nn.Module
        What ``transformers.AutoModel`` gives.

    Notes
    -----
    **Shape**: texts (B, T, 2) of token numbers and mask, pictures (B, C, H, W) or waves (B, T) → (B, D): the mean over
    the real tokens, positions or steps of the last hidden state.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def of_texts(self) -> bool:
        """Whether rows are texts."""
        return str(getattr(self.model, "main_input_name", "")) == "input_ids"

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, D)."""
        if not self.of_texts:
            name = str(self.model.main_input_name)
            return pooled_features(self.model(**{name: x})[0], x)
        mask = x[..., 1] > 0.5
        mask[:, 0] = True  # a text without any token is read as its first padding
        longest = int(mask.sum(1).max())
        ids, mask = x[:, :longest, 0].long(), mask[:, :longest]
        states = self.model(input_ids=ids, attention_mask=mask.long())[0]
        return masked_mean(states, mask)

    def check(self, layout: Layout) -> None:
        """Raise an ``InputError`` unless rows of a layout can be read."""
        config: Any = self.model.config
        kind = str(config.model_type)
        if not self.of_texts:
            if len(layout.shape) == 2 and len(layout.features) == 2:
                raise InputError(f"rows of {kind!r} must be what it reads", "texts", "hand in pictures or waves")
            return
        if len(layout.shape) != 2 or layout.shape[1] != 2:
            got = f"rows of shape {layout.shape}"
            raise InputError(f"rows of {kind!r} must be texts", got, "use TextClassifier or TextRegressor")
        most = getattr(config, "max_position_embeddings", None)
        if isinstance(most, int) and 0 < most < layout.shape[0]:
            got, do = f"texts of {layout.shape[0]} tokens", f"set TextPreparation(max_length={most}), or --text-length"
            raise InputError(f"{kind!r} reads at most {most} tokens", got, do)
        words, known = (layout.features[0].cardinality if layout.features else 0), int(config.vocab_size)
        if words > known:
            got = f"{words} different tokens for {known} of the network"
            raise InputError("texts must be cut by the network's own tokenizer", got, "TextPreparation(tokenizer=…)")


def read_pretrained(folder: str | Path, *, hub: bool = False) -> PretrainedFeatures:
    """Return the network of a folder, in float32.

    Parameters
    ----------
    folder : path-like
        With ``config.json`` and ``model.safetensors``.
    hub : bool
        Whether a name of the hub is allowed too, which is then downloaded.

    Raises
    ------
    InputError
        If there is no such folder, or it cannot be read without running code from it.
    MissingExtraError
        If ``transformers`` is not installed.
    """
    place = Path(folder).expanduser()
    if not hub and not (place / "config.json").is_file():
        got = f"{str(folder)!r}, {'without config.json' if place.is_dir() else 'no folder'}"
        do = "give a folder that save_pretrained wrote, or set hub=True to download by name"
        raise InputError("a backbone must be a module, or a folder with a network of transformers", got, do)
    transformers = require("transformers", EXTRA)
    name = str(place) if place.is_dir() else str(folder)
    try:
        with _quiet(transformers):
            model = transformers.AutoModel.from_pretrained(
                name,
                local_files_only=not hub,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        detail = (str(error).strip().splitlines() or [""])[0][:200]
        do = "it needs config.json and safetensors weights of a network that transformers knows"
        raise InputError("the network of a folder must be readable", f"{name!r}: {detail}", do) from error
    return PretrainedFeatures(_without_pooler(model))


def from_config(config: Mapping[str, Any]) -> PretrainedFeatures:
    """Return the network of a configuration, with random weights.

    Raises
    ------
    ModelFileError
        If it describes none.
    MissingExtraError
        If ``transformers`` is not installed.
    """
    transformers = require("transformers", EXTRA)
    plain = clean_config(config)
    _check_repeats(plain)
    kind = plain.pop("model_type", None)
    try:
        with _quiet(transformers):
            made = transformers.AutoConfig.for_model(kind, **plain)
            model = transformers.AutoModel.from_config(made, trust_remote_code=False)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        detail = (str(error).strip().splitlines() or [""])[0][:200]
        must = "the configuration of a backbone must be one of transformers"
        raise ModelFileError(must, f"model_type={kind!r}: {detail}", "use the version that wrote it") from error
    return PretrainedFeatures(_without_pooler(model))


def is_pretrained(module: nn.Module) -> bool:
    """Return whether a module is one of ``transformers``, which says what it reads and what it consists of."""
    return hasattr(module, "main_input_name") and hasattr(getattr(module, "config", None), "to_json_string")


def from_model(model: nn.Module) -> PretrainedFeatures:
    """Return a copy of a network of ``transformers``, without a head it may have."""
    copied = copy.deepcopy(model)
    return PretrainedFeatures(_without_pooler(getattr(copied, str(getattr(copied, "base_model_prefix", "")), copied)))


def config_of(features: PretrainedFeatures) -> dict[str, Any]:
    """Return the configuration as plain JSON data, without paths and whatever could bring code."""
    config: Any = features.model.config
    return clean_config(json.loads(config.to_json_string(use_diff=False)))


def clean_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without the keys that name places or code, at any depth."""
    return {
        key: clean_config(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in _LEFT_OUT and not str(key).startswith("_")
    }


def _check_repeats(config: Mapping[str, Any]) -> None:
    for key, value in config.items():
        if isinstance(value, Mapping):
            _check_repeats(value)
        numbers = value if isinstance(value, (list, tuple)) else [value]
        most = max((n for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool)), default=0)
        if most > _MOST_REPEATED and any(word in str(key) for word in _REPEATED):
            raise ModelFileError(f"a backbone has at most {_MOST_REPEATED} layers", f"{key}={value!r:.60}")


class _NoPooler(nn.Module):
    """Stands where a network has a pooling layer, and hands on what comes."""

    def forward(self, states: Any, *args: Any, **kwargs: Any) -> Any:
        """Return ``states``."""
        return states


def _without_pooler(model: nn.Module) -> nn.Module:
    # The mean of the last states is taken: weights of a pooling layer behind them would be trained by nothing.
    pooler = getattr(model, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        model.register_module("pooler", _NoPooler())
    return model


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Run a block without progress bars and remarks of the package; its own settings are put back."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
