"""K networks as one module: ``stack`` K plain networks, train, ``unstack`` the weights."""

from glia.nn.population.base import Population, StackedPopulation
from glia.nn.population.separate import SeparatePopulation
from glia.nn.population.stack import FEW_ROWS, FORMS, stack, unstack

__all__ = ["FEW_ROWS", "FORMS", "Population", "SeparatePopulation", "StackedPopulation", "stack", "unstack"]
