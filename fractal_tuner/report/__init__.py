"""What a search met, as pictures."""

from fractal_tuner.report.distribution import DistributionDisplay
from fractal_tuner.report.history import HistoryDisplay
from fractal_tuner.report.timeline import TimelineDisplay
from fractal_tuner.report.zoom_path import ZoomPathDisplay

__all__ = [
    "HistoryDisplay",
    "TimelineDisplay",
    "ZoomPathDisplay",
    "DistributionDisplay",
]
