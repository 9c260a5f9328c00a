"""Time of counting boxes and of the whole estimate, against PoreSpy's ``boxcount``, in one run.

    python examples/benchmark/box_counting.py

PoreSpy counts at ten sizes of its own choice, from 10 cells on; the dyadic counts here are at 1, 2,
4, ... cells, the estimate at all of 1, 2, 3, 4, 6, 8, ... cells up to a third of the set. CPU
seconds, best of several runs of each, in turns.
"""

import sys
import time

import numpy as np

from fractal_tuner.analysis.boundaries import boundary
from fractal_tuner.analysis.boxcount import box_dimension
from fractal_tuner.analysis.boxes import box_counts
from fractal_tuner.fractals import julia_set

# What is asked for: times faster than PoreSpy, for dyadic counts and for the estimate.
TARGETS = {"1024^2": (100, 1), "4096^2": (100, 1), "256^3": (50, 1)}


def arrays():
    """The basilica's edge at two sizes, and scattered cells of a cube."""
    yield "1024^2", np.pad(boundary(julia_set(-1, 1024, 60).values), (0, 1))
    edge = boundary(julia_set(-1, 2048, 60).values)
    yield "4096^2", np.pad(edge, (0, 1)).repeat(2, axis=0).repeat(2, axis=1)
    yield "256^3", np.random.default_rng(0).random((256, 256, 256)) < 0.01


def cpu_seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


def main():
    try:
        import porespy
    except ImportError:
        sys.exit("This compares with PoreSpy, which is not installed: pip install porespy")
    porespy.settings.tqdm["disable"] = True
    print(f"{'':8}{'PoreSpy':>10}{'counts':>10}{'ratio':>8}{'estimate':>10}{'ratio':>8}")
    met = True
    for name, mask in arrays():
        calls = (
            lambda mask=mask: porespy.metrics.boxcount(mask),
            lambda mask=mask: box_counts(mask),
            lambda mask=mask: box_dimension(mask),
        )
        times = np.min([[cpu_seconds(call) for call in calls] for _ in range(4)], axis=0)
        peer, counts, estimate = times
        met &= peer >= TARGETS[name][0] * counts and peer >= TARGETS[name][1] * estimate
        print(
            f"{name:8}{peer:9.3f}s{counts:9.5f}s{peer / counts:8.0f}"
            f"{estimate:9.3f}s{peer / estimate:8.1f}"
        )
    asked = ", ".join(f"{name} {a}x and {b}x" for name, (a, b) in TARGETS.items())
    print(f"asked for: {asked}: {'met' if met else 'missed'}")


if __name__ == "__main__":
    main()
