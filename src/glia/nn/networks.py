"""Network families by name, and the one door through which every kind of network argument comes."""

from __future__ import annotations

from typing import Any

from torch import nn

from glia.core.errors import InputError, ModelFileError
from glia.core.protocols import NetworkSpec
from glia.core.registry import Registry
from glia.nn.convnet import ConvNet
from glia.nn.custom import ADVICE, CustomNetwork
from glia.nn.lenet import LeNet
from glia.nn.linear import Linear
from glia.nn.mlp import MLP
from glia.nn.radial import Radial
from glia.nn.recurrent import GRU, LSTM, RNN
from glia.nn.resnet import ResNet
from glia.nn.sequence_transformer import SequenceTransformer
from glia.nn.spec import Spec
from glia.nn.tcn import TCN
from glia.nn.vgg import VGG
from glia.nn.vision_transformer import VisionTransformer

networks: Registry[type[Spec]] = Registry("network")
networks.register("mlp")(MLP)
networks.register("linear", "logistic")(Linear)
networks.register("radial", "rbf")(Radial)
networks.register("rnn", "elman")(RNN)
networks.register("gru")(GRU)
networks.register("lstm")(LSTM)
networks.register("tcn")(TCN)
networks.register("sequence_transformer")(SequenceTransformer)
networks.register("convnet", "cnn")(ConvNet)
networks.register("lenet")(LeNet)
networks.register("vgg")(VGG)
networks.register("resnet")(ResNet)
networks.register("vision_transformer", "vit")(VisionTransformer)


def as_network(network: Any = "auto") -> NetworkSpec:
    """Return the settings that a ``network=`` argument means.

    Parameters
    ----------
    network : str, NetworkSpec, nn.Module, type or callable
        A name of ``networks``, "auto" (the default ``MLP``), settings such as ``MLP(dropout=0.1)``, a module (copied at
        each build, with its weights), a module class, or a factory of modules.

    Returns
    -------
    NetworkSpec
        Settings stay the same object.

    Raises
    ------
    InputError
        If it is none of these, or the name is unknown.
    """
    if isinstance(network, str):
        return MLP() if network == "auto" else networks.get(network)()
    if isinstance(network, nn.Module):
        return CustomNetwork(network)
    if isinstance(network, type) and issubclass(network, Spec):
        return network()
    if not isinstance(network, type) and isinstance(network, NetworkSpec):
        return network
    if callable(network):
        return CustomNetwork(network)
    raise InputError(
        "a network must be a name, settings such as glia.nn.MLP(), or an nn.Module (or what makes one)",
        f"network={network!r}",
        ADVICE,
    )


def spec_from_dict(data: dict[str, Any]) -> Spec:
    """Rebuild settings from what their ``to_dict`` gave.

    Raises
    ------
    ModelFileError
        If they are of a custom network, whose code is never stored.
    InputError
        If the family or a setting is unknown.
    """
    if "custom" in data:
        raise ModelFileError(
            "the class of a custom network must be handed in again",
            f"a model of {data['custom']!r}",
            "load it with network=...",
        )
    return networks.get(str(data.get("family", ""))).from_dict(data)
