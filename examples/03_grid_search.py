"""Plain grid search: the loop over ParameterGrid of slide 3, and FactorialZoom with one level.

Both evaluate the same candidates and find the same best one, as the numbers say. The second one is
also a search of the package: it can be asked for candidates one at a time, survives a function that
fails, continues after a crash from its journal, and can be drawn and analysed.

The analysis says what the deck's picture keeps in a corner: the best candidate lies at the end of
the range of learning rates, so the next grid should reach beyond. The stripes are cos(hidden
units): their period, 6.3, is 3.4 steps of the 50 x 50 grid, enough to see them, too few to meet
their tops.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import ParameterGrid

from fractal_tuner import FactorialZoom, LandscapeDisplay, Real, domain_edges
from fractal_tuner.gallery import options, save
from fractal_tuner.progress import progress


def score(learning_rate, hidden_units):
    fall = np.exp(-(learning_rate**2) - (hidden_units / 100) ** 2)
    return np.sin(10 * learning_rate) * np.cos(hidden_units) * fall


def told(name, params, value):
    where = ", ".join(f"{key} = {params[key]:.4f}" for key in space)
    print(f"{name:13}  best score {value:.6f} at {where}")


args = options(__doc__, takes="about 3 seconds", quick="about 3 seconds: 20 x 20 points")
n = 20 if args.quick else 50
space = {"learning_rate": Real(0.001, 0.1), "hidden_units": Real(10, 100)}

grid = ParameterGrid(
    {"learning_rate": np.linspace(0.001, 0.1, n), "hidden_units": np.linspace(10, 100, n)}
)
loop = [(params, score(**params)) for params in progress(grid, "loop")]
told("ParameterGrid", *max(loop, key=lambda found: found[1]))

search = FactorialZoom(space, points_per_dim=n, levels=1)
best = search.run(score)
told("FactorialZoom", best.params, best.score)

ours = np.array(sorted([*(t.params[key] for key in space), t.score] for t in search.trials))
theirs = np.array(sorted([*(params[key] for key in space), value] for params, value in loop))
same = np.allclose(ours, theirs, rtol=0, atol=1e-12)
print(f"{len(ours)} and {len(theirs)} candidates; same candidates and scores, to 1e-12: {same}")
for edge in domain_edges(search.trials).edges:
    advice = "leave it" if edge.points_outward is False else "widen the range there"
    print(f"the best {edge.name} is at the {edge.side} end of its range, {edge.bound:g}: {advice}")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
x, y, z = theirs.T
dots = left.scatter(x, y, c=z, s=1e4 / n**2, marker="o", cmap="viridis")
figure.colorbar(dots, label="score")
star = {"markersize": 15, "markerfacecolor": "#f2b705", "markeredgecolor": "black"}
left.plot(*theirs[z.argmax(), :2], "*", **star, label=f"best score: {z.max():.3f}")
left.set(xlabel="learning_rate", ylabel="hidden_units")
left.set_title(f"the loop over ParameterGrid, {n} x {n} points", pad=30)
LandscapeDisplay.from_search(search).plot(right)
right.set_title("the same by FactorialZoom(levels=1), as cells", pad=30)
for ax in (left, right):
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    ax.set(xlim=(-0.005, 0.106), ylim=(5, 105))  # room for the star
save(figure, args.out / "03-grid-search.png")
