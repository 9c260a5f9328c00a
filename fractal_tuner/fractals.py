"""Sets and surfaces of known dimension.

What an analyzer says about a landscape can be judged only where the truth is known. Each generator
returns a :class:`Fractal`: values, their dimension, of what it is the dimension, and who proved it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

_BEYOND_GRID = 2**12  # highest frequency of a sum of waves, in those of the grid
_MAX_CELLS = 2**30  # of a self-similar set, one byte each


@dataclass(frozen=True)
class Fractal:
    """A set or a surface, and its dimension.

    Attributes
    ----------
    name : str
        What it is, with its parameters.
    values : np.ndarray
        Boolean for a set, one cell per element; float64 for heights over a square. The first axis
        is x, the second y.
    of : {"set", "boundary", "graph"}
        Whose box-counting dimension is known: the true cells', their boundary's, or the graph's.
    dimension : float
        The dimension; NaN where no theory gives it.
    reference : str
        Where the dimension comes from.
    """

    name: str
    values: np.ndarray = field(repr=False)
    of: Literal["set", "boundary", "graph"]
    dimension: float
    reference: str


def cantor_dust(levels: int = 6, d: int = 2) -> Fractal:
    """The d-fold product of the middle-thirds Cantor set, ``3**levels`` cells a side.

    Parameters
    ----------
    levels : int
        How often the middle third was taken out.
    d : int
        Number of axes.

    Examples
    --------
    >>> dust = cantor_dust(2)
    >>> dust.values.shape, round(dust.dimension, 4)
    ((9, 9), 1.2619)
    """
    at_least("d", d, 1)
    _check_levels(levels, 3, d)
    values = line = _product_pattern(np.array([1, 0, 1], bool), levels)
    for _ in range(d - 1):
        values = np.logical_and.outer(values, line)
    return Fractal(
        f"Cantor dust, {d} axes, {levels} levels",
        values,
        "set",
        d * math.log(2) / math.log(3),
        "self-similar, Hutchinson, Indiana Univ. Math. J. 30 (1981)",
    )


def sierpinski_carpet(levels: int = 6) -> Fractal:
    """The Sierpinski carpet: of nine squares the middle one goes, again and again.

    Parameters
    ----------
    levels : int
        How often; the side has ``3**levels`` cells.

    Examples
    --------
    >>> round(sierpinski_carpet(2).dimension, 4)
    1.8928
    """
    return _sponge("Sierpinski carpet", levels, 2)


def menger_sponge(levels: int = 4) -> Fractal:
    """The Menger sponge: of 27 cubes the seven without an edge go, again and again.

    Parameters
    ----------
    levels : int
        How often; the side has ``3**levels`` cells.

    Examples
    --------
    >>> sponge = menger_sponge(2)
    >>> int(sponge.values.sum()), round(sponge.dimension, 4)
    (400, 2.7268)
    """
    return _sponge("Menger sponge", levels, 3)


def sierpinski_triangle(levels: int = 9) -> Fractal:
    """The Sierpinski triangle with a right angle: Pascal's triangle modulo 2.

    Parameters
    ----------
    levels : int
        The side has ``2**levels`` cells.

    Examples
    --------
    >>> sierpinski_triangle(2).values.astype(int)
    array([[1, 1, 1, 1],
           [1, 0, 1, 0],
           [1, 1, 0, 0],
           [1, 0, 0, 0]])
    """
    _check_levels(levels, 2, 2)
    return Fractal(
        f"Sierpinski triangle, {levels} levels",
        _product_pattern(np.array([[1, 1], [1, 0]], bool), levels),
        "set",
        math.log(3) / math.log(2),
        "self-similar, Hutchinson, Indiana Univ. Math. J. 30 (1981)",
    )


def koch_curve(side: int = 512) -> Fractal:
    """The Koch curve across the middle of the square, drawn on its cells.

    Parameters
    ----------
    side : int
        Cells a side.

    Examples
    --------
    >>> round(koch_curve(32).dimension, 4)
    1.2619
    """
    at_least("side", side, 2)
    turn = np.exp(1j * math.pi / 3)
    ends = np.array([0.0, 1.0], complex)
    while abs(ends[1] - ends[0]) * side > 0.5:  # to pieces shorter than a cell
        start, step = ends[:-1], np.diff(ends) / 3
        corners = np.stack([start, start + step, start + step * (1 + turn), start + 2 * step], 1)
        ends = np.append(corners.ravel(), 1.0)
    cells = (np.stack([ends.real, ends.imag + 0.35]) * side).astype(int)
    values = np.zeros((side, side), bool)
    values[tuple(np.minimum(cells, side - 1))] = True
    return Fractal(
        f"Koch curve, side {side}",
        values,
        "set",
        math.log(4) / math.log(3),
        "self-similar, Hutchinson, Indiana Univ. Math. J. 30 (1981)",
    )


# Hausdorff and box dimension of connected quadratic Julia sets, by the place of c.
_JULIA_DIMENSIONS = {
    0j: (1.0, "the unit circle"),
    -1 + 0j: (1.26835, "McMullen, Amer. J. Math. 120 (1998)"),
    complex(-0.122561, 0.744862): (1.3934, "McMullen, Amer. J. Math. 120 (1998)"),
}


def julia_set(c: complex = -1 + 0j, side: int = 1024, iterations: int = 200) -> Fractal:
    """The filled Julia set of ``z^2 + c``, seen from -1.8 to 1.8 on both axes.

    Parameters
    ----------
    c : complex
        The constant. The dimension of the boundary is known for 0 (a circle), -1 (the basilica),
        -0.122561+0.744862i (Douady's rabbit) and, to third order in ``|c|``, for ``|c|`` up to
        0.1; it is NaN elsewhere.
    side : int
        Cells a side; a cell belongs to the set if its centre does.
    iterations : int
        A point that has not left by then counts as inside.

    Examples
    --------
    >>> julia_set(-1, side=32).dimension
    1.26835
    """
    at_least("side", side, 2)
    at_least("iterations", iterations, 1)
    if not isinstance(c, complex | float | int | np.number):
        raise TypeError(f"c must be a number, got {c!r}")
    c = complex(c)
    if not np.isfinite(c):
        raise ValueError(f"c must be finite, got {c}")
    if c in _JULIA_DIMENSIONS:
        dimension, reference = _JULIA_DIMENSIONS[c]
    elif abs(c) <= 0.1:
        dimension = 1 + abs(c) ** 2 / (4 * math.log(2))
        reference = "to order |c|^3, Ruelle, Ergodic Theory Dynam. Systems 2 (1982)"
    else:
        dimension, reference = math.nan, "not known for this c"
    z = _cell_centres((-1.8, 1.8), (-1.8, 1.8), side)
    inside = _stays(z.ravel(), np.full(z.size, c), iterations).reshape(z.shape)
    return Fractal(f"Julia set of z^2 + {c}, side {side}", inside, "boundary", dimension, reference)


def mandelbrot_set(side: int = 1024, iterations: int = 200) -> Fractal:
    """The Mandelbrot set, seen from -2 to 0.5 and from -1.25 to 1.25.

    Its boundary has dimension 2, which no box count at an affordable resolution shows: at 1024
    cells a side the counts lie on a straight line of slope about 1.2. A straight plot is not proof.

    Parameters
    ----------
    side : int
        Cells a side; a cell belongs to the set if its centre does.
    iterations : int
        A point that has not left by then counts as inside.

    Examples
    --------
    >>> mandelbrot_set(32).dimension
    2.0
    """
    at_least("side", side, 2)
    at_least("iterations", iterations, 1)
    c = _cell_centres((-2.0, 0.5), (-1.25, 1.25), side)
    inside = _stays(np.zeros(c.size, complex), c.ravel(), iterations).reshape(c.shape)
    return Fractal(
        f"Mandelbrot set, side {side}",
        inside,
        "boundary",
        2.0,
        "Shishikura, Ann. of Math. 147 (1998)",
    )


def fractional_brownian_surface(
    hurst: float, side: int = 64, rng: np.random.Generator | int = 0
) -> Fractal:
    """An exact sample of fractional Brownian motion over the unit square.

    A Gaussian field with ``E (Z(x) - Z(y))^2 = |x - y|^(2 H)`` at all pairs of cells, the distance
    in sides of the square; its graph has dimension 3 - H. The field is that of a stationary
    covariance, embedded in a periodic one, plus a random plane. That the embedding is a
    covariance is checked each time.

    Parameters
    ----------
    hurst : float
        Hurst exponent H, 0 < H < 1.
    side : int
        Values a side.
    rng : numpy.random.Generator or int
        Source of randomness, or a seed.

    References
    ----------
    Stein, J. Comput. Graph. Statist. 11 (2002), 587-599 (the embedding); Falconer, Fractal
    Geometry, 2003, theorem 16.7 (the dimension).

    Examples
    --------
    >>> surface = fractional_brownian_surface(0.3, side=16, rng=1)
    >>> surface.values.shape, surface.dimension
    ((16, 16), 2.7)
    """
    _hurst(hurst)
    at_least("side", side, 2)
    rng = _generator(rng)
    alpha = 2 * hurst
    reach = 1.0 if alpha <= 1.5 else 2.0  # the covariance vanishes beyond
    # The square's diagonal has length 1, within which the variogram is the power law.
    spacing = math.sqrt(0.5) / (side - 1)
    steps = math.ceil(reach / spacing)
    lag = np.append(np.arange(steps + 1), np.arange(steps - 1, 0, -1)) * spacing
    covariance, plane = _stein(np.hypot(lag[:, None], lag), alpha, reach)
    spectrum = np.fft.fft2(covariance).real
    if spectrum.min() < -1e-9 * spectrum.max():
        raise RuntimeError(f"no periodic embedding for hurst={hurst}, side={side}")
    noise = rng.normal(size=spectrum.shape) + 1j * rng.normal(size=spectrum.shape)
    root = np.sqrt(np.maximum(spectrum, 0.0) / spectrum.size)
    stationary = np.fft.fft2(root * noise).real[:side, :side]
    tilt = math.sqrt(2 * plane) * rng.normal(size=2)
    at = np.arange(side) * spacing
    heights = stationary + tilt[0] * at[:, None] + tilt[1] * at
    # Here E (Z(x) - Z(y))^2 = 2 r^alpha, r in diagonals of the square.
    heights = (heights - heights.mean()) * math.sqrt(0.5 * 2**hurst)
    return Fractal(
        f"fractional Brownian surface, H={hurst}, side {side}",
        heights,
        "graph",
        3 - hurst,
        "Falconer, Fractal Geometry, 2003, theorem 16.7",
    )


def _stein(r: np.ndarray, alpha: float, reach: float) -> tuple[np.ndarray, float]:
    """Stein's covariance at distances ``r`` and the coefficient of its plane (his section 3)."""
    if reach == 1.0:
        beta = 0.0
        plane = alpha / 2
    else:
        beta = alpha * (2 - alpha) / (3 * reach * (reach**2 - 1))
        plane = (alpha - beta * (reach - 1) ** 2 * (reach + 2)) / 2
    constant = beta * (reach - 1) ** 3 + 1 - plane
    near = constant - r**alpha + plane * r**2
    far = beta * np.clip(reach - r, 0.0, None) ** 3 / np.maximum(r, 1.0)
    return np.asarray(np.where(r <= 1.0, near, far)), plane


def weierstrass_mandelbrot_surface(
    hurst: float, side: int = 256, rng: np.random.Generator | int = 0
) -> Fractal:
    """A sum of plane waves, ``gamma^(-H k)`` high at frequency ``gamma^k``, in random directions.

    ``z(x) = sum_k sum_m gamma^(-H k) cos(2 pi gamma^k x.e_m + phi_km)`` with gamma = 1.5, eight
    directions ``e_m`` per frequency and random phases, far beyond the frequency of the grid: a
    sum that ended there would be smooth from one cell to the next.

    Parameters
    ----------
    hurst : float
        Hurst exponent H, 0 < H < 1.
    side : int
        Values a side, over the unit square.
    rng : numpy.random.Generator or int
        Source of the phases, or a seed.

    References
    ----------
    Ausloos & Berman, Proc. R. Soc. Lond. A 400 (1985), 331-350; Hunt, Proc. Amer. Math. Soc. 126
    (1998), 791-800 (the dimension 2 - H of the random-phase curve; that of the surface, 3 - H, is
    the value generally taken).

    Examples
    --------
    >>> weierstrass_mandelbrot_surface(0.5, side=8).dimension
    2.5
    """
    _hurst(hurst)
    at_least("side", side, 2)
    rng = _generator(rng)
    gamma, directions = 1.5, 8
    k = np.arange(math.ceil(math.log(side * _BEYOND_GRID) / math.log(gamma)))[:, None]
    angles = (np.arange(directions) + rng.random(k.shape)) * math.pi / directions
    phases = rng.uniform(0.0, 2 * math.pi, angles.shape)
    at = np.linspace(0.0, 1.0, side)[:, None]
    # cos(a + b + c) is the real part of e^ia e^i(b + c): a sum of waves is a matrix product.
    wave = 2 * math.pi * gamma**k
    along_x = np.exp(1j * at * (wave * np.cos(angles)).ravel())
    along_y = np.exp(1j * (at * (wave * np.sin(angles)).ravel() + phases.ravel()))
    amplitude = np.repeat(gamma ** (-hurst * k), directions)
    heights = ((amplitude * along_x) @ along_y.T).real
    return Fractal(
        f"Weierstrass-Mandelbrot surface, H={hurst}, side {side}",
        heights,
        "graph",
        3 - hurst,
        "Ausloos & Berman, Proc. R. Soc. Lond. A 400 (1985); Hunt, Proc. AMS 126 (1998)",
    )


def takagi_surface(hurst: float, side: int = 256) -> Fractal:
    """The sum of two Takagi-Landsberg curves, one along each axis: rough, yet not random.

    ``z(x, y) = f(x) + f(y)``, ``f(x) = sum_k 2^(-H k) s(2^k x)``, ``s`` the distance to the nearest
    integer; a graph of dimension 3 - H.

    Parameters
    ----------
    hurst : float
        Hurst exponent H, 0 < H < 1.
    side : int
        Values a side, over the unit square. One more than a power of two is a bad choice: at
        multiples of 2^-m all terms from the m-th on vanish.

    References
    ----------
    Ledrappier, Contemp. Math. 135 (1992), 285-293; Allaart & Kawamura, Real Anal. Exchange 37
    (2011), 1-54.

    Examples
    --------
    >>> takagi_surface(0.7, side=5).values[:, 0].round(3)
    array([0.   , 0.558, 0.5  , 0.558, 0.   ])
    """
    _hurst(hurst)
    at_least("side", side, 2)
    x = np.linspace(0.0, 1.0, side)
    curve = np.zeros(side)
    for k in range(math.ceil(math.log2(side * _BEYOND_GRID))):
        scaled = 2.0**k * x
        curve += 2.0 ** (-hurst * k) * np.abs(scaled - np.rint(scaled))
    return Fractal(
        f"Takagi surface, H={hurst}, side {side}",
        curve[:, None] + curve,
        "graph",
        3 - hurst,
        "Allaart & Kawamura, Real Anal. Exchange 37 (2011)",
    )


def rippled_bump(side: int = 400) -> Fractal:
    """``sin(10 x) cos(10 y) exp(-x^2 - y^2)`` from -2 to 2: looks intricate, is smooth.

    Parameters
    ----------
    side : int
        Values a side.

    Examples
    --------
    >>> rippled_bump(5).dimension
    2.0
    """
    at_least("side", side, 2)
    x = np.linspace(-2.0, 2.0, side)
    wave = np.sin(10 * x[:, None]) * np.cos(10 * x)
    return Fractal(
        f"rippled bump, side {side}",
        wave * np.exp(-(x[:, None] ** 2) - x**2),
        "graph",
        2.0,
        "a smooth surface, Falconer, Fractal Geometry, 2003, section 3.1",
    )


def _sponge(name: str, levels: int, d: int) -> Fractal:
    """Keep of ``3^d`` parts those with at most one middle coordinate, again and again."""
    _check_levels(levels, 3, d)
    middle = sum(np.indices((3,) * d) == 1)
    part = np.asarray(middle) < 2
    return Fractal(
        f"{name}, {levels} levels",
        _product_pattern(part, levels),
        "set",
        math.log(part.sum()) / math.log(3),
        "self-similar, Hutchinson, Indiana Univ. Math. J. 30 (1981)",
    )


def _check_levels(levels: Any, base: int, d: int) -> None:
    """Refuse levels whose ``base^levels`` cells a side, over d axes, exceed 2^30 in all."""
    at_least("levels", levels, 1)
    most = int(math.log(_MAX_CELLS) / (d * math.log(base)) + 1e-9)
    if levels > most:
        raise ValueError(
            f"levels must be at most {most} over {d} axes, got {levels}: "
            f"the set would have more than {_MAX_CELLS} cells"
        )


def _product_pattern(part: np.ndarray, levels: int) -> np.ndarray:
    """The pattern put into each of its own cells, ``levels - 1`` times."""
    values = part
    for _ in range(levels - 1):
        values = np.kron(values, part)
    return values


def _cell_centres(x: tuple[float, float], y: tuple[float, float], side: int) -> np.ndarray:
    """Centres of the cells of a rectangle of the complex plane, shape (side, side)."""
    at = (np.arange(side) + 0.5) / side
    real, imag = x[0] + (x[1] - x[0]) * at, y[0] + (y[1] - y[0]) * at
    return np.asarray(real[:, None] + 1j * imag)


def _stays(z: np.ndarray, c: np.ndarray, iterations: int) -> np.ndarray:
    """Which points stay bounded under ``z -> z^2 + c``; those that left are iterated no more."""
    inside = np.zeros(z.size, bool)
    alive = np.arange(z.size)
    for _ in range(iterations):
        z = z * z + c
        stays = z.real**2 + z.imag**2 <= 4
        z, c, alive = z[stays], c[stays], alive[stays]
    inside[alive] = True
    return inside


def at_least(name: str, number: Any, low: int) -> None:
    """Refuse what is no integer or too small, naming the parameter."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {number!r}")
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {number}")


def _generator(rng: Any) -> np.random.Generator:
    if isinstance(rng, np.random.Generator):
        return rng
    at_least("rng", rng, 0)
    return np.random.default_rng(rng)


def _hurst(hurst: Any) -> None:
    if isinstance(hurst, bool) or not isinstance(hurst, float | int | np.number):
        raise TypeError(f"hurst must be a number, got {hurst!r}")
    if not 0 < hurst < 1:
        raise ValueError(f"hurst must lie between 0 and 1, got {hurst}")
