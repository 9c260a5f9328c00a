"""Is it self-similar? A zoom, and at each level the dimension of the landscape with its interval.

Slide 4 of the deck looks for structures that repeat at all scales. Three landscapes, each zoomed by
4 at a time around its middle, show what an answer looks like:

- the simulated landscape of the deck is smooth: its graph has dimension 2, nearer it is a plane;
- waves of Takagi and Landsberg in three directions are a fractal: each view is the one before, but
  for a plane, so that all four look alike, and the interval holds the 2.5 of theory in each;
- white noise looks the same at all levels too, but a second evaluation would show another picture.
  It has no dimension, and gets none.

So the same dimension at all levels is not enough (a plane has it too), nor is a look that repeats.
And an estimate is made for some kind of landscape: a sum of functions of one hyperparameter each
gets a reason in the place of a number.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

from fractal_tuner import Landscape, Real, map_landscape, roughness
from fractal_tuner.fractals import takagi_surface
from fractal_tuner.gallery import options, save
from fractal_tuner.progress import progress

HURST = 0.5
OCTAVES = 2.0 ** np.arange(50)
rng = np.random.default_rng(0)


def smooth(x, y):
    return np.sin(10 * x) * np.cos(10 * y) * np.exp(-(x**2) - y**2)


def fractal(x, y):
    """Its oscillation over a distance h is of order h^H, so that its graph has dimension 3 - H."""
    along = [x * math.cos(angle) + y * math.sin(angle) for angle in (0.3, 1.35, 2.4)]
    wave = np.multiply.outer(OCTAVES, 1 / 3 + np.array(along) / 16)  # 1/3: 4 (1/3) = 1/3 modulo 1
    return OCTAVES**-HURST @ np.abs(wave - np.rint(wave)).sum(axis=1)


def noise(x, y):
    return rng.standard_normal()


def text(found):
    if found.reason is not None:
        return f"{found.verdict}: no dimension"
    return f"{found.verdict}, D = {found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


args = options(
    __doc__, takes="about 25 seconds", quick="about 5 seconds: two coarse views, wide intervals"
)
points, widths = (24, [1, 0.25]) if args.quick else (64, [4, 1, 0.25, 0.0625])
landscapes = {"simulated": smooth, "Takagi waves": fractal, "white noise": noise}
remarks = "a plane from near", "self-similar: all views look alike", "new at each evaluation"

figure, axes = plt.subplots(
    3, len(widths), figsize=(2.6 * len(widths) + 0.4, 9), layout="constrained", squeeze=False
)
print("width of view  " + "  ".join(f"{name:31}" for name in landscapes).rstrip())
for column, width in zip(axes.T, progress(widths, "zooming"), strict=True):
    space = {"x": Real(-width / 2, width / 2), "y": Real(-width / 2, width / 2)}
    row = []
    for ax, function in zip(column, landscapes.values(), strict=True):
        view = map_landscape(function, space, points_per_dim=points)
        row.append(text(roughness(view)))
        shares = (view.scores - view.scores.min()) / np.ptp(view.scores)
        ends = np.array([-0.5, 0.5, -0.5, 0.5]) * width
        shown = ax.imshow(shares.T, origin="lower", extent=ends, interpolation="nearest")
        ax.set_title(row[-1], size="medium")
        ax.set(xlabel="x", ylabel="y", xticks=[], yticks=[])
    column[0].set_title(f"{width:g} wide, around 0\n\n{row[0]}", size="medium")
    print(f"{width:>13g}  " + "  ".join(f"{words:31}" for words in row).rstrip())
for ax, name, remark in zip(axes[:, 0], landscapes, remarks, strict=True):
    ax.set_ylabel(f"{name}\n{remark}\ny")
for ax, width in zip(axes[:, :-1].T.ravel(), np.repeat(widths[1:], 3), strict=True):
    frame = plt.Rectangle((-width / 2, -width / 2), width, width, fill=False, edgecolor="white")
    ax.add_patch(frame)  # the next view
label = "score, from the lowest to the highest of each view; white frames: the next view"
figure.colorbar(shown, ax=axes, label=label, location="bottom", shrink=0.6, aspect=50)

along_axes = roughness(Landscape.from_grid(takagi_surface(HURST, points).values))
print(f"\nA sum of Takagi curves along the axes: {along_axes.verdict}:\n{along_axes.reason}")
save(figure, args.out / "04-self-similarity.png")
