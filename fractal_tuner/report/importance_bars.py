"""ImportanceDisplay: which dimensions the scores depend on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner import words
from fractal_tuner.report.display import Display
from fractal_tuner.report.drawing import (
    COLOR,
    FOREGROUND,
    GRID,
    legend_above,
    plain,
    say_instead,
    short,
)
from fractal_tuner.trials import TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fractal_tuner.analysis.importance import Importance

_MOST_DIMS, _MOST_PAIRS = 12, 3
_LEAST_PAIR = 0.02


class ImportanceDisplay(Display):
    """Shares of the scores' variance that each dimension and the largest pairs explain.

    Full bars are what a dimension does by itself, hatched ones what it does together with others;
    lines are 95 % intervals of the sum. Below are the pairs with the largest shares of their own.

    Make one with :meth:`from_search`, :meth:`from_record`, :meth:`from_trials`, or of a result.

    Parameters
    ----------
    found : Importance
        See :func:`fractal_tuner.importance`. Where it abstains, its reason is drawn.

    Attributes
    ----------
    names : list of str
        Dimensions and pairs, in the order of the bars.
    main : ndarray of float, shape (n_names,)
        Shares by themselves; of a pair its own.
    total, low, high : ndarray of float, shape (n_names,)
        Shares with all interactions, and their intervals; of a pair its own.

    Examples
    --------
    >>> from fractal_tuner import Landscape, importance
    >>> u = np.random.default_rng(0).random((60, 3))
    >>> display = ImportanceDisplay(importance(Landscape.from_points(u, u[:, 0] + 2 * u[:, 1])))
    >>> display.names[:2], bool(display.main[0] > 0.7)
    (['x1', 'x0'], True)
    """

    title = "Importance of the dimensions"

    def __init__(self, found: Importance) -> None:
        self.found = found
        ranked = sorted(found.total, key=lambda name: -found.total[name].value)[:_MOST_DIMS]
        pairs = [pair for pair, share in found.pairs.items() if share.value >= _LEAST_PAIR][
            :_MOST_PAIRS
        ]
        shares = [found.total[name] for name in ranked] + [found.pairs[pair] for pair in pairs]
        self.names = ranked + [f"{a} with {b}" for a, b in pairs]
        self._labels = [short(name) for name in ranked]
        self._labels += [f"{short(a, 14)} with {short(b, 14)}" for a, b in pairs]
        self._is_pair = np.arange(len(shares)) >= len(ranked)
        alone = [found.main[name] for name in ranked] + shares[len(ranked) :]
        self.main = np.array([share.value for share in alone])
        self.total = np.array([share.value for share in shares])
        self.low = np.array([share.low for share in shares])
        self.high = np.array([share.high for share in shares])
        self.size = (7.0, 1.3 + 0.36 * max(len(shares), 4))
        self.description = self._describe()

    @classmethod
    def from_trials(
        cls, trials: TrialLog, *, best: int | None = None, score_name: str = "score"
    ) -> Self:
        from fractal_tuner.analysis.importance import importance

        return cls(importance(trials))

    def table(self) -> list[dict[str, Any]]:
        """Names with their shares and intervals."""
        columns = zip(self.names, self.main, self.total, self.low, self.high, strict=True)
        head = ("dimension or pair", "by itself", "in total", "low", "high")
        return [dict(zip(head, map(plain, row), strict=True)) for row in columns]

    def _describe(self) -> str:
        if self.found.reason is not None:
            return f"No importance can be told: {self.found.reason}."
        dims = ~self._is_pair
        parts = [
            f"{words.clean(name)} {words.share(share)} ({words.share(low)} to {words.share(high)})"
            for name, share, low, high in zip(
                np.array(self.names, dtype=object)[dims][:4],
                self.total[dims],
                self.low[dims],
                self.high[dims],
                strict=False,
            )
        ]
        return (
            f"Share of the scores' variance with all interactions: {words.listing(parts)}. The "
            f"emulator explains {words.share(max(self.found.quality, 0.0))} of the variance of "
            f"scores that it did not see, of {words.count(self.found.n, 'trial')}."
        )

    def _draw(self, ax: Axes) -> None:
        if self.found.reason is not None:
            say_instead(ax, f"no importance: {self.found.reason}")
            return
        y = np.arange(len(self.names), dtype=float) + 0.5 * self._is_pair
        style: dict[str, Any] = {"edgecolor": FOREGROUND, "linewidth": 0.6, "height": 0.62}
        dims = ~self._is_pair
        main = np.minimum(self.main, self.total)
        ax.barh(y[dims], main[dims], color=COLOR, label="by itself", **style)
        together = {"left": main[dims], "color": GRID, "hatch": "////"}
        rest = (self.total - main)[dims]
        ax.barh(y[dims], rest, label="together with others", **together, **style)
        if self._is_pair.any():
            pairs = self._is_pair
            ax.barh(y[pairs], self.total[pairs], color=GRID, hatch="////", **style)
        ends = np.maximum([self.total - self.low, self.high - self.total], 0.0)
        error: dict[str, Any] = {"fmt": "none", "ecolor": FOREGROUND, "elinewidth": 1.2}
        ax.errorbar(self.total, y, xerr=ends, capsize=3, label="95 % interval", **error)
        ax.set_yticks(y, self._labels)
        ax.invert_yaxis()
        ax.set_xlim(0.0, 1.0)
        ax.set_xlabel("share of the scores' variance over the space", loc="right")
        ax.grid(axis="x")
        n_dims = len(self.found.total)
        note = f"{_MOST_DIMS} of {n_dims} dimensions" if n_dims > _MOST_DIMS else ""
        if math.isfinite(self.found.quality) and self.found.quality < 0.9:
            quality = words.share(max(self.found.quality, 0.0))
            note += ("; " if note else "") + f"the emulator explains {quality} of unseen scores"
        legend_above(ax, note, n_columns=3)
