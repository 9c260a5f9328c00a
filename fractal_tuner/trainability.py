"""Where a small network trains, over a grid of two hyperparameters: a boundary that looks fractal.

The network ``f(x) = w1.phi(W0 x / sqrt(n)) / n`` has one hidden layer as wide as its input, n, no
biases and mean-field scaling; ``phi(z)`` is ``tanh(sqrt(2) z)``, ``sqrt(2) max(z, 0)`` or ``z``.
Inputs, targets and initial weights are standard normal. It is trained by gradient descent on the
mean squared error, with one learning rate per layer. Sohl-Dickstein (2024) found the boundary
between the rates that train it and those that make it diverge intricate at all scales he resolved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fractal_tuner.fractals import at_least

if TYPE_CHECKING:
    from fractal_tuner.analysis.boxfit import BoxDimension

Activation = Literal["tanh", "relu", "identity"]

_LOSS_CEILING = 1e6  # of a loss relative to its first: beyond, all divergence looks alike
# Of a loss relative to its first: beyond, a cell is not trained any more. None of 66 000 cells in
# ten conditions came back from there to converge; from 1e6 a few in ten thousand did.
_GIVEN_UP = 1e12
_TAIL = 20  # losses whose mean decides
_CELLS_AT_ONCE = 192  # trained together: their activations fit a core's cache


@dataclass(frozen=True, repr=False)
class Trainability:
    """Where training converges, over a grid of two hyperparameters.

    Attributes
    ----------
    measure : np.ndarray
        Shape (side, side), the first axis is ``x``. With ``v`` the losses divided by the first, at
        most 10^6: minus their sum where training converged (negative; nearer 0 is faster), the
        sum of their reciprocals where it diverged (positive; nearer 0 is faster).
    x : np.ndarray
        Base-10 logarithms of the input layer's learning rate; or its initial weights' offset.
    y : np.ndarray
        Base-10 logarithms of the output layer's learning rate; or that of both layers.
    """

    measure: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def __repr__(self) -> str:
        ends = (
            f"{name} {at[0]:.4g} to {at[-1]:.4g}" for name, at in (("x", self.x), ("y", self.y))
        )
        side, share = len(self.x), self.converged.mean()
        return f"Trainability({side} x {side}, {', '.join(ends)}, {100 * share:.0f} % converged)"

    @property
    def converged(self) -> np.ndarray:
        """Where the mean of the last 20 losses lies below the first loss, boolean."""
        return np.asarray(self.measure < 0)

    def boundary_dimension(self) -> BoxDimension:
        """The box-counting dimension of the boundary between convergence and divergence."""
        from fractal_tuner.analysis.boxcount import boundary_dimension

        return boundary_dimension(self.converged)


def trainability_landscape(
    side: int = 256,
    *,
    x: tuple[float, float] = (-3.0, 6.0),
    y: tuple[float, float] = (-3.0, 6.0),
    activation: Activation = "tanh",
    steps: int = 100,
    width: int = 8,
    batch_size: int | None = None,
    n_points: int | None = None,
    vary: Literal["learning rates", "initial offset"] = "learning rates",
    seed: int = 0,
) -> Trainability:
    """Where a small network trains, over a grid of two learning rates.

    Data and initial weights are the same in every cell. A cell has converged if the mean of its
    last 20 losses is below its first.

    Parameters
    ----------
    side : int
        Cells a side.
    x, y : tuple of float
        Ends of the two axes: base-10 logarithms of the learning rates of the input and the output
        layer. With ``vary="initial offset"``, ``x`` is the offset itself.
    activation : {"tanh", "relu", "identity"}
        The nonlinearity.
    steps : int
        Steps of gradient descent.
    width : int
        Inputs and hidden units, n.
    batch_size : int or None
        Points drawn (with replacement) for each step, the same in every cell; None takes all. The
        losses recorded are those of all points.
    n_points : int or None
        Training points. By default as many as there are weights; ``width`` for the identity.
    vary : {"learning rates", "initial offset"}
        The second has one learning rate for both layers on ``y`` and on ``x`` a number added to
        all initial weights of the input layer.
    seed : int
        Of weights, data and minibatches.

    References
    ----------
    Sohl-Dickstein, The boundary of neural network trainability is fractal, arXiv 2402.06184 (2024).
    The notebook of the paper adds the offset again at every step; here it is added once.

    Examples
    --------
    >>> trainability_landscape(4, steps=20).converged.astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 0, 0],
           [0, 1, 0, 0]])
    """
    at_least("side", side, 1)
    if vary not in ("learning rates", "initial offset"):
        raise ValueError(f'vary must be "learning rates" or "initial offset", got {vary!r}')
    training = _Training.drawn(activation, steps, width, batch_size, n_points, seed)
    at_x, at_y = np.linspace(*_interval("x", x), side), np.linspace(*_interval("y", y), side)
    first, second = (a.ravel() for a in np.meshgrid(at_x, at_y, indexing="ij"))
    is_offset = vary == "initial offset"
    offsets = first if is_offset else np.zeros_like(first)
    rates = 10.0 ** np.stack([second if is_offset else first, second])
    measure = np.empty(side * side)
    for start in range(0, measure.size, _CELLS_AT_ONCE):
        cells = slice(start, start + _CELLS_AT_ONCE)
        measure[cells] = _measure(training.losses(rates[:, cells], offsets[cells]))
    return Trainability(measure.reshape(side, side), at_x, at_y)


def trainability_zooms(
    levels: int = 6, side: int = 128, *, factor: int = 4, **options: Any
) -> list[Trainability]:
    """Landscapes of one network, each a window of the one before, towards the boundary.

    Shows a progress bar on stderr while that is a terminal.

    The window is the one that holds the most of the boundary between convergence and divergence.
    That choice favours high dimensions: what is found says how rough the boundary can be at a
    scale, not how rough it is on average.

    Parameters
    ----------
    levels : int
        Landscapes, the whole square included; fewer if one holds no boundary.
    side : int
        Cells a side of each.
    factor : int
        Ratio of the sides of one window to the next.
    **options
        Passed on to :func:`trainability_landscape`.

    Notes
    -----
    Dimensions of the boundary at levels 0 to 5, by :meth:`Trainability.boundary_dimension`, with
    intervals (128 x 128, the last three rows 96 x 96; width 8, 100 steps, seed 0). "all": boxes of
    8 cells all meet the boundary, which is then too fine for the cells, and there is no value.

    =============== ========= ========= ========= ========= ========= =========
    tanh            1.05      1.36      1.69      1.93      all       1.95
    ..              1.00-1.19 1.20-1.88 1.49-2.00 1.59-2.00           1.54-2.00
    ReLU            1.05      1.34      1.80      all       all       2.00
    ..              1.00-1.18 1.06-1.98 1.60-2.00                     1.76-2.00
    identity        1.01      1.03      1.10      1.16      1.14      1.42
    ..              1.01-1.02 1.00-1.09 1.05-1.25 1.06-1.42 1.08-1.35 1.06-2.00
    batches of 16   1.10      1.42      1.78      all       all       all
    ..              1.06-1.23 1.39-1.86 1.58-2.00
    one point       1.02      1.03      1.00      1.01      1.03      1.03
    ..              1.00-1.08 1.00-1.11 1.00-1.00 1.00-1.06 1.00-1.10 1.00-1.10
    initial offset  1.03      1.29      1.65      1.74      all       all
    ..              1.00-1.10 1.17-1.71 1.55-2.00 1.31-2.00
    =============== ========= ========= ========= ========= ========= =========

    The chaos beside the boundary turns rounding into other courses: another library or processor
    may change levels above 2 by some hundredths, or from a value to none.

    Sohl-Dickstein (2024) gives 1.17 to 1.98 over these six cases: medians of local slopes over a
    sequence of zooms at 4096 x 4096, width 16, 500 to 1000 steps. The range is alike, but for the
    single point. That single values agree is not shown, nor that a boundary is a fractal: one
    number without its scale says little, and near 2 the cells of a window are too coarse to
    resolve the boundary.

    Examples
    --------
    >>> zooms = trainability_zooms(3, 16, steps=20)
    >>> [round(float(grid.x[-1] - grid.x[0]), 2) for grid in zooms]
    [9.0, 2.25, 0.56]
    """
    from fractal_tuner.progress import progress

    at_least("levels", levels, 1)
    at_least("factor", factor, 2)
    at_least("side", side, 2 * factor)
    zooms: list[Trainability] = []
    for _ in progress(range(levels), "zooming in"):
        if zooms:
            corner = _densest_window(zooms[-1].converged, side // factor)
            if corner is None:
                break
            ends = [
                (float(at[k]), float(at[k] + (at[-1] - at[0]) / factor))
                for at, k in zip((zooms[-1].x, zooms[-1].y), corner, strict=True)
            ]
            options |= {"x": ends[0], "y": ends[1]}
        zooms.append(trainability_landscape(side, **options))
    return zooms


def _densest_window(mask: np.ndarray, window: int) -> tuple[int, int] | None:
    """First corner of the window that holds the most boundary; None if there is no boundary."""
    mixed = (mask[1:] != mask[:-1])[:, 1:] | (mask[:, 1:] != mask[:, :-1])[1:]
    edge = np.zeros(np.add(mask.shape, 1))
    edge[2:, 2:] = mixed.cumsum(0).cumsum(1)
    mass = edge[window:, window:] - edge[:-window, window:]
    mass -= edge[window:, :-window] - edge[:-window, :-window]
    if mass.max() == 0:
        return None
    i, j = divmod(int(mass.argmax()), mass.shape[1])
    return i, j


def _tanh(z: np.ndarray) -> None:
    np.tanh(z, out=z)


def _tanh_slope(h: np.ndarray) -> None:
    h *= h
    np.subtract(1.0, h, out=h)


def _relu(z: np.ndarray) -> None:
    np.maximum(z, 0.0, out=z)


def _relu_slope(h: np.ndarray) -> None:
    np.greater(h, 0.0, out=h, casting="unsafe")


def _identity(z: np.ndarray) -> None:
    """Nothing to do."""


def _identity_slope(h: np.ndarray) -> None:
    h.fill(1.0)


# Gain of the inputs, nonlinearity, and its slope as a function of its value; the last two in place.
_Elementwise = Callable[[np.ndarray], None]
_ACTIVATIONS: dict[str, tuple[float, _Elementwise, _Elementwise]] = {
    "tanh": (math.sqrt(2), _tanh, _tanh_slope),
    "relu": (math.sqrt(2), _relu, _relu_slope),  # sqrt(2) max(z, 0) = max(sqrt(2) z, 0)
    "identity": (1.0, _identity, _identity_slope),
}


@dataclass(frozen=True)
class _Training:
    """What the cells of a landscape share: initial weights, data, order of batches, nonlinearity.

    Arrays of many cells have the cell on their last axis. The inputs are the same in all cells, so
    that one matrix product serves them all.
    """

    first: np.ndarray  # weights of the input layer, (width, width)
    second: np.ndarray  # of the output layer, (width,)
    inputs: np.ndarray  # (n_points, width), scaled
    targets: np.ndarray  # (n_points, 1)
    batches: np.ndarray | None  # points of each step, (steps, batch_size)
    steps: int
    phi: _Elementwise
    slope: _Elementwise

    @classmethod
    def drawn(
        cls,
        activation: str,
        steps: int,
        width: int,
        batch_size: int | None,
        n_points: int | None,
        seed: int,
    ) -> _Training:
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}"
            )
        at_least("steps", steps, 1)
        at_least("width", width, 1)
        if n_points is None:
            n_points = width if activation == "identity" else width * (width + 1)
        at_least("n_points", n_points, 1)
        at_least("seed", seed, 0)
        if batch_size is not None:
            at_least("batch_size", batch_size, 1)
        gain, phi, slope = _ACTIVATIONS[activation]
        rng = np.random.default_rng(seed)
        first, second = rng.normal(size=(width, width)), rng.normal(size=width)
        inputs, targets = rng.normal(size=(n_points, width)), rng.normal(size=(n_points, 1))
        batches = None if batch_size is None else rng.integers(n_points, size=(steps, batch_size))
        inputs *= gain / math.sqrt(width)
        return cls(first, second, inputs, targets, batches, steps, phi, slope)

    def losses(self, rates: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Losses of all steps, (steps, cells), infinite from where a cell was given up.

        ``rates`` has shape (2, cells), ``offsets`` shape (cells,).
        """
        width, inputs = len(self.second), self.inputs
        w0 = self.first[:, :, None] + offsets
        w1 = np.repeat(self.second[:, None], len(offsets), axis=1)
        losses = np.full((self.steps, len(offsets)), np.inf)
        alive = np.arange(len(offsets))
        space = np.empty((len(inputs), w1.size))
        with np.errstate(over="ignore", invalid="ignore"):  # divergence is what is looked for
            for step in range(self.steps):
                hidden, error = self._forward(inputs, self.targets, w0, w1, space)
                losses[step, alive] = np.einsum("pc,pc->c", error, error) / len(error)
                used = inputs
                if self.batches is not None:
                    used = inputs[self.batches[step]]
                    targets = self.targets[self.batches[step]]
                    hidden, error = self._forward(used, targets, w0, w1, None)
                error *= 2.0 / (len(error) * width)
                slope1 = np.einsum("phc,pc->hc", hidden, error)
                self.slope(hidden)
                hidden *= error[:, None]
                slope0 = (used.T @ hidden.reshape(len(used), -1)).reshape(w0.shape)
                w0 -= rates[0] * w1 * slope0
                w1 -= rates[1] * slope1
                going = losses[step, alive] <= _GIVEN_UP * losses[0, alive]
                if not going.any():
                    break
                if going.mean() < 0.9:  # copying costs, so not for each cell
                    alive, rates = alive[going], rates[:, going]
                    w0, w1 = w0[:, :, going].copy(), w1[:, going].copy()
                    space = np.empty((len(inputs), w1.size))
        return losses

    def _forward(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        w0: np.ndarray,
        w1: np.ndarray,
        space: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Hidden values (points, width, cells), put into ``space``, and errors (points, cells)."""
        hidden = np.matmul(inputs, w0.reshape(len(w0), -1), out=space).reshape(-1, *w1.shape)
        self.phi(hidden)
        return hidden, np.einsum("phc,hc->pc", hidden, w1) / len(w1) - targets


def _measure(losses: np.ndarray) -> np.ndarray:
    """The measure of :class:`Trainability` from losses of shape (steps, cells)."""
    with np.errstate(over="ignore", invalid="ignore"):
        v = losses / losses[0]
    v = np.where(np.isfinite(v), np.minimum(v, _LOSS_CEILING), _LOSS_CEILING)
    converged = v[-_TAIL:].mean(0) < 1
    with np.errstate(divide="ignore"):
        reciprocals = (1 / v).sum(0)
    return np.asarray(np.where(converged, -v.sum(0), reciprocals))


def _interval(name: str, ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{name} needs finite low < high, got {ends}")
    return low, high
