"""Tiles of large grids: small parts at strides 1, 2, 4, ..., all of one shape."""

from __future__ import annotations

import math

import numpy as np

MAX_TILES = 64  # of neighbouring cells


def tile_shape(shape: tuple[int, ...], cells: int) -> tuple[int, ...]:
    """The most nearly cubic part of a grid with at most so many cells, fewer than the grid has."""
    tile = [1] * len(shape)
    while True:
        sides = [k for k, length in enumerate(shape) if tile[k] < length]
        grown = min(sides, key=lambda k: tile[k])
        tile[grown] += 1
        if math.prod(tile) > cells:
            tile[grown] -= 1
            return tuple(tile)


def largest_stride(shape: tuple[int, ...], tile: tuple[int, ...]) -> int:
    """The largest stride at which a tile fits in the grid."""
    pairs = [(length, side) for length, side in zip(shape, tile, strict=True) if side > 1]
    return min((length - 1) // (side - 1) for length, side in pairs)


def tile_strides(shape: tuple[int, ...], tile: tuple[int, ...]) -> list[int]:
    """1, 2, 4, ... as long as a tile fits in the grid."""
    return [2**k for k in range(largest_stride(shape, tile).bit_length())]


def tiles_at(z: np.ndarray, tile: tuple[int, ...], stride: int) -> np.ndarray:
    """Tiles spread over a grid, shape (cells of a tile, n_tiles).

    Examples
    --------
    >>> tiles_at(np.arange(9.0), (2,), 4).T
    array([[2., 6.]])
    """
    sides = [(side - 1) * stride + 1 for side in tile]
    places = [length // side for length, side in zip(z.shape, sides, strict=True)]
    while math.prod(places) > MAX_TILES:
        places[places.index(max(places))] -= 1
    starts = [
        np.linspace(0, length - side, count + 2)[1:-1].round().astype(int)
        if count == 1
        else np.linspace(0, length - side, count).round().astype(int)
        for length, side, count in zip(z.shape, sides, places, strict=True)
    ]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, z.ndim)
    columns = [
        z[tuple(slice(c, c + side, stride) for c, side in zip(corner, sides, strict=True))].ravel()
        for corner in corners
    ]
    return np.stack(columns, axis=1)
