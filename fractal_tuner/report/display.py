"""Display: what all displays have in common; and the told trials as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fractal_tuner.readers.record import outcome
from fractal_tuner.report.drawing import axes_of, best_of, styled
from fractal_tuner.report.scales import Scale
from fractal_tuner.trials import Trial, TrialLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fractal_tuner.dimensions import Dimension
    from fractal_tuner.readers import Record
    from fractal_tuner.space import SearchSpace


class Display(ABC):
    """A picture of a search: computed when it is made, drawn by :meth:`plot` as often as wanted.

    Attributes
    ----------
    title : str
        What the picture shows, in a few words.
    description : str
        What there is to see, in a sentence or two with the numbers.
    ax_ : matplotlib Axes
        Set by :meth:`plot`, like ``figure_``.
    figure_ : matplotlib Figure
    """

    title: str
    description: str
    size: tuple[float, float] = (7.0, 4.2)  # of a new figure, in inches

    @classmethod
    @abstractmethod
    def from_trials(
        cls, trials: TrialLog, *, best: int | None = None, score_name: str = "score"
    ) -> Self:
        """The display of trials.

        Parameters
        ----------
        trials : TrialLog
        best : int, optional
            Id of the trial to mark; without it, that of the highest score.
        score_name : str, default="score"
            What the scores are called.
        """

    @classmethod
    def from_record(cls, record: Record, **options: Any) -> Self:
        """The display of what was recorded of a search.

        Parameters
        ----------
        record : Record
        **options
            As in :meth:`from_trials`; the record knows ``best`` and ``score_name`` itself.
        """
        known = {"best": record.best, "score_name": record.score_name}
        return cls.from_trials(record.trials, **(known | options))

    @classmethod
    def from_search(cls, search: Any, **options: Any) -> Self:
        """The display of anything that :func:`fractal_tuner.readers.read` reads.

        Parameters
        ----------
        search : object or path
            For instance a search of this package, a fitted search of scikit-learn, a tuner of
            Keras Tuner, a study of Optuna, a journal, a table.
        **options
            As in :meth:`from_trials`.

        Raises
        ------
        TypeError
            If it holds no trials, for instance because it is not fitted.
        """
        from fractal_tuner.readers import read

        return cls.from_record(read(search), **options)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without it, on a new figure.
        """
        with styled():
            self.ax_, self.figure_ = axes_of(ax, self.size)
            self._draw(self.ax_)
        return self

    ax_: Axes
    figure_: Figure

    @abstractmethod
    def _draw(self, ax: Axes) -> None:
        """Draw on axes that are there."""

    @abstractmethod
    def table(self) -> list[dict[str, Any]]:
        """The numbers behind the picture, some hundred rows at most."""


@dataclass(frozen=True, eq=False)
class Told:
    """Told trials, complete and failed, as arrays.

    Attributes
    ----------
    names : tuple of str
        Dimensions that are looked at.
    scales : tuple of Scale
        Theirs.
    parameters : tuple of int
        Theirs, as positions in the space.
    unit : ndarray of float, shape (n_trials, n_names)
        Unit coordinates; NaN where a dimension is inactive.
    score : ndarray of float, shape (n_trials,)
        NaN where a trial failed or was pruned.
    pruned : ndarray of bool, shape (n_trials,)
        Which trials their tool stopped before their end.
    trial : ndarray of int, shape (n_trials,)
        Numbers of the trials, counted from 1.
    best : int or None
        Number of the trial to mark.
    """

    names: tuple[str, ...]
    scales: tuple[Scale, ...]
    parameters: tuple[int, ...]
    unit: np.ndarray
    score: np.ndarray
    pruned: np.ndarray
    trial: np.ndarray
    best: int | None

    @classmethod
    def of_most(
        cls, trials: TrialLog, dims: Sequence[str] | None, most: int, *, best: int | None
    ) -> tuple[Self, int]:
        """As :meth:`of`, with the first ``most`` dimensions unless chosen; and their number."""
        told = cls.of(trials, dims, best=best)
        n_dims = len(told.names)
        if dims is None and n_dims > most:
            told = cls.of(trials, told.names[:most], best=best)
        return told, n_dims

    @classmethod
    def of(
        cls,
        trials: TrialLog,
        dims: Sequence[str] | None = None,
        *,
        best: int | None = None,
        constant: bool = False,
    ) -> Self:
        """The told trials of a log.

        Parameters
        ----------
        trials : TrialLog
        dims : sequence of str or None
            All dimensions of the space if None; those with a single value only if ``constant``.
        best : int or None
            Id of the trial to mark; None for that of the highest score.

        Raises
        ------
        ValueError
            If a dimension is unknown or named twice.
        """
        told = [t for t in trials if t.status != "running"]
        marked = marked_of(told, best)
        places = parameters_by_name(trials.space, marked)
        if dims is None:
            single = {n for n, i in places.items() if _dimension(trials.space, i).n_values == 1}
            dims = [n for n in trials.space.names if constant or n not in single]
        if len(set(dims)) < len(dims) or set(dims) - set(places):
            raise ValueError(
                f"dims must be different names of {list(trials.space.names)}, got {list(dims)}"
            )
        chosen = [places[name] for name in dims]
        units = np.array([trials.space.unit(t.key)[chosen] for t in told], dtype=float)
        return cls(
            tuple(dims),
            tuple(Scale(_dimension(trials.space, i)) for i in chosen),
            tuple(chosen),
            units.reshape(len(told), len(chosen)),
            np.array([t.score for t in told], dtype=float),
            np.array([outcome(t) == "pruned" for t in told], dtype=bool),
            np.array([t.id + 1 for t in told], dtype=int),
            None if marked is None else marked.id + 1,
        )


def marked_of(told: Sequence[Trial], best: int | None) -> Trial | None:
    """The trial of an id, or that of the highest score."""
    return best_of(told if best is None else [t for t in told if t.id == best])


def parameters_by_name(space: SearchSpace, best: Trial | None) -> dict[str, int]:
    """Positions of the parameters; of a name that stands for several, that of the best trial."""
    used = [i for i in range(len(space)) if best is not None and best.key[i] is not None]
    places = {p.name: i for i, p in reversed(list(enumerate(space.parameters)))}
    places |= {space.parameters[i].name: i for i in used}
    return {name: places[name] for name in space.names}


def two_dimensions(space: SearchSpace, best: Trial | None, *, scaled: bool = False) -> list[str]:
    """Names of up to two dimensions to look at.

    Those that the best trial uses, numbers first, then categories, then dimensions with a single
    value; with ``scaled`` numbers alone.
    """
    places = parameters_by_name(space, best)
    used = [name for name, i in places.items() if best is None or best.key[i] is not None]
    ranks = {name: _rank(_dimension(space, places[name])) for name in used or places}
    if scaled:
        ranks = {name: rank for name, rank in ranks.items() if rank == 0}
    chosen = sorted(ranks, key=lambda name: ranks[name])[:2]  # stable
    return [name for name in space.names if name in chosen]


def _dimension(space: SearchSpace, index: int) -> Dimension:
    return space.parameters[index].dimension


def _rank(dimension: Dimension) -> int:
    return 2 if dimension.n_values == 1 else int(dimension.is_categorical)
