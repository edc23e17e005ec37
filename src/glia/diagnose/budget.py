"""How much work measures may take, in multiply-adds: bounds that do not depend on how busy a machine is.

Long sequences and large pictures cost thousands of times what a row of a table does. What is too much is done on fewer
rows, in smaller batches or in fewer steps, down to what still says something; below that it is left out, and said so.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass

from glia.core.workload import suited_to
from glia.diagnose.case import ROWS, Case
from glia.diagnose.layers import run_layers
from glia.nn import count_parameters
from glia.nn.multiply_adds import multiply_adds

TRAINING = 3.0
"""What one step costs, in forward passes: backward is twice as much."""
LOOK, JUDGE, SWEEP, TRIALS, PROOF = 2e10, 1e11, 1.5e11, 5e11, 4e12
"""Most multiply-adds of: rows through the layers, what is learned, the rates' sweep, trials at rates, and a proof. Two
cores do some 1e10 to 3e10 in a second."""
SMALL = 0.25
"""Share of the work that trainings in small steps may take: they do fewer multiply-adds in a second."""
LEAST_BATCH = 8
"""Rows of a step that training is not cut below, where it had more."""


@dataclass(frozen=True)
class Plan:
    """Steps, rows of a step, and networks to each rate of a training that is not too much work."""

    steps: int
    batch_size: int
    seeds: int = 1


@dataclass(frozen=True)
class Budget:
    """Work by the cost of one row.

    Parameters
    ----------
    row : float
        Multiply-adds of one row's forward pass, above 0.
    """

    row: float

    def rows(self, most: int, work: float, *, passes: float = 1.0, least: int = 16) -> int:
        """Return how many rows ``work`` pays for, at least ``least`` and at most ``most``."""
        return int(min(most, max(least, work / (self.row * passes))))

    def training(
        self, work: float, *, steps: int, batch_size: int, networks: int = 1, seeds: int = 1, least: int
    ) -> Plan | None:
        """Return how ``networks`` are trained with ``seeds`` each, within ``work``; ``None`` where even little is more.

        Where it is too much, one seed has to do, batches are made smaller, and steps fewer, down to ``least``; together
        these may then take but a share of the work (``SMALL``).
        """
        step = TRAINING * self.row * networks
        if step * steps * batch_size * seeds <= work:
            return Plan(steps, batch_size, seeds)
        work *= SMALL
        size = max(min(batch_size, LEAST_BATCH), min(batch_size, int(work / (step * steps))))
        left = min(steps, int(work / (step * size)))
        return Plan(left, size) if left >= least else None

    @property
    def judged(self) -> int:
        """Rows that tell what is learned; trainings take theirs from among them."""
        return self.rows(ROWS, JUDGE, least=256)


def budget_of(case: Case) -> Budget:
    """Return the budget of a case: what its first two rows cost.

    Where no layer of known cost is seen, parameters count for each step.
    """
    passed = run_layers(case.network, case.loss, case.train.x[:2], case.train.y[:2])
    seen = sum(multiply_adds(one.module, one.input, one.output) for one in passed.layers)
    steps = math.prod(case.train.x.shape[1:-1])
    return Budget(float(seen) if seen else float(max(1, count_parameters(case.network) * steps)))


def case_threads(case: Case, budget: Budget) -> AbstractContextManager[None]:
    """Return a block in which torch is set as suits a training step of this case."""
    return suited_to(2.0 * TRAINING * budget.row * case.batch_size)  # two operations a multiply-add
