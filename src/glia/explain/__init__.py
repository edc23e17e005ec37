"""Explanations with error bars, on any network: ``glia.explain.<method>(predictor, X, …) → AttributionResult``.

Methods are registered by name in ``glia.explain.methods``, where the command line finds them.
"""

from glia.explain.accumulated_local_effects import accumulated_local_effects
from glia.explain.activation_maximisation import ActivationMaximisationResult, activation_maximisation
from glia.explain.attention_rollout import AttentionRolloutResult, attention_rollout
from glia.explain.attribution import AttributionResult
from glia.explain.checked import (
    captum,
    deeplift,
    grad_cam,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    lime,
    lime_images,
    lime_table,
    lrp,
    occlusion,
    saliency,
    shap,
    smoothgrad,
)
from glia.explain.checks import AgreementResult, RemovalResult, agreement, check, quick_check, removal
from glia.explain.cka import CkaResult, cka
from glia.explain.concept_vectors import ConceptResult, concept_vectors
from glia.explain.counterfactuals import Counterfactual, CounterfactualsResult, counterfactuals
from glia.explain.effect import EffectResult
from glia.explain.filters import FiltersResult, filters
from glia.explain.gates import GatesResult, gates
from glia.explain.global_methods import insides, pictures
from glia.explain.gradient_importance import GradientImportanceResult, gradient_importance
from glia.explain.importance import correlated_columns, importance
from glia.explain.interactions import InteractionsResult, interactions
from glia.explain.lime_model import LimeResult
from glia.explain.lime_text import lime_text
from glia.explain.lrp_rules import Composite
from glia.explain.methods import methods
from glia.explain.nearest_rows import NearestRowsResult, nearest_rows
from glia.explain.partial_dependence import partial_dependence
from glia.explain.permutation import ColumnImportance, ImportanceResult, permutation_importance
from glia.explain.prototypes import PrototypesResult, prototypes
from glia.explain.rules import RulesResult, rules
from glia.explain.superpixels import superpixels
from glia.explain.surrogate_tree import SurrogateTreeResult, surrogate_tree
from glia.explain.word_lime import word_lime
from glia.explain.word_occlusion import word_occlusion, word_removal
from glia.explain.words_result import WordShare, WordsResult

__all__ = [
    "ActivationMaximisationResult",
    "AgreementResult",
    "AttentionRolloutResult",
    "AttributionResult",
    "CkaResult",
    "ColumnImportance",
    "Composite",
    "ConceptResult",
    "Counterfactual",
    "CounterfactualsResult",
    "EffectResult",
    "FiltersResult",
    "GatesResult",
    "GradientImportanceResult",
    "ImportanceResult",
    "InteractionsResult",
    "LimeResult",
    "NearestRowsResult",
    "PrototypesResult",
    "RemovalResult",
    "RulesResult",
    "SurrogateTreeResult",
    "WordShare",
    "WordsResult",
    "accumulated_local_effects",
    "activation_maximisation",
    "agreement",
    "attention_rollout",
    "captum",
    "check",
    "cka",
    "concept_vectors",
    "correlated_columns",
    "counterfactuals",
    "deeplift",
    "filters",
    "gates",
    "grad_cam",
    "gradient_importance",
    "guided_backprop",
    "importance",
    "input_x_gradient",
    "insides",
    "integrated_gradients",
    "interactions",
    "lime",
    "lime_images",
    "lime_table",
    "lime_text",
    "lrp",
    "methods",
    "nearest_rows",
    "occlusion",
    "partial_dependence",
    "permutation_importance",
    "pictures",
    "prototypes",
    "quick_check",
    "removal",
    "rules",
    "saliency",
    "shap",
    "smoothgrad",
    "superpixels",
    "surrogate_tree",
    "word_lime",
    "word_occlusion",
    "word_removal",
]
