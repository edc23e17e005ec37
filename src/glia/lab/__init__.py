"""The lab: textbook questions about neural networks, answered by measurement."""

from glia.lab.bench import Bench
from glia.lab.harness import run_lab
from glia.lab.question import Claim, Findings, Question, Sweep, questions
from glia.lab.result import ClaimResult, LabResult, QuestionResult

__all__ = [
    "Bench", "Claim", "ClaimResult", "Findings", "LabResult", "Question", "QuestionResult", "Sweep", "questions",
    "run_lab",
]  # fmt: skip
