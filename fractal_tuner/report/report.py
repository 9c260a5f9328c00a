"""analyze: what a search found, how far to trust it, and what to do next."""

from __future__ import annotations

import io
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fractal_tuner import words
from fractal_tuner.analysis.estimate import Estimate
from fractal_tuner.readers import Record, read
from fractal_tuner.readers.record import outcome, standard_error
from fractal_tuner.readers.tables import write_csv
from fractal_tuner.report.drawing import best_of
from fractal_tuner.report.findings import findings_of, landscape_of
from fractal_tuner.report.rules import Caution, cautions
from fractal_tuner.trials import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fractal_tuner.landscape import Landscape

_ENDINGS = {
    "budget": "The search ended because its budget of trials was spent.",
    "time": "The search ended because its time was over.",
    "target": "The search ended because it reached its target score.",
    "space exhausted": "The search ended because every candidate had been evaluated.",
    "grid complete": "The search ended because its grids were complete.",
}
_WORST_NAME = 200


def analyze(
    source: Any, *, dims: Sequence[str] | None = None, seed: int = 0, **read_options: Any
) -> Report:
    """What a search found, how far to trust it, and what to do next.

    Parameters
    ----------
    source : object or path
        A search of this package or of scikit-learn, a tuner of Keras Tuner or its project folder,
        a study of Optuna or its file, a journal, a table, ...: anything that
        :func:`fractal_tuner.readers.read` takes.
    dims : sequence of str, optional
        One or two dimensions to draw the landscape over. By default the two that matter most, as
        far as that is known.
    seed : int, default=0
        Of the analyzers' random choices.
    **read_options
        ``space``, ``score``, ``maximize``: see :func:`fractal_tuner.readers.read`.

    Returns
    -------
    Report

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        If the source cannot be read, ``dims`` are not one or two of its dimensions, or ``seed`` is
        no integer of at least 0.

    Examples
    --------
    >>> from fractal_tuner import Real, ZoomSearch
    >>> search = ZoomSearch({"x": Real(-1, 1)}, max_trials=12, seed=0)
    >>> _ = search.run(lambda x: 1 - x * x)
    >>> analyze(search).answer
    'The best of 12 trials is trial 1 with score 1, at x = 0.'
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
    record = read(source, **read_options)
    if dims is not None:
        names = list(record.trials.space.names)
        dims = (dims,) if isinstance(dims, str) or not isinstance(dims, Sequence) else tuple(dims)
        if not 1 <= len(set(dims)) == len(dims) <= 2 or not set(dims) <= set(names):
            raise ValueError(f"dims must be one or two different names of {names}, got {dims!r}")
    chosen = next((t for t in record.trials if t.id == record.best), None)
    landscape = landscape_of(record.trials, chosen or best_of(record.trials))
    found = findings_of(record, landscape, seed)
    return Report(record, found, dims or foremost(record, found, 2), landscape, seed)


@dataclass(frozen=True)
class Report:
    """What a search found, how far to trust it, and what to do next.

    Made by :func:`analyze`.

    Attributes
    ----------
    record : Record
        The trials, and where they come from.
    findings : dict of str to object
        What each analyzer found, by the analyzer's name; those with a ``reason`` found nothing.
    dims : tuple of str
        The one or two dimensions that the landscape is drawn over.
    landscape : Landscape or None
        The scores over all dimensions that have a scale and were varied, for the best trial's
        choices without an order; None if there are none.
    seed : int
    """

    record: Record
    findings: dict[str, Any] = field(repr=False)
    dims: tuple[str, ...]
    landscape: Landscape | None = field(repr=False, default=None)
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions of the search space."""
        return self.record.trials.space.names

    @cached_property
    def complete(self) -> list[Trial]:
        """Trials with a score."""
        return [t for t in self.record.trials if t.status == "complete"]

    @cached_property
    def failed(self) -> list[Trial]:
        """Trials that failed; not those that were pruned."""
        return [t for t in self.record.trials if outcome(t) == "failed"]

    @cached_property
    def pruned(self) -> list[Trial]:
        """Trials that their tool stopped before their end."""
        return [t for t in self.record.trials if outcome(t) == "pruned"]

    @cached_property
    def errors(self) -> list[tuple[str, int]]:
        """Why trials failed, in a line each, and how often; the most frequent first.

        Those of which a tool only says that they failed are left out.
        """
        last = (str(t.error or "").strip().split("\n")[-1] for t in self.failed)
        counted = Counter(words.clean(line, _WORST_NAME) for line in last if line != "failed")
        return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))

    @cached_property
    def _are_alike(self) -> bool:
        """Whether several trials have one score."""
        return len({t.score for t in self.complete}) == 1 < len(self.complete)

    @cached_property
    def best(self) -> Trial | None:
        """The trial that the tool chose; that of the highest score if it did not choose."""
        chosen = [t for t in self.complete if t.id == self.record.best]
        return chosen[0] if chosen else best_of(self.complete)

    @cached_property
    def standard_error(self) -> float:
        """Of the best trial's score: the noise that all trials show, else that of its folds.

        A few folds alone may agree by chance, and would claim a precision that is not there.
        """
        if self.best is None:
            return math.nan
        noise = self.findings["noise_share"]
        return noise.sd if noise.reason is None else standard_error(self.best.folds)

    def say(self, score: float) -> str:
        """A score, with as many digits as its doubt allows."""
        return words.score(score, self.standard_error)

    @cached_property
    def answer(self) -> str:
        """What was found, in a sentence."""
        n = len(self.record.trials)
        if self.best is None:
            return (
                f"None of {words.count(n, 'trial')} has a score." if n else "There are no trials."
            )
        doubt = self.standard_error
        score = f"{words.clean(self.record.score_name)} {self.say(self.best.score)}"
        score += f" ± {words.number(doubt, 2)}" if doubt > 0 else ""
        if self._are_alike:
            n = len(self.complete)
            return f"The {n:,} scored trials all have {score}: none is better than another."
        place = f", at {words.params(self.best.params)}." if self.best.params else "."
        if n == 1:
            return f"The only trial has {score}{place}"
        return f"The best of {n:,} trials is trial {self.best.id + 1} with {score}{place}"

    @cached_property
    def trust(self) -> tuple[str, ...]:
        """How far to trust it, in sentences."""
        if self.best is None:
            return tuple(self._how_it_went())
        if len(self.complete) == 1:
            one = "A single score tells nothing of its noise, nor of what better scores there are."
            return (one, *self._how_it_went())
        return (
            self._about_noise(),
            *self._about_ties(),
            *self._about_choice(),
            *self._about_luck(),
            *self._about_edges(),
            *self._how_it_went(),
        )

    def _about_noise(self) -> str:
        noise = self.findings["noise_share"]
        if noise.reason is not None:
            own = " ± is the standard error of the best trial's own folds."
            return f"The noise of a score is unknown: {words.reason(noise.reason)}." + (
                own if self.standard_error > 0 else ""
            )
        source = {
            "folds": "the folds of all trials",
            "repeats": "repeats",
            "field": "neighbouring trials",
        }
        if noise.sd == 0:
            return f"No noise was seen in the scores (as judged by {source[noise.source]})."
        return (
            f"± is one standard error of a score, {words.number(noise.sd, 2)} as judged by "
            f"{source[noise.source]}; this noise is {words.share(min(noise.value, 1.0))} of the "
            "variance between trials."
        )

    def _about_ties(self) -> list[str]:
        tied = self.findings["indistinguishable"]
        if self._are_alike:
            return []
        if tied.reason is not None:
            why = words.reason(tied.reason)
            return [f"Which trials are as good as the best cannot be told: {why}."]
        n = len(tied.trials) - 1
        if n <= 0:
            return ["No other trial may be as good (95 % confidence)."]
        verb = "is" if n == 1 else "are"
        return [f"{words.count(n, 'other trial')} {verb} perhaps as good (95 % confidence)."]

    def _about_choice(self) -> list[str]:
        highest, best = best_of(self.complete), self.best
        if highest is None or best is None or not highest.score > best.score:
            return []
        return [
            f"Trial {highest.id + 1} has a higher score, by "
            f"{words.number(highest.score - best.score, 2)}; the search chose trial {best.id + 1}."
        ]

    def _about_luck(self) -> list[str]:
        corrected = self.findings["corrected_best"]
        if corrected.reason is not None or not corrected.optimism > 0:
            return []
        low, high = self.say(corrected.low), self.say(corrected.high)
        return [
            f"Without the luck of having been chosen, the best score is about "
            f"{self.say(corrected.value)} (95 % interval {low} to {high})."
        ]

    def _about_edges(self) -> list[str]:
        edges = self.findings["domain_edges"]
        if edges.reason is not None:
            return []
        if not edges.edges:
            return ["The best trial lies inside the search space, at no dimension's end."]
        trend = {
            True: "scores grow towards it",
            False: "scores fall towards it",
            None: "whether scores grow towards it is unclear",
        }
        places = words.listing(
            (
                f"{'on' if e.is_on else 'next to'} the {e.side} end of {words.clean(e.name, 40)} "
                f"({trend[e.points_outward]})"
                for e in edges.edges
            ),
            6,
        )
        return [f"The best trial lies at the edge of the search space: {places}."]

    def _how_it_went(self) -> list[str]:
        log = self.record.trials
        said = []
        if self.failed:
            said.append(f"{len(self.failed):,} of {words.count(len(log), 'trial')} failed.")
        if self.pruned:
            said.append(
                f"{len(self.pruned):,} of {words.count(len(log), 'trial')} "
                f"{'was' if len(self.pruned) == 1 else 'were'} pruned: stopped early, without a "
                "score of a whole trial."
            )
        if self.record.stop_reason is not None:
            reason = self.record.stop_reason
            other = f"The search ended: {words.clean(reason, _WORST_NAME)}."
            said.append(_ENDINGS.get(reason, other))
        elif running := len(log) - len(log.told):
            said.append(f"The search had not ended: {words.count(running, 'trial')} still ran.")
        elif len(log):
            said.append("Why the search ended was not recorded.")
        return said

    @cached_property
    def cautions(self) -> tuple[Caution, ...]:
        """All that the rules found: warnings and hints."""
        return cautions(self)

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """What limits the worth of the answer, the most serious first."""
        return tuple(c for c in self.cautions if c.kind == "warning")

    @property
    def hints(self) -> tuple[Caution, ...]:
        """What saves time or trials."""
        return tuple(c for c in self.cautions if c.kind == "hint")

    @property
    def notes(self) -> tuple[str, ...]:
        """What was lost, guessed or mended while reading, as sentences in one line."""
        return tuple(words.sentence(words.clean(n, 400)) for n in self.record.notes)

    @property
    def source(self) -> str:
        """Where the trials come from, how many they are, and how long they took."""
        log = self.record.trials
        said = f"{words.clean(self.record.tool)}: {words.count(len(log), 'trial')} of "
        said += words.count(len(self.names), "parameter")
        starts = [t.started for t in log if t.started is not None]
        ends = [t.ended for t in log if t.ended is not None]
        if starts and ends and max(ends) >= min(starts):
            said += f" in {words.duration(max(ends) - min(starts))}"
        return said + "."

    @cached_property
    def next_steps(self) -> tuple[str, ...]:
        """What to do next, the most urgent first."""
        steps = [c.advice for c in self.cautions]
        if self.best is not None and not self._are_alike:
            steps.append(
                f"Fit the model with the parameters of trial {self.best.id + 1}, and check its "
                "score on data that the search has not seen."
            )
        return tuple(dict.fromkeys(steps))

    def to_dict(self) -> dict[str, Any]:
        """All of it but the trials, as plain JSON: what is unknown is None, with its reason."""
        best = self.best
        return {
            "tool": self.record.tool,
            "score_name": self.record.score_name,
            "answer": self.answer,
            "trust": list(self.trust),
            "next_steps": list(self.next_steps),
            "warnings": [vars(c) for c in self.cautions],
            "n_trials": len(self.record.trials),
            "n_complete": len(self.complete),
            "n_failed": len(self.failed),
            "n_pruned": len(self.pruned),
            "stop_reason": self.record.stop_reason,
            "seed": self.record.seed,
            "notes": list(self.record.notes),
            "best": None
            if best is None
            else {
                "trial": best.id,
                "score": best.score,
                "standard_error": _plain(self.standard_error),
                "params": _plain(best.params),
            },
            "dims": list(self.dims),
            "space": self.record.trials.space.describe(),
            "findings": {name: _plain(found) for name, found in self.findings.items()},
        }

    def to_markdown(self) -> str:
        """The page as Markdown, without its pictures."""
        from fractal_tuner.report.markdown import markdown

        return markdown(self)

    def to_html(self) -> str:
        """The page: one HTML file without any outside reference."""
        from fractal_tuner.report.page import page

        return page(self)

    def to_csv(self) -> str:
        """The trials as CSV, in columns of ``cv_results_``, as ``fractal-tuner export`` does."""
        text = io.StringIO()
        write_csv(self.record, text)
        return text.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: a page (.html), Markdown (.md), JSON (.json), or the trials (.csv).

        Parameters
        ----------
        path : path
            Its suffix says what to write.

        Returns
        -------
        Path
            Where it was written.

        Raises
        ------
        ValueError
            For another suffix.
        OSError
            If it cannot be written.
        """
        path = Path(path)
        match path.suffix.lower():
            case ".html" | ".htm":
                text = self.to_html()
            case ".md":
                text = self.to_markdown()
            case ".json":
                text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
            case ".csv":
                text = self.to_csv()
            case suffix:
                raise ValueError(f"path must end in .html, .md, .json or .csv, got {suffix!r}")
        path.write_text(text, encoding="utf-8", newline="\n")
        return path

    def plot(self) -> Figure:
        """The history and the zoom path in one matplotlib figure."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from fractal_tuner.report import HistoryDisplay, ZoomPathDisplay

        figure = Figure(figsize=(12.0, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        HistoryDisplay.from_record(self.record).plot(left)
        if self.dims:
            ZoomPathDisplay.from_record(self.record, dims=self.dims).plot(right)
        return figure

    def __str__(self) -> str:
        return "\n".join([self.answer, *self.trust, *self.next_steps])

    def _repr_html_(self) -> str:
        """The page in a frame, so that its style stays its own."""
        from html import escape

        return (
            '<iframe title="Search report" sandbox style="width:100%;height:42rem;border:1px solid '
            f'#888" srcdoc="{escape(self.to_html())}"></iframe>'
        )


def foremost(record: Record, findings: Mapping[str, Any], most: int) -> tuple[str, ...]:
    """So many dimensions to draw, in the order of the space.

    Those that matter most, as far as that is known; numbers before choices without an order, both
    before what is not used by the best trial. What has a single value only where nothing else is.
    """
    best = best_of(record.trials)
    named = [p for p in record.trials.space.parameters if p.name is not None]
    ranks: dict[str, int] = {}
    for parameter in [p for p in named if p.dimension.n_values != 1] or named:
        assert parameter.name is not None
        unused = best is not None and parameter.name not in best.params
        ranks.setdefault(parameter.name, 2 * unused + parameter.dimension.is_categorical)
    found = findings["importance"]
    total = {} if found.reason is not None else found.total
    weights = {name: -total[name].value if name in total else 0.0 for name in ranks}
    chosen = sorted(ranks, key=lambda name: (ranks[name] >= 2, weights[name], ranks[name]))[:most]
    return tuple(name for name in ranks if name in chosen)


def _plain(value: Any) -> Any:
    """A finding as plain JSON: no arrays, trials by their ids, None for what is unknown."""
    if is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Trial):
            return value.id
        shown = {f.name: getattr(value, f.name) for f in fields(value) if f.repr}
        if isinstance(value, Estimate) and value.reason is not None:
            shown |= {"value": None, "low": None, "high": None}
        return {
            name: _plain(v)
            for name, v in shown.items()
            if not (isinstance(v, np.ndarray) or type(v).__name__ == "Landscape")
        }
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {
            " x ".join(map(str, k)) if isinstance(k, tuple) else str(k): _plain(v)
            for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)
