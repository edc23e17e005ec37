import pytest

from glia.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.95678, "0.957"),
        (12.345, "12.3"),
        (1234.5, "1,234"),
        (1_234_567, "1,234,567"),
        (0, "0"),
        (-0.25, "−0.250"),
        (0.0000123, "1.23\u00a0×\u00a010⁻⁵"),
        (None, "–"),
        (float("nan"), "–"),
        (True, "yes"),
    ],
)
def test_numbers_have_three_digits_and_true_minus_signs(value, shown):
    assert words.number(value) == shown


def test_decimals_follow_the_width_of_the_interval():
    assert words.range_text("rmse", {"value": 53.41, "low": 49.12, "high": 57.93}) == "49.1 to 57.9"
    assert words.range_text("accuracy", {"value": 0.957, "low": 0.951, "high": 0.963}) == "95.1 to 96.3"
    assert words.figure_text("roc_auc", {"value": 0.98765}) == "0.988"


def test_what_rounds_to_zero_has_no_sign():
    assert words.fixed(-0.0001, 2) == "0.00"


def test_characters_that_break_pages_are_replaced_and_others_kept():
    assert words.clean("a\x00b\x1b\ud800\u202ec") == "a\ufffdb\ufffd\ufffd\ufffdc"
    assert words.clean("naïve – 日本 ") == "naïve – 日本 "


def test_direction_of_metrics():
    assert not words.greater_is_better("log_loss")
    assert not words.greater_is_better("rmse")
    assert words.greater_is_better("roc_auc")
    assert not words.greater_is_better("x", {"x": {"greater_is_better": False}})
