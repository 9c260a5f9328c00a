"""What a search met, as pictures."""

from fractal_tuner.report.distribution import DistributionDisplay
from fractal_tuner.report.history import HistoryDisplay
from fractal_tuner.report.landscape_map import LandscapeDisplay
from fractal_tuner.report.parallel import ParallelCoordinatesDisplay
from fractal_tuner.report.slices import SliceDisplay
from fractal_tuner.report.timeline import TimelineDisplay
from fractal_tuner.report.zoom_path import ZoomPathDisplay
from fractal_tuner.report.zoomed_views import ZoomedViewsDisplay

__all__ = [
    "HistoryDisplay",
    "TimelineDisplay",
    "ZoomPathDisplay",
    "LandscapeDisplay",
    "ZoomedViewsDisplay",
    "SliceDisplay",
    "ParallelCoordinatesDisplay",
    "DistributionDisplay",
]
