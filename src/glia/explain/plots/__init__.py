"""How attributions are drawn: one form a file; each takes a result and ``ax=`` and returns the axes."""

from glia.explain.plots.bars import draw_bars
from glia.explain.plots.beeswarm import draw_beeswarm
from glia.explain.plots.dependence import draw_dependence
from glia.explain.plots.force import draw_force
from glia.explain.plots.heatmap import draw_heatmap
from glia.explain.plots.waterfall import draw_waterfall

__all__ = ["draw_bars", "draw_beeswarm", "draw_dependence", "draw_force", "draw_heatmap", "draw_waterfall"]
