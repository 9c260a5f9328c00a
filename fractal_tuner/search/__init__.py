"""Which configuration next: the zooming search and the classic adaptive grid search."""

from fractal_tuner.search.base import Search
from fractal_tuner.search.factorial import FactorialZoom
from fractal_tuner.search.zoom import ZoomSearch

__all__ = ["FactorialZoom", "Search", "ZoomSearch"]
