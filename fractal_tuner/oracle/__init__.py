"""FractalOracle and FractalTuner: the zooming search inside Keras Tuner.

Keras Tuner owns the trials. The search is a replay of them: it is told, in order, what the oracle's
trials were and how they ended, and asked for one more. While it lives it is fed only what is new;
it is built anew when the space has grown or a project is continued, with the same proposals either
way.
"""

try:
    import keras_tuner  # noqa: F401
except ImportError as missing:
    raise ImportError(
        "FractalOracle needs Keras Tuner: pip install 'fractal-tuner[keras]'"
    ) from missing

from fractal_tuner.oracle.oracle import FractalOracle
from fractal_tuner.oracle.translation import space_from_hyperparameters
from fractal_tuner.oracle.tuner import FractalTuner

__all__ = ["FractalOracle", "FractalTuner", "space_from_hyperparameters"]
