"""What a search met, as pictures."""

from fractal_tuner.report.box_counting import BoxCountingDisplay
from fractal_tuner.report.coverage import CoverageDisplay
from fractal_tuner.report.distribution import DistributionDisplay
from fractal_tuner.report.history import HistoryDisplay
from fractal_tuner.report.importance_bars import ImportanceDisplay
from fractal_tuner.report.landscape_map import LandscapeDisplay
from fractal_tuner.report.noise_bars import NoiseDisplay
from fractal_tuner.report.pairs import ContourDisplay
from fractal_tuner.report.parallel import ParallelCoordinatesDisplay
from fractal_tuner.report.slices import SliceDisplay
from fractal_tuner.report.timeline import TimelineDisplay
from fractal_tuner.report.variogram import RoughnessDisplay
from fractal_tuner.report.zoom_path import ZoomPathDisplay
from fractal_tuner.report.zoomed_views import ZoomedViewsDisplay

__all__ = [
    "HistoryDisplay",
    "TimelineDisplay",
    "ZoomPathDisplay",
    "LandscapeDisplay",
    "ZoomedViewsDisplay",
    "BoxCountingDisplay",
    "RoughnessDisplay",
    "SliceDisplay",
    "ContourDisplay",
    "ParallelCoordinatesDisplay",
    "ImportanceDisplay",
    "CoverageDisplay",
    "NoiseDisplay",
    "DistributionDisplay",
]
