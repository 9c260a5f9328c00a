"""TrainabilityDisplay: its numbers, its colours, its frames, and the way it moves."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from fractal_tuner import TrainabilityDisplay
from fractal_tuner.report.drawing import FOREGROUND
from fractal_tuner.trainability import Trainability, trainability_zooms


@pytest.fixture(scope="module")
def zooms():
    return trainability_zooms(3, 40, steps=20)


@pytest.fixture(scope="module")
def display(zooms):
    return TrainabilityDisplay(zooms)


def drawn(display):
    """The image of the last plot, indexed as the landscape is: x, y, colour."""
    return display.ax_.images[0].get_array().swapaxes(0, 1)


def grey(colors):
    """How light a printer makes them, 0 to 1."""
    return np.asarray(colors)[..., :3] @ [0.299, 0.587, 0.114]


def test_the_edges_are_half_a_cell_beyond_the_centres(display, zooms):
    half = (zooms[0].x[1] - zooms[0].x[0]) / 2
    np.testing.assert_allclose(display.edges[0, 0], [-3 - half, 6 + half])
    for outer, inner in pairwise(display.edges):
        assert np.ptp(inner, axis=1) == pytest.approx(np.ptp(outer, axis=1) / 4)
        assert (inner[:, 0] > outer[:, 0] - 1e-9).all()
        assert (inner[:, 1] < outer[:, 1] + np.ptp(inner, axis=1) / 20).all()


def test_the_table_holds_the_dimension_of_each_level(display, zooms):
    rows = display.table()
    assert [row["level"] for row in rows] == [0, 1, 2]
    assert [row["decades"] for row in rows] == pytest.approx([9.0, 2.25, 0.5625])
    for row, zoom in zip(rows, zooms, strict=True):
        found = zoom.boundary_dimension()
        assert row["converged"] == zoom.converged.mean()
        assert row["reason"] == found.reason
        assert row["dimension"] == (found.value if found.reason is None else None)
    assert display.description.startswith("3 levels. 9 decades: ")


def test_what_converged_is_lighter_in_grey_than_all_that_diverged(display, zooms):
    for level, zoom in enumerate(zooms):
        light = grey(drawn(display.plot(level=level)))
        assert light[zoom.converged].min() > light[~zoom.converged].max() + 0.1
        plt.close(display.figure_)


def test_within_a_side_colours_are_ordered_and_farthest_apart_at_the_boundary(display, zooms):
    light, zoom = grey(drawn(display.plot())), zooms[0]
    size = np.abs(zoom.measure)
    for shown, sign in ((zoom.converged, 1), (~zoom.converged, -1)):
        in_order = light[shown][np.argsort(size[shown])] * sign  # slower is nearer the boundary
        assert (np.diff(in_order) > -1e-9).all()
        assert np.ptp(in_order) > 0.2


def test_the_map_lies_on_its_axes_and_the_next_level_is_outlined(display):
    display.plot(level=1, bars=False)
    left, right, low, high = display.ax_.images[0].get_extent()
    np.testing.assert_allclose([[left, right], [low, high]], display.edges[1])
    frame = display.ax_.patches[-1]
    assert frame.get_edgecolor() == pytest.approx(to_rgba(FOREGROUND))
    np.testing.assert_allclose(frame.get_bbox().intervalx, display.edges[2, 0])
    np.testing.assert_allclose(frame.get_bbox().intervaly, display.edges[2, 1])
    assert not display.plot(level=2).ax_.patches


def test_bars_say_what_the_colours_measure(display):
    display.plot()
    display.figure_.canvas.draw()
    bars = display.ax_.child_axes
    labels = [bar.get_ylabel() for bar in bars]
    assert labels[0].startswith("converged")
    assert labels[1].startswith("diverged")
    for bar, ends in zip(bars, display.ends[0], strict=True):
        np.testing.assert_allclose(bar.get_ylim(), ends)
    assert not display.plot(bars=False).ax_.child_axes


def test_it_draws_on_axes_that_are_there(display):
    figure, ax = plt.subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.figure_ is figure
    plt.close(figure)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_level_without_a_boundary_is_drawn_in_one_colour(sign):
    line = np.linspace(0.0, 1.0, 30)
    display = TrainabilityDisplay([Trainability(np.full((30, 30), sign), line, line)])
    assert np.ptp(drawn(display.plot()).reshape(-1, 4), axis=0).max() == 0
    assert display.table()[0]["dimension"] is None
    assert "no dimension (the set or its complement is empty)" in display.description


def test_no_level_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one landscape"):
        TrainabilityDisplay([])


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_an_animation_stays_at_levels_and_ends_at_the_last(display, tmp_path, ending):
    path = tmp_path / f"zoom.{ending}"
    display.animate(path, between=2, pixels=60)
    with Image.open(path) as picture:
        assert picture.n_frames == 5
        times, shown = [], []
        for k in range(5):
            picture.seek(k)
            picture.load()
            times.append(picture.info["duration"])
            shown.append(np.asarray(picture.convert("RGB"), dtype=float))
        assert picture.info["loop"] == 0
    assert times[0] == times[2] == times[4] > 5 * times[1] == 5 * times[3]
    assert all(np.abs(a - b).mean() > 5 for a, b in pairwise(shown))


def test_the_view_moves_at_a_constant_ratio_from_one_window_to_the_next(display):
    views = np.array([display.view(at) for at in np.linspace(0, 2, 9)])
    np.testing.assert_allclose(views[::4], display.edges)
    widths = np.ptp(views, axis=2)
    np.testing.assert_allclose(widths[1:] / widths[:-1], 4**-0.25)
    assert (np.diff(views[:5, :, 0], axis=0) > -1e-12).all()


@pytest.mark.parametrize("position", [-0.1, 2.1, np.nan])
def test_there_is_no_view_beyond_the_levels(display, position):
    with pytest.raises(ValueError, match="position must be in 0 to 2"):
        display.view(position)
