import pytest

from glia.report.verdict import advice, key_figures, outcome, remarks, verdict


def compared(value, low, high, metric="accuracy", baseline="histogram gradient boosting", **more):
    difference = {"value": value, "low": low, "high": high, "level": 0.95}
    return {"comparison": {"baseline": baseline, "metric": metric, "difference": difference}, **more}


def test_better_says_by_how_much_and_where_it_is_weak():
    record = compared(0.019, 0.008, 0.030, weak_groups=[{"text": "education = Doctorate"}, {"text": "age above 60"}])
    assert verdict(record) == (
        "The network beats the best classic model (histogram gradient boosting) by 1.9 points of accuracy "
        "(95 % interval 0.8 to 3.0); it is least sure about rows with education = Doctorate."
    )


def test_worse_begins_with_do_not_use():
    assert verdict(compared(-0.021, -0.032, -0.010)) == (
        "Do not use this network: histogram gradient boosting is better by 2.1 points of accuracy "
        "(95 % interval 1.0 to 3.2)."
    )


def test_tie_cannot_be_told_apart():
    assert verdict(compared(0.001, -0.004, 0.006, baseline="logistic regression")) == (
        "The network and the best classic model (logistic regression) cannot be told apart "
        "(difference 0.1 points of accuracy, 95 % interval −0.4 to 0.6)."
    )


def test_errors_are_told_in_their_units():
    record = compared(
        -2.5, -4.6, -0.6, metric="mae", metric_info={"mae": {"label": "Mean absolute error", "unit": "mm"}}
    )
    assert verdict(record).endswith("is better by 2.5 mm in mean absolute error (95 % interval 0.6 to 4.6).")


def test_stated_outcome_wins_over_the_interval():
    record = compared(0.019, 0.008, 0.030)
    assert outcome(record) == "better"
    record["comparison"]["outcome"] = "tie"
    assert outcome(record) == "tie"


def test_without_comparison_it_says_that_nothing_was_compared():
    record = {
        "metrics": {"test": {"accuracy": {"value": 0.971, "low": 0.952, "high": 0.986}}},
        "primary": "accuracy",
        "split": {"rows": {"test": 1140}},
    }
    assert verdict(record) == (
        "The network reaches 97.1 % accuracy (95 % interval 95.2 to 98.6) on 1,140 test rows; no classic model was "
        "tried, so nothing says whether a network is needed."
    )
    assert verdict({}) == "Nothing was measured on test rows, so there is no verdict on this network."


@pytest.mark.parametrize("record", [compared(0.02, 0.01, 0.03), compared(0, -0.1, 0.1), compared(-0.2, -0.3, -0.1), {}])
def test_there_is_always_advice(record):
    assert advice(record).endswith(".")


def test_three_key_figures_with_signs_and_intervals():
    record = compared(0.019, 0.008, 0.030) | {
        "primary": "accuracy",
        "metrics": {"test": {"accuracy": {"value": 0.86, "low": 0.85, "high": 0.87}}},
        "calibration": {"ece": {"value": 0.0123, "low": 0.010, "high": 0.015}},
    }
    shown = [(f["label"], f["value"], f["interval"]) for f in key_figures(record)]
    assert shown == [
        ("Accuracy", "86.0 %", "95 % interval 85.0 to 87.0"),
        ("Against the best classic model", "+1.9 points", "95 % interval 0.8 to 3.0"),
        ("Calibration error", "1.23 %", "95 % interval 1.00 to 1.50"),
    ]


def test_remarks_follow_from_the_record():
    history = [{"epoch": e} for e in (1, 2, 3)]
    found = remarks({"training": {"best_epoch": 3}, "split": {"rows": {"test": 50}}}, history)
    assert [r["message"].split(":")[0] for r in found] == ["Only 50 test rows", "The last epoch (3) was the best"]
    assert remarks({"training": {"best_epoch": 2}, "split": {"rows": {"test": 5000}}}, history) == []
