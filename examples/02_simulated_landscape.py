"""sin(10 x) cos(10 y) exp(-x^2 - y^2) from afar and from near: it looks intricate, and is smooth.

The first two views of the upper row are those of slides 2 and 4 of the deck, which looks here for
structures that repeat at all scales. There is only one scale, the period of the waves, 0.63, and
the deck's zoom, 1 wide, still holds more than a period: so it looks like the whole. Nearer, the
waves are gone and nothing new appears: a slope becomes a plane, and a peak a parabola. The table
has the share of the variance that the best plane and the best parabola leave in each view; in a
fractal it would not fall.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from fractal_tuner.gallery import options, save


def landscape(x, y):
    return np.sin(10 * x) * np.cos(10 * y) * np.exp(-(x**2) - y**2)


def unexplained(x, y, z, degree):
    """Share of the variance that the best polynomial of a degree leaves."""
    u, v = (2 * (a - a.mean()) / np.ptp(a) for a in (x, y))
    terms = [u**i * v**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    terms = np.reshape(terms, (len(terms), -1)).T
    rest = z.ravel() - terms @ np.linalg.lstsq(terms, z.ravel())[0]
    return rest.var() / z.var()


args = options(__doc__, takes="about 3 seconds", quick="about 2 seconds: coarser views")
side = 60 if args.quick else 400
peak = np.abs(minimize(lambda at: -landscape(*at), [0.15, 0.0]).x.round(3))
print(f"the highest peak: {landscape(*peak):.3f} at x = {peak[0]:.3f}, y = {peak[1]:.3f}\n")
print("  centre  width of view  lowest  highest  not a plane  not a parabola")

figure, axes = plt.subplots(2, 4, figsize=(11, 6.6), layout="constrained")
for row, name, centre in zip(axes, ["origin", "peak"], [np.zeros(2), peak], strict=True):
    for ax, width in zip(row, [4, 1, 0.25, 0.0625], strict=True):
        near = np.linspace(-width / 2, width / 2, side)
        x, y = np.meshgrid(centre[0] + near, centre[1] + near, indexing="ij")
        z = landscape(x, y)
        rest = [unexplained(x, y, z, degree) for degree in (1, 2)]
        ends = f"{z.min():6.3f}  {z.max():7.3f}"
        print(f"  {name:6}  {width:>13g}  {ends}  {rest[0]:11.2%}  {rest[1]:14.2%}")

        filled = ax.contourf(x, y, z, levels=30, cmap="viridis")
        figure.colorbar(
            filled, ax=ax, location="bottom", ticks=[z.min(), z.max()], format="%.3f", label="score"
        )
        ax.set_title(f"{width:g} wide", size="medium")
        ends = np.array([-0.5, 0, 0.5]) * width
        ax.set(aspect="equal", xticks=centre[0] + ends, yticks=centre[1] + ends)
        ax.tick_params(labelsize="small", pad=7)
        ax.xaxis.set_major_formatter("{x:.4g}")
        ax.yaxis.set_major_formatter("{x:.4g}")
        if ax is row[0]:
            ax.set_ylabel(f"around the {name}\nhyperparameter 2 (y)")
        if width > 0.0625:  # the next view
            corner = centre - width / 8
            ax.add_patch(plt.Rectangle(corner, width / 4, width / 4, fill=False, edgecolor="white"))
figure.supxlabel("hyperparameter 1 (x)", size="medium")
title = "frames: the next view; each view has its own colours, from its lowest to its highest score"
figure.suptitle(title, size="medium")
save(figure, args.out / "02-simulated-landscape.png")
