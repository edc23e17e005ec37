"""Networks and their parts: activations, initialisers, normalisation, dropout, the neuron, the perceptron, the MLP.

Settings such as ``MLP(hidden=(64, 64))`` say what to build; modules such as ``MLPNetwork`` are plain ``nn.Module``s
that are usable alone. Registries (``activations``, ``initialisers``, ``norms``, ``dropouts``, ``numeric_embeddings``,
``networks``) hold parts by their standard names.
"""

from glia.nn.activations import Step, activation_name, activations, is_activation, local_derivative, make_activation
from glia.nn.chain import ChainResult, chain_rule
from glia.nn.custom import CustomNetwork, check_output
from glia.nn.describe import LayerDescription, NetworkDescription, count_parameters, describe_network
from glia.nn.dropout import dropouts, make_dropout, monte_carlo_dropout, monte_carlo_samples
from glia.nn.embeddings import CodeEmbedding, TabularInput, make_input
from glia.nn.initialisers import auto_init, initialise_, initialise_layer_, initialisers
from glia.nn.linear import Linear
from glia.nn.lsuv import lsuv_
from glia.nn.missing_inputs import AsTheyAre, MissingInputs
from glia.nn.mlp import MLP, MLPNetwork
from glia.nn.modes import evaluating, keeping_modes
from glia.nn.networks import as_network, networks, spec_from_dict
from glia.nn.neuron import Neuron, NeuronParts
from glia.nn.normalisation import make_norm, norms
from glia.nn.numeric_embeddings import Periodic, PiecewiseLinear, numeric_embeddings
from glia.nn.parts import Part
from glia.nn.perceptron import PerceptronNetwork
from glia.nn.perceptron_multiclass import multiclass_mistake_bound, multiclass_perceptron_rule
from glia.nn.perceptron_rule import PerceptronFit, mistake_bound, perceptron_rule
from glia.nn.residual import DenseBlock, ResidualBlock
from glia.nn.spec import Spec
from glia.nn.trace import LayerTrace, TraceResult, trace

__all__ = [
    "AsTheyAre",
    "ChainResult",
    "CodeEmbedding",
    "CustomNetwork",
    "DenseBlock",
    "LayerDescription",
    "LayerTrace",
    "Linear",
    "MLP",
    "MLPNetwork",
    "MissingInputs",
    "NetworkDescription",
    "Neuron",
    "NeuronParts",
    "Part",
    "PerceptronFit",
    "PerceptronNetwork",
    "Periodic",
    "PiecewiseLinear",
    "ResidualBlock",
    "Spec",
    "Step",
    "TabularInput",
    "TraceResult",
    "activation_name",
    "activations",
    "as_network",
    "auto_init",
    "chain_rule",
    "check_output",
    "count_parameters",
    "describe_network",
    "dropouts",
    "evaluating",
    "initialise_",
    "initialise_layer_",
    "initialisers",
    "is_activation",
    "keeping_modes",
    "local_derivative",
    "lsuv_",
    "make_activation",
    "make_dropout",
    "make_input",
    "make_norm",
    "mistake_bound",
    "monte_carlo_dropout",
    "monte_carlo_samples",
    "multiclass_mistake_bound",
    "multiclass_perceptron_rule",
    "networks",
    "norms",
    "numeric_embeddings",
    "perceptron_rule",
    "spec_from_dict",
    "trace",
]
