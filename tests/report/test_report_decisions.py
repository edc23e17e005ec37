"""What the page says of decisions and of balancing."""

from glia.report.decisions import decision_remarks
from glia.report.verdict import remarks


def test_a_threshold_and_its_reason():
    record = {"classes": ["no", "yes"], "decision": {"threshold": 0.2361, "why": "F1 is greatest there"}}
    assert decision_remarks(record) == [
        {
            "severity": "note",
            "message": "A row counts as 'yes' from a probability of 23.6 % on: F1 is greatest there.",
        }
    ]
    assert decision_remarks(record)[0] in remarks(record, [])


def test_factors_and_plain_decisions():
    record = {"classes": list("abc"), "decision": {"threshold": None, "factors": [1, 2, 3], "why": "so"}}
    assert decision_remarks(record)[0]["message"] == "What is answered is not always the most probable class: so."
    assert decision_remarks({"decision": {"threshold": None, "why": "the most probable class"}}) == []
    assert decision_remarks({}) == []


def test_balancing_is_told_with_numbers():
    made = {"method": "smote", "before": [900, 100], "after": [900, 900], "synthetic": 800}
    (one,) = decision_remarks({"classes": ["no", "yes"], "balance": made})
    assert one["message"] == (
        "Training rows were balanced by smote: 800 synthetic rows were made of rare ones ('no' 900 → 900, 'yes' 100 → "
        "900). Validation and test rows are as they were, and probabilities are corrected for it."
    )
    made = {"method": "batches", "before": [9, 1], "after": [9, 1], "synthetic": 0}
    assert (
        "batches: every mini-batch held as many rows of each class. Validation"
        in (decision_remarks({"classes": ["no", "yes"], "balance": made})[0]["message"])
    )


def test_a_warning_comes_as_it_was_found_and_a_choice_is_a_note():
    for finding, severity in (("no better", "warning"), ("hidden", "warning"), ("by choice", "note")):
        found = decision_remarks({"imbalance": {"finding": finding, "message": "Accuracy …"}})
        assert found == [{"severity": severity, "message": "Accuracy …"}]
    assert decision_remarks({"imbalance": {"finding": "none", "message": ""}}) == []
