"""Hyperparameter search by an adaptive zooming grid, and analysis of the landscape it met.

Importing the package loads nothing else: each public name brings its own module on first use, so a
search of a plain function never pays for TensorFlow.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractal_tuner.analysis.basins import basins
    from fractal_tuner.analysis.boxcount import (
        boundary_dimension,
        box_dimension,
        contour_dimension,
        failure_dimension,
    )
    from fractal_tuner.analysis.choice import robust_best
    from fractal_tuner.analysis.correlation import correlation_lengths
    from fractal_tuner.analysis.edges import domain_edges
    from fractal_tuner.analysis.estimate import Estimate
    from fractal_tuner.analysis.importance import importance
    from fractal_tuner.analysis.local import gradient_magnitude, local_complexity
    from fractal_tuner.analysis.noise import noise_share
    from fractal_tuner.analysis.plateau import plateau_share
    from fractal_tuner.analysis.rivals import indistinguishable
    from fractal_tuner.analysis.roughness import roughness
    from fractal_tuner.analysis.shifts import map_correlation
    from fractal_tuner.analysis.volume import near_optimal_volume
    from fractal_tuner.analysis.winner import corrected_best
    from fractal_tuner.dimensions import Categorical, Integer, Ordinal, Real
    from fractal_tuner.landscape import Landscape
    from fractal_tuner.mapping import map_landscape
    from fractal_tuner.oracle import FractalOracle, FractalTuner
    from fractal_tuner.report import (
        BoxCountingDisplay,
        ContourDisplay,
        CoverageDisplay,
        DistributionDisplay,
        HistoryDisplay,
        ImportanceDisplay,
        LandscapeDisplay,
        NoiseDisplay,
        ParallelCoordinatesDisplay,
        RoughnessDisplay,
        SliceDisplay,
        TimelineDisplay,
        ZoomedViewsDisplay,
        ZoomPathDisplay,
    )
    from fractal_tuner.report.report import Report, analyze
    from fractal_tuner.report.trainability_map import TrainabilityDisplay
    from fractal_tuner.search import FactorialZoom, ZoomSearch
    from fractal_tuner.search_cv import FractalSearchCV
    from fractal_tuner.space import SearchSpace
    from fractal_tuner.trials import Trial, TrialLog, Window
    from fractal_tuner.warm_start import starting_points

__version__ = "0.1.0"

__all__ = [
    # what is searched
    "Real",
    "Integer",
    "Ordinal",
    "Categorical",
    "SearchSpace",
    # how, and what was found
    "ZoomSearch",
    "FactorialZoom",
    "Trial",
    "TrialLog",
    "Window",
    "starting_points",
    # the same search inside scikit-learn and Keras Tuner
    "FractalSearchCV",
    "FractalOracle",
    "FractalTuner",
    # what it looks like
    "Landscape",
    "map_landscape",
    "gradient_magnitude",
    "local_complexity",
    "map_correlation",
    "roughness",
    "correlation_lengths",
    "box_dimension",
    "boundary_dimension",
    "contour_dimension",
    "failure_dimension",
    "Estimate",
    # what to do next
    "importance",
    "noise_share",
    "indistinguishable",
    "corrected_best",
    "robust_best",
    "domain_edges",
    "basins",
    "plateau_share",
    "near_optimal_volume",
    # all of it, of any tool's search, on one page; and its pictures
    "analyze",
    "Report",
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
    "TrainabilityDisplay",
]

_HOMES = {
    "Real": "dimensions",
    "Integer": "dimensions",
    "Ordinal": "dimensions",
    "Categorical": "dimensions",
    "SearchSpace": "space",
    "ZoomSearch": "search",
    "FactorialZoom": "search",
    "Trial": "trials",
    "TrialLog": "trials",
    "Window": "trials",
    "starting_points": "warm_start",
    "FractalSearchCV": "search_cv",
    "FractalOracle": "oracle",
    "FractalTuner": "oracle",
    "Landscape": "landscape",
    "map_landscape": "mapping",
    "gradient_magnitude": "analysis.local",
    "local_complexity": "analysis.local",
    "map_correlation": "analysis.shifts",
    "roughness": "analysis.roughness",
    "correlation_lengths": "analysis.correlation",
    "box_dimension": "analysis.boxcount",
    "boundary_dimension": "analysis.boxcount",
    "contour_dimension": "analysis.boxcount",
    "failure_dimension": "analysis.boxcount",
    "Estimate": "analysis.estimate",
    "importance": "analysis.importance",
    "noise_share": "analysis.noise",
    "indistinguishable": "analysis.rivals",
    "corrected_best": "analysis.winner",
    "robust_best": "analysis.choice",
    "domain_edges": "analysis.edges",
    "basins": "analysis.basins",
    "plateau_share": "analysis.plateau",
    "near_optimal_volume": "analysis.volume",
    "analyze": "report.report",
    "Report": "report.report",
    "HistoryDisplay": "report",
    "TimelineDisplay": "report",
    "ZoomPathDisplay": "report",
    "LandscapeDisplay": "report",
    "ZoomedViewsDisplay": "report",
    "BoxCountingDisplay": "report",
    "RoughnessDisplay": "report",
    "SliceDisplay": "report",
    "ContourDisplay": "report",
    "ParallelCoordinatesDisplay": "report",
    "ImportanceDisplay": "report",
    "CoverageDisplay": "report",
    "NoiseDisplay": "report",
    "DistributionDisplay": "report",
    "TrainabilityDisplay": "report.trainability_map",
}


if not TYPE_CHECKING:  # a type checker that saw __getattr__ would accept every misspelt name
    if find_spec("keras_tuner") is None:  # a star import and help() take all that is listed
        __all__ = [name for name in __all__ if _HOMES[name] != "oracle"]

    def __getattr__(name):
        """Import a public name from its home module (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value  # the next access finds it without coming here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
