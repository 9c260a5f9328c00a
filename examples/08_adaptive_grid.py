"""Adaptive grid search, level by level: the classic one, and the zooming search.

The classic one (slide 10 of the deck) lays a grid, zooms to the neighbours of its best point and
lays the next. FactorialZoom does that; the deck's loop means to, but exchanges the two axes when it
zooms (numpy's meshgrid puts the second one first). A classic search never goes back: a basin that
slips through the first grid is lost. ZoomSearch looks at all levels.

First a landscape with a broad basin, the decoy, and a narrow one that is higher. "Between the
points" of the first grid it was built to trap the classic search; "anywhere" it lies at random.

Then the deck's own landscape, moved at random, so that no grid is favoured: many peaks, each much
narrower than the space. One says little about where the next is, and neither search is ahead for
certain. Both get as many trials as the classic one takes: 3 grids of 6 x 6 points are 100, and 5 of
10 x 10 are 484, since a point that two grids share is evaluated once.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binomtest

from fractal_tuner import FactorialZoom, Real, ZoomedViewsDisplay, ZoomPathDisplay, ZoomSearch
from fractal_tuner.gallery import options, save
from fractal_tuner.progress import progress

UNIT = {"x": Real(0, 1), "y": Real(0, 1)}
POINTS, LEVELS = 6, 3
WIDTH = 0.08  # of the narrow basin
PLACES = "between the points", "anywhere"
COLORS = {"classic": "C1", "zooming": "C0"}


def two_basins(place, seed):
    """A landscape, and the top of its narrow basin."""
    rng = np.random.default_rng(seed)
    top = rng.uniform(0.1, 0.9, 2)
    if place == "between the points":
        top = (np.floor(top * (POINTS - 1)) + 0.5) / (POINTS - 1)
    decoy = top
    while np.hypot(*(decoy - top)) < 0.4:
        decoy = rng.uniform(0.1, 0.9, 2)

    def score(x, y):
        far = (x - decoy[0]) ** 2 + (y - decoy[1]) ** 2
        near = (x - top[0]) ** 2 + (y - top[1]) ** 2
        return 0.8 * np.exp(-far / (2 * 0.2**2)) + np.exp(-near / (2 * WIDTH**2))

    return score, top


def deck(seed):
    """The deck's landscape, moved; its highest peak is 0.976."""
    dx, dy = np.random.default_rng(seed).uniform(-0.5, 0.5, 2)

    def score(x, y):
        x, y = x - dx, y - dy
        return np.sin(10 * x) * np.cos(10 * y) * np.exp(-(x**2) - y**2)

    return score


def both(function, seed, space=UNIT, points=POINTS, levels=LEVELS):
    """The two searches, with the same number of trials."""
    classic = FactorialZoom(space, points_per_dim=points, levels=levels)
    classic.run(function)
    zooming = ZoomSearch(space, max_trials=len(classic.trials), seed=seed)
    zooming.run(function)
    return {"classic": classic, "zooming": zooming}


def finds(search, top):
    best = search.best_trial.params
    return np.hypot(best["x"] - top[0], best["y"] - top[1]) < 2 * WIDTH


args = options(
    __doc__, takes="about 45 seconds", quick="about 5 seconds: 4 landscapes of each kind"
)
seeds, budgets = (range(4), [(6, 3)]) if args.quick else (range(40), [(6, 3), (10, 5)])
figure, (maps, (left, right)) = plt.subplots(
    2, 2, figsize=(11, 8.4), height_ratios=(1.7, 1), layout="constrained"
)

print("the narrow basin lies  search   found     95 % interval")
for row, place in enumerate(PLACES):
    found = dict.fromkeys(COLORS, 0)
    for seed in progress(seeds, place):
        score, top = two_basins(place, seed)
        for name, search in both(score, seed).items():
            found[name] += int(finds(search, top))
    for name, k in found.items():
        share = k / len(seeds)
        ends = binomtest(k, len(seeds)).proportion_ci(method="wilson")
        print(f"{place:21}  {name}  {k:2} of {len(seeds):2}  {ends.low:.2f} to {ends.high:.2f}")
        error, at = [[share - ends.low], [ends.high - share]], row + 0.2 * (name == "zooming")
        left.errorbar(share, at, xerr=error, fmt="o", capsize=3, color=COLORS[name])
left.set_yticks([0.1, 1.1], ["narrow basin\nbetween\nthe points", "narrow basin\nanywhere"])
left.set(xlim=(-0.03, 1.03), ylim=(1.6, -0.5), xlabel="share of landscapes, 95 % interval")
left.set_title(f"found the narrow, higher basin, {len(seeds)} landscapes")

print("\nthe deck's landscape   search   best score: quarter, median, three quarters")
ticks = []
for row, (points, levels) in enumerate(budgets):
    space = {"x": Real(-2, 2), "y": Real(-2, 2)}
    found = {name: [] for name in COLORS}
    for seed in progress(seeds[:20], f"{levels} levels"):
        for name, search in both(deck(seed), seed, space, points, levels).items():
            found[name].append(search.best_trial.score)
            n = len(search.trials)
    ticks.append(f"{n} trials:\n{points} x {points} points,\n{levels} levels")
    for name, scores in found.items():
        low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
        print(f"{n:4} trials            {name}  {low:.3f}  {middle:.3f}  {high:.3f}")
        at = row + 0.2 * (name == "zooming")
        right.plot(scores, np.full(len(scores), at), "|", color=COLORS[name], markersize=12)
        right.plot(middle, at, "o", color=COLORS[name], label=name if row == 0 else None)
    gain = np.round(np.subtract(found["zooming"], found["classic"]), 3)
    n_won, n_lost = (gain > 0).sum(), (gain < 0).sum()
    p = binomtest(n_won, max(n_won + n_lost, 1)).pvalue
    print(f"{'':22} zooming is better in {n_won}, worse in {n_lost} (sign test: p = {p:.2f})")
right.set_yticks(np.arange(len(ticks)) + 0.1, ticks)
right.set(ylim=(len(ticks) - 0.4, -0.5), xlim=(0, 1.03))
right.set_xlabel("best score (lines: each landscape; dots: medians)")
right.axvline(0.976, color="0.5", linestyle=":", label="highest peak")
right.set_title(f"the deck's landscape, moved {len(scores)} times")
for ax in (left, right):
    ax.grid(axis="x", color="0.85")
figure.legend(
    *right.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
)

score, top = two_basins(PLACES[0], 0)
pair = both(score, 0)
x = np.linspace(0, 1, 101)
for ax, (name, search) in zip(maps, pair.items(), strict=True):
    ax.contour(x, x, score(x[:, None], x).T, levels=8, colors="0.7", linewidths=0.7)
    ZoomPathDisplay.from_search(search).plot(ax, colorbar=False)
    dots = ax.collections[-1]
    dots.set(clim=(0, score(*top)), sizes=[14])  # the same colours in both
    ax.set_title(f"{name}: {len(search.trials)} trials", pad=24)
    ax.set_aspect("equal")
    plt.setp(ax.texts, zorder=6)  # numbers of levels, above the star
figure.colorbar(dots, ax=maps, label="score")
save(figure, args.out / "08-adaptive-grid.png")
levels = ZoomedViewsDisplay.from_search(pair["classic"])
levels.size = (11, 5)
levels.plot().figure_.suptitle("the classic search: all trials in the window of each level")
save(levels.figure_, args.out / "08-adaptive-grid-levels.png")
