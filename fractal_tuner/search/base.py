"""What every search is: ask and tell by trial id, a budget, a log, reasons to stop."""

from __future__ import annotations

import math
import numbers
import operator
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from fractal_tuner.space import Key, SearchSpace, as_space
from fractal_tuner.trials import Trial, TrialLog, Window

if TYPE_CHECKING:
    from fractal_tuner.report.report import Report

StopReason = Literal[
    "budget",
    "time",
    "target",
    "space exhausted",
    "grid complete",
    "expected improvement below tolerance",
]


class Search(ABC):
    """Ask for trials, tell their scores; all state is in the trials.

    The next proposal is a pure function of the space, the options, the seed, the told trials in
    order, the pending ones and what is expected of these. A search with a journal therefore
    continues after a crash as if nothing had happened: trials which nobody told are handed out
    again, first and under their old ids. A ``with`` statement closes the journal at its end.

    Attributes
    ----------
    space : SearchSpace
    trials : TrialLog
        All trials in the order of asking.
    max_trials : int or None
        How many trials may be asked.
    stop_reason : str or None
        "budget", "time", "target", "space exhausted", "grid complete" or "expected improvement
        below tolerance" once nothing more will be proposed.
    """

    # What may change when a journal is continued.
    _limits: ClassVar[tuple[str, ...]] = ("max_trials", "max_time", "target_score")

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        max_trials: int | None,
        options: Mapping[str, Any],
        journal: str | os.PathLike[str] | None,
        fingerprint: Mapping[str, Any] | None,
        max_time: float | None,
        target_score: float | None,
    ) -> None:
        self.space = as_space(space)
        self.max_trials = None if max_trials is None else at_least_one("max_trials", max_trials)
        self.max_time = None if max_time is None else _number("max_time", max_time)
        if self.max_time is not None and self.max_time <= 0:
            raise ValueError(f"max_time must be a positive number of seconds, got {max_time!r}")
        self.target_score = None if target_score is None else _number("target_score", target_score)
        if fingerprint is not None and not isinstance(fingerprint, Mapping):
            raise TypeError(f"fingerprint must be a mapping, got {fingerprint!r}")
        header = {
            "strategy": type(self).__name__,
            **options,
            "fingerprint": dict(fingerprint or {}),
        }
        budget = {name: getattr(self, name) for name in self._limits}
        self.trials = TrialLog(self.space, journal, header=header, budget=budget)
        self._orphans = self.trials.pending
        self._keys = {trial.key for trial in self.trials}
        self._expected: dict[int, float] = {}
        self._best: Trial | None = None
        self._deadline: float | None = None
        self.stop_reason: StopReason | None = None

    def ask(self, n: int = 1) -> list[Trial]:
        """Up to ``n`` trials to evaluate.

        Fewer are returned, perhaps none, when the search must wait for running trials or has come
        to its end; ``finished`` tells which. In a continued search the trials that were running
        when it broke come first, alone.

        Raises
        ------
        TypeError, ValueError
            If ``n`` is not an integer of at least 1.
        OSError
            If the journal cannot be written. What was proposed before is handed out by the next
            call.
        """
        n = at_least_one("n", n)
        if self.max_time is not None and self._deadline is None:
            self._deadline = time.monotonic() + self.max_time
        if self._orphans:
            handed, self._orphans = self._orphans[:n], self._orphans[n:]
            return handed
        first = len(self.trials)
        try:
            return self.trials.add_all(self._proposals(n))
        except BaseException:
            self._orphans = [trial for trial in self.trials.pending if trial.id >= first]
            self._keys = {trial.key for trial in self.trials}
            self._rewind()
            raise

    def _proposals(self, n: int) -> Iterator[tuple[Key, Window]]:
        """Up to ``n`` proposals; each one must be among the running trials before the next."""
        while n > 0 and self._reason() is None and not self._awaits_target():
            proposal = self._propose()
            if proposal is None:
                self._reason()  # that there was nothing to propose may be one
                return
            self._keys.add(proposal[0])
            yield proposal
            n -= 1

    def _awaits_target(self) -> bool:
        """Whether a running trial is expected to end the search."""
        target = self.target_score
        return target is not None and any(score >= target for score in self._expected.values())

    def add(self, params: Mapping[str, Any], *, window: Window | None = None) -> Trial:
        """Register a candidate chosen elsewhere as a running trial, to be told like any other.

        It counts in the budget.

        Parameters
        ----------
        params : mapping
            The active parameters of one candidate.
        window : Window, optional
            Where the search was looking that proposed it, for a front end which replays a search
            from the trials its host has kept. The whole space by default.

        Raises
        ------
        ValueError
            If the parameters are not a candidate of the space.
        """
        key = self.space.key(params)
        trial = self.trials.add(key, window or Window.whole(len(self.space)))
        self._keys.add(key)
        self.stop_reason = None  # it may open a grid again that was complete
        return trial

    def enqueue(self, candidates: Iterable[Mapping[str, Any]]) -> list[Trial]:
        """Have candidates evaluated before any other is proposed.

        They count in the budget; those beyond it, and those that were asked before, are left out.
        The next calls of :meth:`ask` hand them out.

        Parameters
        ----------
        candidates : iterable of mapping
            The active parameters of each.

        Returns
        -------
        list of Trial
            Running trials of those that were new.

        Raises
        ------
        ValueError
            If one is not a candidate of the space; none is then enqueued.
        """
        keys = dict.fromkeys(self.space.key(params) for params in candidates)
        new = [key for key in keys if key not in self._keys]
        if self.max_trials is not None:
            new = new[: max(self.max_trials - len(self.trials), 0)]
        whole = Window.whole(len(self.space))
        trials = self.trials.add_all((key, whole) for key in new)
        self._keys |= set(new)
        self._orphans += trials
        self._rewind()  # where to zoom may have been decided when somebody only asked for the end
        self.stop_reason = None
        return trials

    def expect(self, trial_id: int, score: float) -> None:
        """Say what the score of a running trial will be, as far as is known: from some folds, say.

        The next proposals take it for true until the trial is told; if it reaches ``target_score``,
        there are none. It is not recorded: who continues a search from its journal says it again.

        Parameters
        ----------
        trial_id : int
            ``trial.id``.
        score : float
            Larger is better. With NaN or an infinity nothing is expected.

        Raises
        ------
        TypeError
            If the score is not a number.
        ValueError
            If no trial of that id is running.
        """
        score = _number(f"the score expected of trial {trial_id}", score, True)
        trial = self.trials.running(trial_id)
        self._expected[trial.id] = score if math.isfinite(score) else math.nan

    def tell(
        self,
        trial_id: int,
        score: float | None = None,
        *,
        error: str | None = None,
        folds: Sequence[float] = (),
        details: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Report the score of a running trial, or that it failed; in any order.

        Parameters
        ----------
        trial_id : int
            ``trial.id``.
        score : float or None
            Larger is better. None, NaN and infinities are recorded as a failure.
        error : str, optional
            Why the trial failed.
        folds : sequence of float, optional
            Scores of single folds or repeats.
        details : mapping, optional
            Plain JSON to be kept with the trial.

        Raises
        ------
        TypeError
            If the score or a fold's is not a number, the error no string, or the details are no
            mapping of plain JSON.
        ValueError
            If no trial of that id is running.
        OSError
            If the journal cannot be written; the trial is then still running.
        """
        if error is None and score is None:
            error = "no score was given"
        if error is not None and not isinstance(error, str):
            raise TypeError(f"the error of trial {trial_id} must be a string, got {error!r}")
        if not isinstance(folds, Iterable):
            raise TypeError(f"the folds of trial {trial_id} must be a sequence, got {folds!r}")
        if details is not None and not isinstance(details, Mapping):
            raise TypeError(f"the details of trial {trial_id} must be a mapping, got {details!r}")
        trial = self.trials.finish(
            trial_id,
            math.nan if score is None else _number(f"the score of trial {trial_id}", score, True),
            folds=[_number(f"a fold's score of trial {trial_id}", s, True) for s in folds],
            error=error,
            details=details,
        )
        self._orphans = [t for t in self._orphans if t.id != trial_id]
        self._expected.pop(trial_id, None)
        self._learn(trial)
        return trial

    def run(self, function: Callable[..., float], *, n_trials: int | None = None) -> Trial:
        """Evaluate ``function(**params)`` until the search is finished, and return the best trial.

        A function that raises makes a failed trial; the search goes on. A keyboard interrupt ends
        it; the trial that ran is the first one when it is run again.

        The journal is closed when the search is finished. A progress bar is shown on stderr while
        that is a terminal.

        Parameters
        ----------
        function : callable
            Returns the score, larger is better.
        n_trials : int, optional
            Stop after so many evaluations, even if the search is not finished.

        Raises
        ------
        RuntimeError
            If all trials failed; the message holds the failures.
        TypeError
            If the function returns no number.
        """
        from fractal_tuner.progress import progress

        most = math.inf if n_trials is None else at_least_one("n_trials", n_trials)
        if self.max_trials is not None:
            most = min(most, self.max_trials - len(self.trials.told))

        def asked() -> Iterator[Trial]:
            n = 0
            while n < most and (batch := self.ask()):
                n += 1
                yield batch[0]

        total = None if most == math.inf else max(int(most), 0)
        for trial in progress(asked(), "evaluating", total):
            self._evaluate(function, trial)
        if self.finished:
            self.close()
        return self.best_trial

    def _evaluate(self, function: Callable[..., float], trial: Trial) -> None:
        try:
            try:
                score = function(**trial.params)
            except Exception as error:
                self.tell(trial.id, error=f"{type(error).__name__}: {error}")
            else:
                self.tell(trial.id, score)
        except BaseException:
            if trial.status == "running":
                self._orphans.insert(0, trial)
            raise

    @property
    def finished(self) -> bool:
        """Whether nothing more will be proposed and no trial is running."""
        return not self.trials.pending and self._reason() is not None

    @property
    def best_trial(self) -> Trial:
        """The recommended trial; never a failed one.

        Raises
        ------
        RuntimeError
            If no trial is complete; when all failed, the message holds the failures.
        """
        if self._best is None:
            raise RuntimeError(self._no_success())
        return self._recommend()

    def report(self, **options: Any) -> Report:
        """What was found, how far to trust it, and what to do next.

        Parameters
        ----------
        **options
            As in :func:`fractal_tuner.report.report.analyze`, for instance ``dims``.
        """
        from fractal_tuner.report.report import analyze

        return analyze(self, **options)

    def close(self) -> None:
        """Give the journal back, so that another process may continue it."""
        self.trials.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _replay(self) -> None:
        """Learn from the trials of a continued journal; subclasses call it when they are ready."""
        for trial in self.trials.told:
            self._learn(trial)

    def _rewind(self) -> None:  # noqa: B027 (most searches remember nothing but trials)
        """Forget what is not said by the trials, as proposals that did not become some."""

    def _learn(self, trial: Trial) -> None:
        """Take a told trial into account; called once for each, in the order of telling."""
        if trial.status == "complete" and (
            self._best is None or (trial.score, -trial.id) > (self._best.score, -self._best.id)
        ):
            self._best = trial

    def _recommend(self) -> Trial:
        """The best observed trial, the earliest of equals."""
        assert self._best is not None
        return self._best

    def _reason(self) -> StopReason | None:
        """The reason to propose no more, kept once found."""
        if self.stop_reason is not None:
            return self.stop_reason
        if self.target_score is not None and self._best and self._best.score >= self.target_score:
            self.stop_reason = "target"
        elif self._deadline is not None and time.monotonic() >= self._deadline:
            self.stop_reason = "time"
        elif (end := self._end()) is not None:
            self.stop_reason = end
        elif self.max_trials is not None and len(self.trials) >= self.max_trials:
            self.stop_reason = "budget"
        return self.stop_reason

    def _no_success(self) -> str:
        told = self.trials.told
        if not told:
            return "no trial has been told yet"
        reasons: dict[str, int] = {}
        for trial in told:
            reasons[str(trial.error)] = reasons.get(str(trial.error), 0) + 1
        listed = "; ".join(f"{error} ({n} times)" for error, n in list(reasons.items())[:5])
        more = f"; and {len(reasons) - 5} other errors" if len(reasons) > 5 else ""
        return f"all {len(told)} trials failed: {listed}{more}"

    @abstractmethod
    def _propose(self) -> tuple[Key, Window] | None:
        """A key and its window; None while only a running trial can tell more.

        The key was never asked, unless the search wants to measure noise.
        """

    @abstractmethod
    def _end(self) -> StopReason | None:
        """The reason if no candidate is left that is worth a trial, now or later."""


def at_least_one(name: str, value: Any) -> int:
    """``value`` as an int; TypeError or ValueError, naming the parameter, if it is no count."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, got {number}")
    return number


def _number(name: str, value: Any, may_be_nan: bool = False) -> float:
    """``value`` as a float; TypeError or ValueError, naming the parameter, if it is none."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # arrays of no dimension, of numpy and others
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the largest float
        number = math.inf
    if math.isnan(number) and not may_be_nan:
        raise ValueError(f"{name} must be a number, got {value!r}")
    return number
