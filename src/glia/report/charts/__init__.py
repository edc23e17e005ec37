"""Charts as pure functions: numbers in, one SVG with its words, its table and its data out."""

from glia.report.charts.bars import Bar, bar_chart, interval_chart
from glia.report.charts.base import Chart
from glia.report.charts.confusion import confusion_chart
from glia.report.charts.differences import difference_chart
from glia.report.charts.forecast import forecast_chart
from glia.report.charts.histogram import histogram_chart, miniature
from glia.report.charts.line import Series, line_chart
from glia.report.charts.network import network_chart
from glia.report.charts.reliability import reliability_chart
from glia.report.charts.roc import pr_chart, roc_chart
from glia.report.charts.scatter import agreement_chart
from glia.report.charts.sweep import sweep_chart

__all__ = [
    "Bar",
    "Chart",
    "Series",
    "agreement_chart",
    "bar_chart",
    "confusion_chart",
    "difference_chart",
    "forecast_chart",
    "histogram_chart",
    "interval_chart",
    "line_chart",
    "miniature",
    "network_chart",
    "pr_chart",
    "reliability_chart",
    "roc_chart",
    "sweep_chart",
]
