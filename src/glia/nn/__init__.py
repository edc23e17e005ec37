"""Networks and their parts: activations, initialisers, normalisation, dropout, the neuron, the perceptron, the MLP.

Settings such as ``MLP(hidden=(64, 64))`` say what to build; modules such as ``MLPNetwork`` are plain ``nn.Module``s
that are usable alone. Registries (``activations``, ``initialisers``, ``norms``, ``dropouts``, ``numeric_embeddings``,
``networks``) hold parts by their standard names.
"""

from glia.nn.activations import Step, activation_name, activations, is_activation, local_derivative, make_activation
from glia.nn.chain import ChainResult, chain_rule
from glia.nn.convnet import ConvNet
from glia.nn.convolution import ConvBlock, conv_norm
from glia.nn.custom import CustomNetwork, check_output
from glia.nn.describe import LayerDescription, NetworkDescription, count_parameters, describe_network
from glia.nn.dropout import dropouts, make_dropout, monte_carlo_dropout, monte_carlo_samples
from glia.nn.embeddings import CodeEmbedding, TabularInput, make_input
from glia.nn.flip_mean import FlipMean
from glia.nn.initialisers import auto_init, initialise_, initialise_layer_, initialisers
from glia.nn.lenet import LeNet
from glia.nn.linear import Linear
from glia.nn.lstm_gates import Gates, gate_activations
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
from glia.nn.pooling import global_poolings, make_pool, poolings
from glia.nn.recurrent import GRU, LSTM, RNN, RecurrentNetwork
from glia.nn.residual import DenseBlock, ResidualBlock
from glia.nn.resnet import ResNet
from glia.nn.sequence_network import SequenceNetwork, SequenceSpec
from glia.nn.sequence_transformer import SequenceTransformer, TransformerNetwork, attention_maps
from glia.nn.spec import Spec
from glia.nn.tcn import TCN, TemporalNetwork
from glia.nn.trace import LayerTrace, TraceResult, trace
from glia.nn.vgg import VGG
from glia.nn.vision_transformer import VisionTransformer

__all__ = [
    "AsTheyAre",
    "ChainResult",
    "CodeEmbedding",
    "ConvBlock",
    "ConvNet",
    "CustomNetwork",
    "DenseBlock",
    "FlipMean",
    "GRU",
    "Gates",
    "LSTM",
    "LayerDescription",
    "LayerTrace",
    "LeNet",
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
    "RNN",
    "RecurrentNetwork",
    "ResNet",
    "ResidualBlock",
    "SequenceNetwork",
    "SequenceSpec",
    "SequenceTransformer",
    "Spec",
    "Step",
    "TCN",
    "TabularInput",
    "TemporalNetwork",
    "TraceResult",
    "TransformerNetwork",
    "VGG",
    "VisionTransformer",
    "activation_name",
    "activations",
    "as_network",
    "attention_maps",
    "auto_init",
    "chain_rule",
    "check_output",
    "conv_norm",
    "count_parameters",
    "describe_network",
    "dropouts",
    "evaluating",
    "gate_activations",
    "global_poolings",
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
    "make_pool",
    "mistake_bound",
    "monte_carlo_dropout",
    "monte_carlo_samples",
    "multiclass_mistake_bound",
    "multiclass_perceptron_rule",
    "networks",
    "norms",
    "numeric_embeddings",
    "perceptron_rule",
    "poolings",
    "spec_from_dict",
    "trace",
]
