"""The Mandelbrot set, a zoom into its boundary, and a dimension that no picture shows.

A point c belongs to the set if z -> z^2 + c, from 0, stays bounded. The boundary has dimension 2
(Shishikura 1998), around each of its points. Two counts look for it:

- of cells where a centre inside has a neighbour outside: they miss all threads thinner than a cell;
- of cells that the boundary comes near, by an estimate of each point's distance from it.

Both lie on straight lines, and both miss 2. The first does not even move with finer cells, and
sees nothing in the nearest views, which hold threads alone; the second rises, slowly, and is higher
nearer the boundary: what makes up the dimension is deep inside, where no affordable grid comes. A
straight line is no proof. The numbers in brackets are the uncertainty of the fit, for the scales
that were counted. They are no interval for the truth, which none of them holds.

Slide 1 of the deck draws the same set; only the axes it prints are others than those of its loops,
which take c from -1.5 to -0.5 and from -1i to 0.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullLocator

from fractal_tuner import BoxCountingDisplay, boundary_dimension, box_dimension
from fractal_tuner.gallery import options, save
from fractal_tuner.progress import progress

FAR = 256.0  # from where a point is known to leave, and its distance well
SEAHORSE = -0.743643887037151 + 0.131825904205330j
VIEWS = [(-0.75, 2.5, 500), (SEAHORSE, 0.1, 2000), (SEAHORSE, 4e-3, 3000), (SEAHORSE, 1e-4, 5000)]


def distances(centre, width, steps, side):
    """Distance of each cell's centre from the set, in cells; 0 for the set."""
    at = width * ((np.arange(side) + 0.5) / side - 0.5)
    c = (centre + at[:, None] + 1j * at).ravel()
    distance = np.zeros(c.size)
    here, z, slope = np.arange(c.size), np.zeros_like(c), np.zeros_like(c)
    for _ in range(steps):
        slope = 2 * z * slope + 1  # dz / dc
        z = z**2 + c
        size = np.abs(z)
        out = size > FAR
        # Within a factor of 2: Milnor, Dynamics in One Complex Variable, on computer graphics.
        distance[here[out]] = size[out] * np.log(size[out]) / np.abs(slope[out])
        here, z, slope, c = here[~out], z[~out], slope[~out], c[~out]
    return distance.reshape(side, side) * side / width


def table(label, rows, found):
    """The dimension of the boundary, by centres of cells and by distances."""
    print(f"  {label:>13}  by centres of cells    by distances (and the uncertainty of the fit)")
    for row, pair in zip(rows, found, strict=True):
        words = [
            "too few cells" if d.reason else f"{d.value:.2f} ({d.low:.2f} to {d.high:.2f})"
            for d in pair
        ]
        print(f"  {row:>13g}  {words[0]:21}  {words[1]}")


def both(distance):
    """Two estimates: of the edge of the cells inside, and of the cells that the set comes near."""
    return boundary_dimension(distance == 0), box_dimension((distance > 0) & (distance < 0.5))


args = options(
    __doc__, takes="about 20 seconds", quick="about 3 seconds: coarse grids, wide intervals"
)
sides = [64, 128, 256] if args.quick else [128, 256, 512, 1024, 2048]
side = sides[-1] if args.quick else 512
whole = [both(distances(*VIEWS[0], n)) for n in progress(sides, "the whole set")]
print("The whole boundary; theory: 2")
table("cells a side", sides, whole)
views = [distances(*view, side) for view in progress(VIEWS, "nearer")]
widths = [width for _, width, _ in VIEWS]
print(f"\nNearer, {side} cells a side; theory: 2 in each view")
table("width of view", widths, map(both, views))

small = {"axes.titlesize": "medium", "legend.fontsize": "small", "legend.title_fontsize": "small"}
plt.rcParams.update(small)
figure = plt.figure(figsize=(11, 6.5), layout="constrained")
above, below = figure.subfigures(2, 1)
axes = above.subplots(1, len(VIEWS))
for ax, distance, (centre, width, _) in zip(axes, views, VIEWS, strict=True):
    ends = np.array([-0.5, 0.5, -0.5, 0.5]) * width
    shown = ax.imshow(
        np.maximum(distance / side, 1e-4).T, norm=LogNorm(1e-4, 0.3), origin="lower", extent=ends
    )
    ax.set_title(f"{width:g} wide, around {'c1' if centre == SEAHORSE else centre}")
    ax.set(xlabel="Re c", ylabel="Im c", xticks=[], yticks=[])
for ax, (centre, _, _), (near, width, _) in zip(axes, VIEWS, VIEWS[1:], strict=False):
    at = np.array([(near - centre).real, np.imag(near - centre)])
    style = {"fill": False, "edgecolor": "red", "linewidth": 1.5}
    ax.add_patch(plt.Rectangle(at - width / 2, width, width, **style))  # the next view
above.suptitle(
    f"c1 = {SEAHORSE.real:.6f} + {SEAHORSE.imag:.6f}i; red frames: the next view", size="medium"
)
above.colorbar(shown, ax=axes, label="distance from the set\n(widths of the view)", pad=0.01)

left, right = below.subplots(1, 2)
of = f"the boundary, by distances, {sides[-1]} cells a side"
BoxCountingDisplay(whole[-1][1], of=of, smooth=1).plot(left)
names = ["by centres of cells inside", "by distances"]
for k, (name, marker) in enumerate(zip(names, "so", strict=True)):
    value, low, high = np.array([(d[k].value, d[k].low, d[k].high) for d in whole]).T
    error = [value - low, high - value]
    right.errorbar(
        np.array(sides) * (0.97, 1.03)[k], value, error, fmt=marker, capsize=3, label=name
    )
right.axhline(2, color="black", linestyle="--", label="theory")
right.set(xscale="log", xticks=sides, xticklabels=sides, ylim=(0.95, 2.15))
right.xaxis.set_minor_locator(NullLocator())
right.set(xlabel="cells a side", ylabel="dimension")
title = "bars: uncertainty of the fit, no interval for the truth"
right.legend(
    frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), title=title, alignment="left"
)
save(figure, args.out / "01-mandelbrot.png")
