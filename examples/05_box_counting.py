"""Box counting: two recipes often shown, and estimates that hold, where the truth is known.

Cover a set with boxes of side s. If the number of boxes it meets grows like s^-D as s shrinks, D is
its dimension: the upper row of the picture. Slides 5 and 8 of the deck do something else.

- Recipe 1 counts the cells above thresholds, against 1 / threshold. There is no box in it: shuffle
  the cells, and it says the same. It is the tail of the scores' distribution. A set's cells, all 1,
  pass each threshold below 1: its 0 is no dimension, but a count that never changes.
- Recipe 2 counts boxes that hold a gradient above the mean. Those are half of the cells or so, an
  area; what it shows is how fast boxes fill up, and so how fine the grid is, not the landscape.

On surfaces it reads the same for a smooth one, for fractals of any dimension, and for noise. A
landscape's dimension is that of its graph, 2 to 3; the dimension of a set or of a boundary lies
between 0 and 2. Noise has none, and gets none.

A graph's dimension comes with a 95 % interval. That of a set comes with the uncertainty of the fit,
which is no such interval: counts of nested boxes depend on one another.
"""

import matplotlib.pyplot as plt
import numpy as np

from fractal_tuner import (
    BoxCountingDisplay,
    Landscape,
    boundary_dimension,
    box_dimension,
    roughness,
)
from fractal_tuner import fractals as known
from fractal_tuner.analysis.lookalikes import cells_above_thresholds, steep_cell_counts
from fractal_tuner.gallery import options, save
from fractal_tuner.progress import progress

ESTIMATES = {
    "set": box_dimension,
    "boundary": boundary_dimension,
    "graph": lambda scores: roughness(Landscape.from_grid(scores)),
}


def recipes(values):
    scores = values.astype(float)
    return cells_above_thresholds(scores).slope, -steep_cell_counts(scores).slope


def spread(values):
    """The mean, and the standard deviation over the samples."""
    mean = abs(np.mean(values))  # a set's is 0, with some sign
    return f"{mean:.2f}" + (f" +- {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


def text(found):
    if found.reason is not None:
        return found.verdict
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


def white_noise(side, seed):
    return np.random.default_rng(seed).standard_normal((side, side))


args = options(__doc__, takes="about 25 seconds", quick="about 6 seconds: smaller, 2 samples each")
samples = range(2 if args.quick else 4)
side, small = (20, 128) if args.quick else (64, 512)
cases = {
    "Cantor dust": [known.cantor_dust(5)],
    "Koch curve": [known.koch_curve(small)],
    "edge of a Julia set": [known.julia_set(-1, small)],
    "Sierpinski carpet": [known.sierpinski_carpet(5)],
    "Sierpinski triangle": [known.sierpinski_triangle(8)],
    "smooth landscape": [known.rippled_bump(64)],
}
for hurst in (0.8, 0.5, 0.2):
    surfaces = [known.fractional_brownian_surface(hurst, side, seed) for seed in samples]
    cases[f"Brownian, H = {hurst}"] = surfaces
cases["white noise"] = [
    known.Fractal("white noise", white_noise(side, seed), "graph", np.nan, "has none")
    for seed in samples
]

print("                      truth  recipe 1      recipe 2      ours                  truth inside")
rows = []
for name, sets in progress(cases.items(), "estimating"):
    truth = sets[0].dimension
    told = np.array([recipes(fractal.values) for fractal in sets]).T
    found = [ESTIMATES[fractal.of](fractal.values) for fractal in sets]
    rows.append((name, truth, told, found[0]))
    one, two = map(spread, told)
    n_held = sum(d.reason is None and d.low <= truth <= d.high for d in found)
    truth, held = ("none", "") if np.isnan(truth) else (f"{truth:.2f}", f"{n_held} of {len(found)}")
    print(f"{name:20}  {truth:>5}  {one:12}  {two:12}  {text(found[0]):20}  {held}".rstrip())
print(f"+-: standard deviation over {len(samples)} samples; ours: that of the first. In brackets:")
print("for a landscape the 95 % interval; above, for sets and edges, the uncertainty of the fit.")

surface = cases["Brownian, H = 0.5"][0].values
shuffled = np.random.default_rng(0).permutation(surface.ravel()).reshape(surface.shape)
print("\nBrownian, H = 0.5, and the same with its cells shuffled:")
for name, scores in (("as it is", surface), ("shuffled", shuffled)):
    one, ours = cells_above_thresholds(scores).slope, ESTIMATES["graph"](scores)
    print(f"  {name}  recipe 1: {one:.2f}  ours: {text(ours)}")
print("Recipe 2 on white noise of 20, 64 and 256 cells a side:", end=" ")
print(*(f"{-steep_cell_counts(white_noise(n, 0)).slope:.2f}" for n in (20, 64, 256)))

figure = plt.figure(figsize=(11, 8.2), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=(1, 1.5))
*views, counts = above.subplots(1, 4, width_ratios=(1, 1, 1, 1.9))
triangle = cases["Sierpinski triangle"][0].values
for ax, size in zip(views, (64, 16, 4), strict=True):
    n = len(triangle) // size
    met = triangle.reshape(n, size, n, size).any(axis=(1, 3))
    edges = "white" if size > 4 else "none"
    ax.pcolormesh(met.T, cmap="Greys", vmax=2, edgecolors=edges, linewidth=0.4)
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.set_title(f"{met.sum()} boxes\nof side {size}", size="medium")
BoxCountingDisplay(rows[4][3], of="the Sierpinski triangle, side 256").plot(counts)

ax = below.subplots()
names = "recipe 1: cells above thresholds", "recipe 2: steep cells", "truth", "ours, uncertainty"
for place, (_, truth, (one, two), ours) in enumerate(rows):
    labels = names if place == 0 else [None] * 4
    level = np.full(len(one), place)
    ax.plot(one, level, "x", color="C1", label=labels[0])
    ax.plot(two, level, "D", color="C2", markerfacecolor="none", label=labels[1])
    ax.plot(truth, place, "|", color="black", markersize=18, markeredgewidth=2, label=labels[2])
    error = [[ours.value - ours.low], [ours.high - ours.value]]
    ax.errorbar(ours.value, place, xerr=error, fmt="o", color="C0", capsize=3, label=labels[3])
paper = {"va": "center", "backgroundcolor": "white"}
ax.text(3, place, "ours: no dimension, as it should be", ha="right", color="C0", **paper)
ax.text(0.05, 2, "recipe 1 is 0 on every set:\nits cells pass each threshold below 1", **paper)
ax.text(2.2, 2, "sets and edges:\ntheir dimension is 0 to 2", **paper, weight="bold")
ax.text(0.6, 6.6, "landscapes:\ntheir dimension is 2 to 3", **paper, weight="bold")
ax.text(0.6, 7.7, f"recipes: a mark for each of {len(samples)} samples;\nours: the first", **paper)
ax.axhline(4.5, color="black", linewidth=1)  # not to be compared across it
ax.set_yticks(range(len(rows)), cases)
ax.set(xlabel="dimension", xlim=(-0.1, 3.05), ylim=(len(rows) - 0.5, -0.5))
ax.grid(axis="x", color="0.85")
ax.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), fontsize="small")
save(figure, args.out / "05-box-counting.png")
