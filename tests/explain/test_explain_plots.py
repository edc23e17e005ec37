"""What plots of attributions draw is what the result holds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import matplotlib.figure
import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_hex

from glia.core.errors import InputError
from glia.explain.attribution import AttributionResult
from glia.explain.plots.beeswarm import spread


def result(rows=30, columns=5, outputs=1, *, error=True):
    rng = np.random.default_rng(0)
    shape = (rows, columns) if outputs == 1 else (rows, columns, outputs)
    values = rng.normal(size=shape) * np.arange(2 * columns, 0, -2).reshape(-1, *[1] * (outputs > 1))
    base = np.full((rows,) if outputs == 1 else (rows, outputs), 0.5)
    data = np.stack(
        [rng.normal(size=rows).astype(object), *[rng.choice(["a", "b$"], rows) for _ in range(columns - 1)]]
    )
    return AttributionResult(
        "shap", values, base + values.sum(axis=1), base, tuple(f"c{i}" for i in range(columns)),
        tuple(f"o{i}" for i in range(outputs)), standard_error=np.full(shape, 0.1) if error else None, data=data.T,
    )  # fmt: skip


def widths(ax):
    return np.array([patch.get_width() for patch in ax.patches])


def test_bars_are_mean_sizes_with_intervals():
    found = result()
    ax = found.plot()
    found = replace(found, values=found.values * [9, 5, 3, 1.5, 1])
    ax = found.plot()
    np.testing.assert_allclose(widths(ax), np.abs(found.values).mean(axis=0))
    assert [label.get_text() for label in ax.get_yticklabels()] == list(found.feature_names)
    (whiskers,) = ax.collections
    half = np.abs(found.values).std(axis=0, ddof=1) * 1.959964 / np.sqrt(30)
    ends = np.array([segment[:, 0] for segment in whiskers.get_segments()])
    np.testing.assert_allclose(ends[:, 1] - np.abs(found.values).mean(axis=0), half)
    one = result(1).plot("bars")
    np.testing.assert_allclose([np.ptp(s[:, 0]) for s in one.collections[0].get_segments()][:2], 2 * 0.1959964)
    assert "matters most" in ax.get_title("left") and "95 % interval" in ax.get_xlabel()
    assert "interval" not in result(1, error=False).plot("bars").get_xlabel()


def test_a_beeswarm_has_a_point_for_every_share():
    found = result(outputs=2)
    ax = found.plot("beeswarm", output="o1")
    points = [np.asarray(c.get_offsets())[:, 0] for c in ax.collections]
    for i in range(5):
        np.testing.assert_allclose(np.sort(points[i if i == 0 else i + 1]) if i else np.sort(points[1]),
                                   np.sort(found.values[:, i, 1]))  # fmt: skip
    share = np.sort(np.random.default_rng(0).normal(size=400))
    apart = spread(share, float(np.ptp(share)))
    assert np.abs(apart).max() <= 0.38 + 1e-9
    near = np.abs(np.diff(share)) < np.ptp(share) / 200
    assert (np.abs(np.diff(apart))[near] > 0).mean() > 0.95


def test_a_waterfall_leads_from_base_to_output():
    found = result(columns=20)
    ax = found.plot("waterfall", row=3, most=6)
    bars = ax.patches
    assert len(bars) == 6 and ax.get_yticklabels()[0].get_text() == "15 others"
    assert bars[0].get_x() == pytest.approx(0.5)
    end = bars[-1].get_x() + bars[-1].get_width()
    assert end == pytest.approx(found.outputs[3])
    for before, after in pairwise(bars):
        assert after.get_x() == pytest.approx(before.get_x() + before.get_width())
    for bar in bars:
        assert to_hex(bar.get_facecolor()) == ("#e69f00" if bar.get_width() > 0 else "#0072b2")
    signs = [text.get_text() for text in ax.texts]
    assert all(text[0] == ("+" if bar.get_width() > 0 else "−") for text, bar in zip(signs, bars, strict=True))
    assert "lowers it most" in ax.get_title("left") or "raises it most" in ax.get_title("left")


def test_force_bars_meet_at_the_output():
    found = result()
    ax = found.plot("force", row=-1)
    shares = found.values[-1]
    up = [bar for bar in ax.patches if to_hex(bar.get_facecolor()) == "#e69f00"]
    down = [bar for bar in ax.patches if to_hex(bar.get_facecolor()) == "#0072b2"]
    assert sum(bar.get_width() for bar in up) == pytest.approx(shares[shares > 0].sum())
    assert sum(bar.get_width() for bar in down) == pytest.approx(-shares[shares < 0].sum())
    assert max(bar.get_x() + bar.get_width() for bar in up) == pytest.approx(found.outputs[-1])
    assert min(bar.get_x() for bar in down) == pytest.approx(found.outputs[-1])


def test_dependence_shows_values_against_shares():
    found = result()
    ax = found.plot("dependence", feature="c0")
    points = np.asarray(ax.collections[-1].get_offsets())
    np.testing.assert_allclose(points, np.stack([found.data[:, 0].astype(float), found.values[:, 0]], axis=1))
    words = found.plot("dependence", feature=1)
    assert {label.get_text() for label in words.get_xticklabels()} == {"a", r"b\$"}
    line = result()
    line.values[:, 0] = line.data[:, 0].astype(float) * 2
    assert line.plot("dependence", feature=0).get_title("left") == "The more c0, the higher its share"
    with pytest.raises(InputError, match="explained columns"):
        found.plot("dependence", feature="c9")


def test_heat_maps_sum_channels():
    values = np.random.default_rng(0).normal(size=(2, 3, 6, 7))
    found = AttributionResult("shap", values, values.sum(axis=(1, 2, 3)))
    assert list(found.figures()) == ["heatmap"]
    ax = found.plot(row=1)
    image = ax.images[0]
    np.testing.assert_allclose(image.get_array(), values[1].sum(axis=0))
    assert image.get_clim()[0] == -image.get_clim()[1]
    assert AttributionResult("shap", values[:, 0, 0], values.sum(axis=(1, 2, 3))).figures() == {}


def test_plots_use_given_axes_and_leave_settings_alone():
    before = dict(rcParams)
    for name, draw in result().figures().items():
        axes = matplotlib.figure.Figure().subplots()
        assert draw(ax=axes) is axes, name
        assert axes.get_title("left") and axes.get_xlabel()
    assert dict(rcParams) == before
    many = result(columns=40)
    for name in ("bars", "beeswarm"):
        assert len(many.plot(name).get_yticklabels()) == 20
    assert len(many.plot("waterfall", most=99).patches) == 20


def test_what_is_not_there_is_said():
    with pytest.raises(ValueError, match="has the figures"):
        result().plot("pie")
    for options, message in (
        ({"row": 30}, "row must be"),
        ({"output": 1}, "output must be"),
        ({"output": "x"}, "output"),
    ):
        with pytest.raises(InputError, match=message):
            result().plot("waterfall", **options)
