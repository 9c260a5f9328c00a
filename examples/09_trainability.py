"""The boundary of trainability: which learning rates train a small network, seen ever closer.

A network with one hidden layer of 8 units is trained in every cell of a map of two learning rates,
100 steps each, always from the same weights. It "converged" if its last losses are on average below
its first, and "diverged" if not. Sohl-Dickstein (arXiv 2402.06184, 2024) found the boundary between
the two fractal, with dimensions from 1.17 to 1.98. Here it is followed over six levels, each map a
quarter as wide as the one before, into the window that holds the most of it: for tanh, ReLU and no
nonlinearity, for minibatches, and for a single training point.

What is seen: with a nonlinearity, the boundary is nearly smooth from afar and rougher at each
level, until it is dust, too fine for the cells. That of a linear network stays smooth for longer,
though its descent is no linear one: its output is a product of weights. With a single point the
boundary is smooth at all levels.

What is not seen: a fractal. A self-similar set would have one dimension at all levels; these are of
a tiny network, of 1 to at most 64 cells at a time, in windows chosen to be rough. That their range
is like the published one says little: any boundary in the plane has a dimension between 1 and 2.
Nor does "converged" say that a rate is good: the windows of tanh lie where a large rate saturates
its units, and the losses of both sides stay near the first. Hence the second row: tanh again, where
the rates of the output layer are large and losses explode. There, near the boundary, those that
end below the first have first been thousands of times above it.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

from fractal_tuner import TrainabilityDisplay
from fractal_tuner.gallery import options, save
from fractal_tuner.trainability import trainability_zooms

LEVELS, FACTOR, STEPS = 6, 4, 100
NETWORKS = {
    "tanh": {"activation": "tanh"},
    "tanh, upper edge": {"activation": "tanh", "y": (0.0, 9.0)},
    "ReLU": {"activation": "relu"},
    "identity": {"activation": "identity"},
    "batches of 16": {"batch_size": 16},
    "one point": {"n_points": 1},
}
PUBLISHED = 1.17, 1.98


def loss_on_the_way(zoom):
    """Mean losses over the first, medians of cells that converged and that diverged."""
    if zoom.converged.all() or not zoom.converged.any():
        return "one side alone"
    converged = np.median(-zoom.measure[zoom.converged]) / STEPS
    diverged = STEPS / np.median(zoom.measure[~zoom.converged])
    return f"{converged:.3g} | {diverged:.3g}"


def draw_dimensions(ax, display):
    """The dimension of each level, with its interval, against the width of the map."""
    rows = [row for row in display.table() if row["reason"] is None]
    value, low, high, width = (
        np.array([row[key] for row in rows]) for key in ("dimension", "low", "high", "decades")
    )
    ax.axhspan(*PUBLISHED, color="0.9", label="published range, six cases")
    ax.errorbar(
        width,
        value,
        [value - low, high - value],
        fmt="o",
        capsize=3,
        label="dimension and interval",
    )
    none = [row["decades"] for row in display.table() if row["reason"] is not None]
    ax.plot(none, np.full(len(none), 2.1), "kx", label="no estimate")
    ax.set(xscale="log", xlim=(20, 4e-3), ylim=(0.95, 2.2))
    ax.set(xticks=(10, 1, 0.1, 0.01), xticklabels=(10, 1, 0.1, 0.01))
    ax.xaxis.set_minor_locator(NullLocator())


args = options(
    __doc__,
    takes="about 4 minutes",
    quick="about 10 seconds: coarse maps, wide intervals",
)
side = 32 if args.quick else 192
displays = {}
print(f"Dimension of the boundary, and its interval; maps of {side} x {side} cells")
print(f"{'decades wide':16}", *(f"{9 / FACTOR**level:10.2g}" for level in range(LEVELS)))
for name, network in NETWORKS.items():
    zooms = trainability_zooms(LEVELS, side, factor=FACTOR, steps=STEPS, **network)
    displays[name] = TrainabilityDisplay(zooms)
    rows = displays[name].table()
    values = ["none" if r["reason"] else f"{r['dimension']:.2f}" for r in rows]
    spans = ["-" if r["reason"] else f"{r['low']:.2f}-{r['high']:.2f}" for r in rows]
    print(f"{name:16}", *(f"{value:>10}" for value in values))
    print(f"{'':16}", *(f"{span:>10}" for span in spans), flush=True)
found = [d for display in displays.values() for d in display.dimensions]
values = [d.value for d in found if d.reason is None]
print(f"From {min(values):.2f} to {max(values):.2f}; published: {PUBLISHED[0]} to {PUBLISHED[1]}")
for reason in sorted({d.reason for d in found} - {None}):
    print(f"none: {reason}")

print("\nMean loss while training / first loss, medians: converged | diverged (harmonic mean)")
for name, display in displays.items():
    first, last = (loss_on_the_way(display.zooms[level]) for level in (0, -1))
    print(f"{name:16}  whole map {first:14}  last level {last}")

figure = plt.figure(figsize=(12, 5.4), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=(1, 1.25))
maps, curves = above.subplots(1, len(displays)), below.subplots(1, len(displays), sharey=True)
for ax, curve, (name, display) in zip(maps, curves, displays.items(), strict=True):
    display.plot(ax, level=min(2, len(display.zooms) - 1), bars=False)
    ax.set(title=name, xlabel="", ylabel="")
    ax.tick_params(labelsize="small")
    ax.locator_params(nbins=3)
    draw_dimensions(curve, display)
maps[0].set_ylabel("log10 learning rate,\noutput layer")
above.supxlabel(
    "log10 learning rate, input layer; level 2 (light: converged, dark: diverged)", size="medium"
)
curves[0].set_ylabel("dimension of the boundary")
below.supxlabel("width of the map (decades)", size="medium")
handles = curves[0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
save(figure, args.out / "09-trainability.png")

tanh = displays["tanh"]
for level in range(len(tanh.zooms)):
    save(tanh.plot(level=level).figure_, args.out / f"09-tanh-level-{level}.png")
tanh.animate(args.out / "09-trainability-zoom.png")
print("wrote", args.out / "09-trainability-zoom.png")
