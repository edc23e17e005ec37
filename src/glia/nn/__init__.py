"""Networks and their parts: activations, initialisers, normalisation, dropout, the neuron, the perceptron, the MLP.

Settings such as ``MLP(hidden=(64, 64))`` say what to build; modules such as ``MLPNetwork`` are plain ``nn.Module``s
that are usable alone. Registries (``activations``, ``initialisers``, ``norms``, ``dropouts``, ``numeric_embeddings``,
``networks``) hold parts by their standard names.
"""

from glia.nn.activations import Step, activation_name, activations, is_activation, local_derivative, make_activation
from glia.nn.architecture import Architecture, architecture
from glia.nn.backbone import Backbone
from glia.nn.backbone_network import BackboneNetwork
from glia.nn.chain import ChainResult, chain_rule
from glia.nn.convnet import ConvNet
from glia.nn.convolution import ConvBlock, conv_norm
from glia.nn.custom import CustomNetwork, check_output
from glia.nn.describe import LayerDescription, NetworkDescription, count_parameters, describe_network
from glia.nn.dropout import dropouts, make_dropout, monte_carlo_dropout, monte_carlo_samples
from glia.nn.embeddings import CodeEmbedding, TabularInput, make_input
from glia.nn.flip_mean import FlipMean
from glia.nn.gradient_reversal import GradientReversal, reverse_gradient
from glia.nn.gru_gates import GRUGates, gru_gate_activations
from glia.nn.initialisers import auto_init, initialise_, initialise_layer_, initialisers
from glia.nn.layer_order import Stage, layer_stages
from glia.nn.lenet import LeNet
from glia.nn.linear import Linear
from glia.nn.low_rank import LowRank, adaptable, add_adapters, merge
from glia.nn.lstm_gates import Gates, gate_activations
from glia.nn.lsuv import lsuv_
from glia.nn.missing_inputs import AsTheyAre, MissingInputs
from glia.nn.mlp import MLP, MLPNetwork
from glia.nn.modes import evaluating, keeping_modes
from glia.nn.networks import as_network, networks, spec_from_dict
from glia.nn.neuron import Neuron, NeuronParts
from glia.nn.normalisation import make_norm, norms
from glia.nn.numeric_embeddings import BinPlace, Periodic, PiecewiseLinear, numeric_embeddings
from glia.nn.parts import Part
from glia.nn.perceptron import PerceptronNetwork
from glia.nn.perceptron_multiclass import multiclass_mistake_bound, multiclass_perceptron_rule
from glia.nn.perceptron_rule import PerceptronFit, mistake_bound, perceptron_rule
from glia.nn.picture_and_table import PictureAndTable, PictureAndTableNetwork
from glia.nn.pooling import global_poolings, make_pool, poolings
from glia.nn.radial import Radial, RadialNetwork
from glia.nn.recurrent import GRU, LSTM, RNN, RecurrentNetwork
from glia.nn.residual import DenseBlock, ResidualBlock
from glia.nn.resnet import ResNet
from glia.nn.sequence_network import SequenceNetwork, SequenceSpec
from glia.nn.sequence_transformer import SequenceTransformer, TransformerNetwork, attention_maps
from glia.nn.spec import Spec
from glia.nn.tcn import TCN, TemporalNetwork
from glia.nn.text_network import TextConvNet, TextConvNetwork
from glia.nn.trace import LayerTrace, TraceResult, trace
from glia.nn.vgg import VGG
from glia.nn.vision_transformer import VisionTransformer

__all__ = [
    "Architecture",
    "AsTheyAre",
    "Backbone",
    "BackboneNetwork",
    "BinPlace",
    "ChainResult",
    "CodeEmbedding",
    "ConvBlock",
    "ConvNet",
    "CustomNetwork",
    "DenseBlock",
    "FlipMean",
    "GRU",
    "GRUGates",
    "Gates",
    "GradientReversal",
    "LSTM",
    "LayerDescription",
    "LayerTrace",
    "LeNet",
    "Linear",
    "LowRank",
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
    "PictureAndTable",
    "PictureAndTableNetwork",
    "PiecewiseLinear",
    "RNN",
    "Radial",
    "RadialNetwork",
    "RecurrentNetwork",
    "ResNet",
    "ResidualBlock",
    "SequenceNetwork",
    "SequenceSpec",
    "SequenceTransformer",
    "Spec",
    "Stage",
    "Step",
    "TCN",
    "TabularInput",
    "TemporalNetwork",
    "TextConvNet",
    "TextConvNetwork",
    "TraceResult",
    "TransformerNetwork",
    "VGG",
    "VisionTransformer",
    "activation_name",
    "activations",
    "adaptable",
    "add_adapters",
    "architecture",
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
    "gru_gate_activations",
    "initialise_",
    "initialise_layer_",
    "initialisers",
    "is_activation",
    "keeping_modes",
    "layer_stages",
    "local_derivative",
    "lsuv_",
    "make_activation",
    "make_dropout",
    "make_input",
    "make_norm",
    "make_pool",
    "merge",
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
    "reverse_gradient",
    "spec_from_dict",
    "trace",
]
