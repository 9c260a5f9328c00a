"""Boundaries on a grid: of a set, of the scores above a threshold, of the failures."""

from __future__ import annotations

import math

import numpy as np

from fractal_tuner.analysis.boxes import checked_mask, part_along


def boundary(mask: np.ndarray) -> np.ndarray:
    """Where a set meets its complement: blocks of two cells along each axis that hold both.

    Parameters
    ----------
    mask : np.ndarray
        Boolean, shape (n_1, ..., n_d).

    Returns
    -------
    np.ndarray
        Boolean, shape (n_1 - 1, ..., n_d - 1): one element per corner inside.

    Examples
    --------
    >>> boundary(np.array([[0, 0, 0], [0, 0, 1]], bool)).astype(int)
    array([[0, 1]])
    """
    mask = checked_mask(mask)
    if min(mask.shape) < 2:
        raise ValueError(f"mask needs two cells along each axis, got shape {mask.shape}")
    return between(mask, ~mask)


def level_boundary(scores: np.ndarray, threshold: float) -> np.ndarray:
    """The contour {score = threshold}: blocks of cells with scores on both sides of it.

    A missing score (NaN) lies on neither side.

    Parameters
    ----------
    scores : np.ndarray
        Numbers on a grid, shape (n_1, ..., n_d).
    threshold : float
        Scores at or above it are one side.

    Examples
    --------
    >>> level_boundary(np.array([[0.0, 0.2], [np.nan, 0.9]]), 0.5)
    array([[ True]])
    """
    scores = checked_scores(scores)
    if not math.isfinite(threshold):
        raise ValueError(f"threshold must be finite, got {threshold}")
    return between(scores >= threshold, scores < threshold)


def failure_boundary(scores: np.ndarray) -> np.ndarray:
    """Where trials begin to fail: blocks of cells with finite scores and others.

    Parameters
    ----------
    scores : np.ndarray
        Numbers on a grid, shape (n_1, ..., n_d); NaN and infinities are failures.

    Examples
    --------
    >>> failure_boundary(np.array([[0.0, 0.2], [np.nan, 0.9]]))
    array([[ True]])
    """
    return boundary(np.isfinite(checked_scores(scores)))


def between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two sets meet: blocks of two cells along each axis that hold cells of both."""
    return np.asarray(_some_in_block(one) & _some_in_block(other))


def _some_in_block(mask: np.ndarray) -> np.ndarray:
    """Whether a block of two cells along each axis holds a true one."""
    for axis in range(mask.ndim):
        mask = mask[part_along(axis, 1, None)] | mask[part_along(axis, 0, -1)]
    return mask


def checked_scores(scores: np.ndarray) -> np.ndarray:
    """Scores as floats; ValueError if an axis has one cell."""
    scores = np.asarray(scores, float)
    if scores.ndim == 0 or min(scores.shape) < 2:
        raise ValueError(f"scores need two cells along each axis, got shape {scores.shape}")
    return scores
