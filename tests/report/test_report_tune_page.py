"""The page of a search and its charts: what they say, and that dots stand where scores are."""

import re

import pytest

from glia.core.results import Interval
from glia.report.charts.trials import Dot, parallel_chart, slice_chart, strip_chart, trials_chart
from glia.report.tune_page import outcome_of, render_tune, verdict
from glia.tuning.result import TuneResult
from glia.tuning.study import Trial


def trial(slot, lr, score, state="complete", **more):
    settings = {"lr": lr, "hidden": (8 * (1 + slot % 2),), "activation": "<b>" if slot % 3 else "relu", **more}
    return Trial(slot, settings, state, score, score, 9, 0.5)


def result(difference=None, **more):
    trials = tuple(trial(k, 10.0 ** -(k % 4), 0.3 + 0.02 * ((k * 7) % 5), dropout=0.1 * (k % 5)) for k in range(12))
    failed = Trial(12, dict(trials[0].settings), "failed", None, None, 0, 0.1, 0, "C must be <positive>")
    test = {"roc_auc": Interval(0.9, 0.85, 0.95)} if difference else {}
    return TuneResult(
        "validation loss", "50 validation rows", "tpe", True, (3, 9), 13, (*trials, failed), 0,
        {"lr": 0.7, "hidden": 0.2, "activation": 0.1}, True, 3.0, "all done", 150, 50, 40 if difference else 0, test,
        test, difference, "roc_auc" if difference else "", ("lr",), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("difference", "kind", "begins"),
    [
        (Interval(0.02, 0.01, 0.03), "better", "Tuning pays"),
        (Interval(0.0, -0.01, 0.01), "tie", "Tuning makes no difference"),
        (Interval(-0.02, -0.03, -0.01), "worse", "Do not use these settings"),
        (None, "alone", "The best of 13 configurations scores 0.3"),
    ],
)
def test_the_verdict_is_what_the_interval_says(difference, kind, begins):
    data = result(difference).to_dict()
    assert outcome_of(data) == kind and verdict(data).startswith(begins)
    page = render_tune({**data, "name": "<x>.csv"})
    assert page.count("roc_auc") == 0 and "The best of 13 trials has" in page.replace("\xa0", " ")
    assert f'class="verdict {kind}"' in page and "<b>" not in page.split("</style>")[1].replace("<b>Warning</b>", "")
    assert "&lt;positive&gt;" in page and "is a hint" in page and "flattering" in page
    assert ("What do rows say that no trial has seen?" in page) is (difference is not None)


def test_a_search_without_any_score_still_has_a_page():
    found = result()
    empty = TuneResult(**{**vars(found), "trials": found.trials[-1:], "best": None, "importance": {}})
    page = render_tune(empty.to_dict())
    assert "No configuration could be used" in page and "None of 1 trials has a score" in page


def centres(chart):
    return [tuple(map(float, pair)) for pair in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', str(chart.svg))]


def test_dots_stand_where_the_scores_are():
    dots = [Dot(1.0, 0.5, "a"), Dot(10.0, 0.3, "b", best=True), Dot(100.0, 0.4, "c", whole=False)]
    drawn = centres(slice_chart("k", "t", dots, x_label="lr", y_label="loss", log=True))
    by_x = sorted(drawn)
    assert by_x[1][0] - by_x[0][0] == pytest.approx(by_x[2][0] - by_x[1][0], abs=0.05)  # decades are equally far apart
    assert by_x[1][1] > by_x[2][1] > by_x[0][1]  # SVG counts downwards: the least score stands lowest
    assert by_x[2][1] == pytest.approx((by_x[0][1] + by_x[1][1]) / 2, abs=0.05)
    progress = trials_chart("k", "t", dots, y_label="loss")
    assert [row[2] for row in progress.rows] == [0.5, 0.3, 0.3]
    strips = strip_chart("k", "t", [("one", dots[:1]), ("two", dots[1:])], x_label="loss")
    assert strips.rows == (("one", 1, 0.5), ("two", 2, 0.3))
    assert sorted({y for _, y in centres(strips)}) == [34.5, 74.5]


def test_one_that_went_astray_does_not_hide_the_others():
    dots = [Dot(float(k), 0.3 + 0.01 * k, "") for k in range(19)] + [Dot(19.0, 1e6, "astray")]
    heights = [y for _, y in sorted(centres(trials_chart("k", "t", dots, y_label="loss")))]
    assert max(heights[:-1]) - min(heights[:-1]) > 100 and heights[-1] == 34.0


def test_parallel_lines_end_at_their_places():
    chart = parallel_chart("k", "t", [("a", "0", "1"), ("rank", "worst", "best")], [((0.0, 1.0), "best", True)])
    assert re.search(r'd="M30.0 240.0L370.0 50.0"', str(chart.svg))
    with pytest.raises(ValueError, match="two axes"):
        parallel_chart("k", "t", [("a", "0", "1")], [((0.0,), "x", True)])
    for make in (lambda: trials_chart("k", "t", [], y_label=""), lambda: strip_chart("k", "t", [], x_label="")):
        with pytest.raises(ValueError, match="at least one"):
            make()
