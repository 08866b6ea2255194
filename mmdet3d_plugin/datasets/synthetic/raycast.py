"""Which solid every pixel and every lidar beam meets."""

from __future__ import annotations

import math

import numpy as np

from .solids import GROUND, SKY, Solids, corners, interval, kernel, local_hit, nearest, transform

TILE = 16
NEAR, FAR = 0.1, 1000.0
SECTORS = 360
_EDGES = np.array([(i, j) for i in range(8) for j in range(i + 1, 8) if bin(i ^ j).count("1") == 1])


def project_bounds(
    solids: Solids, cam_from_global: np.ndarray, intrinsics: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rectangles in the image that hold the solids, clipped at the near plane.

    Args:
        solids: P solids.
        cam_from_global: [4, 4] metres.
        intrinsics: [3, 3] pixels.

    Returns:
        [P, 4] float64 (u least, v least, u greatest, v greatest), empty (inf, inf, -inf, -inf) behind the camera, and
        [P] least z-depth in metres.
    """
    points = transform(cam_from_global, corners(solids))
    start, end = points[:, _EDGES[:, 0]], points[:, _EDGES[:, 1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (NEAR - start[..., 2]) / (end[..., 2] - start[..., 2])
        cut = start + share[..., None] * (end - start)
    cut[~((share > 0) & (share < 1))] = np.nan
    cut[..., 2] = np.where(np.isnan(cut[..., 2]), np.nan, NEAR)
    every = np.concatenate((np.where(points[..., 2:] >= NEAR, points, np.nan), cut), axis=1)
    uv = every[..., :2] / every[..., 2:] * (intrinsics[0, 0], intrinsics[1, 1]) + intrinsics[:2, 2]
    low = np.where(np.isnan(uv), np.inf, uv).min(1)
    high = np.where(np.isnan(uv), -np.inf, uv).max(1)
    return np.concatenate((low, high), -1), np.maximum(points[..., 2].min(1), 0.0)


@kernel
def _bin_rectangles(order, tiles, columns, rows):
    """Lists of the solids of every tile, in the given order: (start [tiles + 1], members). Columns may wrap around."""
    start = np.zeros(columns * rows + 1, np.int64)
    for i in order:
        for ty in range(tiles[i, 1], tiles[i, 3] + 1):
            for tx in range(tiles[i, 0], tiles[i, 2] + 1):
                start[ty * columns + tx % columns + 1] += 1
    for k in range(columns * rows):
        start[k + 1] += start[k]
    fill, members = start[:-1].copy(), np.empty(start[-1], np.int64)
    for i in order:
        for ty in range(tiles[i, 1], tiles[i, 3] + 1):
            for tx in range(tiles[i, 0], tiles[i, 2] + 1):
                tile = ty * columns + tx % columns
                members[fill[tile]] = i
                fill[tile] += 1
    return start, members


def tile_lists(
    solids: Solids, cam_from_global: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solids that pixels of every 16 x 16 tile may see, nearest first.

    Returns:
        start [tiles + 1] and members: the list of tile k is members[start[k] : start[k + 1]]; reach [P]: least z-depth.
    """
    rectangles, reach = project_bounds(solids, cam_from_global, intrinsics)
    width, height = size
    inside = (
        (rectangles[:, 2] > -1) & (rectangles[:, 3] > -1) & (rectangles[:, 0] < width) & (rectangles[:, 1] < height)
    )
    clipped = np.clip(rectangles, (-1, -1, -1, -1), (width, height, width, height))
    tiles = np.floor((clipped + np.array([-1, -1, 1, 1])) / TILE).astype(np.int64)
    columns, rows = -(-width // TILE), -(-height // TILE)
    tiles = np.clip(tiles, 0, (columns - 1, rows - 1, columns - 1, rows - 1))
    order = np.argsort(reach, kind="stable")
    start, members = _bin_rectangles(order[inside[order]], tiles, columns, rows)
    return start, members, reach


@kernel
def cast_image(geometry, start, members, reach, origin, rotation, intrinsics, width, height):
    """Exact z-depth and what is met at the middle of every pixel.

    Args:
        origin, rotation: global_from_cam, metres.

    Returns:
        depth [height, width] float32 metres (inf for sky); hit [height, width] int32, solid index or GROUND or SKY.
    """
    depth = np.empty((height, width), np.float32)
    hit = np.empty((height, width), np.int32)
    columns = (width + TILE - 1) // TILE
    ox, oy, oz = origin[0], origin[1], origin[2]
    for v in range(height):
        y = (v - intrinsics[1, 2]) / intrinsics[1, 1]
        for u in range(width):
            x = (u - intrinsics[0, 2]) / intrinsics[0, 0]
            dx = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2]
            dy = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2]
            dz = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2]
            tile = (v // TILE) * columns + u // TILE
            t, found = nearest(geometry, members, start[tile], start[tile + 1], reach, ox, oy, oz, dx, dy, dz, FAR)
            depth[v, u] = t if found != SKY else np.inf
            hit[v, u] = found
    return depth, hit


@kernel
def count_pixels(geometry, owners, start, members, origin, rotation, intrinsics, hit, objects, step):
    """Pixels of every object: seen, and covered by it if nothing else existed; every `step`-th pixel counts.

    Returns:
        [objects, 2] int64.
    """
    counts = np.zeros((objects, 2), np.int64)
    last = np.zeros(objects, np.int64)  # 1 + the pixel in which the object was met last
    height, width = hit.shape
    columns = (width + TILE - 1) // TILE
    for v in range(0, height, step):
        y = (v - intrinsics[1, 2]) / intrinsics[1, 1]
        for u in range(0, width, step):
            x = (u - intrinsics[0, 2]) / intrinsics[0, 0]
            dx = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2]
            dy = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2]
            dz = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2]
            if hit[v, u] >= 0:
                counts[owners[hit[v, u]], 0] += 1
            tile, pixel = (v // TILE) * columns + u // TILE, v * width + u + 1
            for k in range(start[tile], start[tile + 1]):
                i = members[k]
                owner = owners[i]
                if last[owner] == pixel:
                    continue
                t0, t1 = interval(geometry, i, origin[0], origin[1], origin[2], dx, dy, dz)
                if t0 <= t1 and t0 > 0.0 and (dz >= 0.0 or t0 < -origin[2] / dz):
                    last[owner] = pixel
                    counts[owner, 1] += 1
    return counts


def sector_lists(solids: Solids, origin: np.ndarray, reach_limit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solids that rays of every 1-degree sector of global azimuth may meet, nearest first; as `tile_lists`."""
    offset = solids.geometry[:, :2] - origin[:2]
    distance = np.hypot(offset[:, 0], offset[:, 1])
    radius = np.hypot(solids.geometry[:, 5], solids.geometry[:, 6])
    reach = np.maximum(distance - radius, 0.0)
    width = np.where(distance > radius, np.arcsin(np.minimum(radius / np.maximum(distance, 1e-9), 1.0)), math.pi)
    middle = np.arctan2(offset[:, 1], offset[:, 0])
    first = np.floor((middle - width) / (2 * math.pi) * SECTORS).astype(np.int64)
    last = np.minimum(np.floor((middle + width) / (2 * math.pi) * SECTORS).astype(np.int64), first + SECTORS - 1)
    tiles = np.stack((first, np.zeros_like(first), last, np.zeros_like(first)), -1)
    order = np.argsort(reach, kind="stable")
    start, members = _bin_rectangles(order[reach[order] < reach_limit], tiles, SECTORS, 1)
    return start, members, reach


@kernel
def cast_beams(geometry, start, members, reach, origin, directions, limit):
    """Range, target and cosine of incidence of every beam.

    Args:
        origin: [3] global position, metres.
        directions: [R, 3] unit vectors, global axes.
        limit: greatest range, metres.

    Returns:
        range [R] float64 (inf: no return), hit [R] int64, cosine [R] float64.
    """
    count, (ox, oy, oz) = directions.shape[0], (origin[0], origin[1], origin[2])
    distance, hit, cosine = np.empty(count), np.empty(count, np.int64), np.zeros(count)
    for r in range(count):
        dx, dy, dz = directions[r, 0], directions[r, 1], directions[r, 2]
        sector = math.floor(math.atan2(dy, dx) / (2 * math.pi) * SECTORS) % SECTORS
        begin, end = start[sector], start[sector + 1]
        t, found = nearest(geometry, members, begin, end, reach, ox, oy, oz, dx, dy, dz, limit)
        distance[r], hit[r] = (t, found) if found != SKY else (math.inf, SKY)
        if found == GROUND:
            cosine[r] = -dz
        elif found >= 0:
            _, _, _, nx, ny, nz = local_hit(geometry, found, ox + t * dx, oy + t * dy, oz + t * dz)
            c, s = geometry[found, 3], geometry[found, 4]
            cosine[r] = -((c * nx - s * ny) * dx + (s * nx + c * ny) * dy + nz * dz)
    return distance, hit, cosine
