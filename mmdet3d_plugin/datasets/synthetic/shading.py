"""The colour of a ray: procedural materials, lighting and haze (Numba)."""

from __future__ import annotations

import math

import numpy as np

from ...machine_code import compiled
from .catalog import DRIVEABLE, OTHER_FLAT, SIDEWALK
from .light import Light, Shadow, skylight, sunlight, texture_noise
from .parts import BODYWORK, BRICK, COACH, FACADE, FOLIAGE, GLASS, SLATS, STRIPES, WHEEL
from .raycast import FAR, TILE
from .road import Ground, ground_class, junction_distance, road_coordinates
from .solids import GROUND, SKY, Solids, local_hit, nearest

shader = compiled(error_model="numpy", fastmath=True)


@shader
def _band(distance, half_width, blur):
    """Coverage of a pixel of footprint `blur` by a stripe whose middle is `distance` away."""
    blur = max(blur, 1e-3)
    return max(0.0, min(1.0, (half_width - abs(distance)) / blur + 0.5, 2 * half_width / blur))


@shader
def _repeat(x, period):
    """Signed distance to the nearest multiple of the period."""
    return x - period * math.floor(x / period + 0.5)


@shader
def _markings(ground, s, d, blur):
    """Share of a pixel covered by white road paint."""
    section, a = ground.section, abs(d)
    q = junction_distance(ground, s)
    if q < 0.0 or a > section[3]:
        return 0.0
    if 1.0 < q < 4.0:
        return _band(_repeat(d, 1.1), 0.28, blur) if a > section[0] else 0.0
    if q >= 4.0:
        paint = 0.0
        if q < 5.4 and a > section[0]:
            paint = _band(q - 4.9, 0.2, blur)
        dash = _band(_repeat(s, 9.0), 1.5, blur)
        paint = max(paint, dash * _band(a - section[1], 0.07, blur))
        paint = max(paint, _band(a - section[2] + 0.1, 0.07, blur))
        if section[0] == 0.0:
            paint = max(paint, _band(a - 0.13, 0.06, blur))
        return paint
    return 0.0


@shader
def _ground_albedo(ground, noise, x, y, blur):
    s, d = road_coordinates(ground, x, y)
    kind = ground_class(ground, s, d)
    broad = texture_noise(noise, x, y, 5.0, blur, 11.0)
    fine = texture_noise(noise, x, y, 0.35, blur, 23.0)
    if kind == DRIVEABLE:
        base = 0.085 * (1 + 0.30 * broad + 0.35 * fine)
        wear = _markings(ground, s, d, blur) * (0.86 + 0.25 * broad)
        return base * (1 - wear) + 0.66 * wear, base * (1 - wear) + 0.66 * wear, base * 1.05 * (1 - wear) + 0.64 * wear
    if kind == OTHER_FLAT:
        joint = max(_band(_repeat(s, 0.4), 0.02, blur), _band(_repeat(d, 0.2), 0.015, blur))
        gain = (1 + 0.2 * broad + 0.25 * fine) * (1 - 0.4 * joint)
        edge = 0.35 * _band(abs(d) - ground.section[3], 0.15, blur)
        return 0.36 * gain + edge, 0.17 * gain + edge, 0.13 * gain + edge
    if kind == SIDEWALK:
        joint = max(_band(_repeat(s, 1.2), 0.03, blur), _band(_repeat(d, 1.2), 0.03, blur))
        slab = texture_noise(noise, 7.3 * math.floor(s / 1.2), 5.1 * math.floor(d / 1.2), 1.0, 0.0, 31.0)
        gain = (1 + 0.12 * broad + 0.16 * fine + 0.12 * slab * max(0.0, 1 - blur)) * (1 - 0.45 * joint)
        return 0.42 * gain, 0.40 * gain, 0.36 * gain
    gain = 1 + 0.35 * fine + 0.25 * texture_noise(noise, x, y, 1.3, blur, 37.0)
    dry = 0.5 + 0.5 * broad
    return (0.115 + 0.12 * dry) * gain, (0.20 + 0.05 * dry) * gain, 0.055 * gain


@shader
def _facade(noise, u, v, height, blur, r, g, b, seed):
    """Plaster with rows of windows; u along the wall, v above its foot, metres."""
    gain = (
        1
        + 0.12 * texture_noise(noise, u, v, 1.5, blur, seed)
        + 0.06 * texture_noise(noise, u, v, 0.3, blur, seed + 5.0)
    )
    r, g, b = r * gain, g * gain, b * gain
    du, dv = _repeat(u, 2.4), v - 3.0 * math.floor(v / 3.0) - 1.65
    row = math.floor(v / 3.0) * 3.0 + 2.6 < height
    frame = _band(du, 0.66, blur) * _band(dv, 0.84, blur) if row else 0.0
    pane = _band(du, 0.56, blur) * _band(dv, 0.74, blur) * (1 - _band(du, 0.035, blur)) if row else 0.0
    sill = _band(dv + 0.92, 0.07, blur) * _band(du, 0.74, blur) if row else 0.0
    light = max(frame - pane, sill)
    glow = 1 + 0.7 * texture_noise(noise, 3.7 * math.floor(u / 2.4 + 0.5), 9.1 * math.floor(v / 3.0), 1.0, 0.0, seed)
    r, g, b = r * (1 - light) + 0.72 * light, g * (1 - light) + 0.72 * light, b * (1 - light) + 0.70 * light
    return r * (1 - pane) + 0.05 * glow * pane, g * (1 - pane) + 0.07 * glow * pane, b * (1 - pane) + 0.10 * glow * pane


@shader
def _bodywork(lx, ly, lz, nx, hx, hy, hz, blur, r, g, b):
    """Car paint with door gaps, lamps and number plates."""
    if abs(nx) > 0.5:
        lamp = _band(abs(ly) - 0.72 * hy, 0.2 * hy, blur) * _band(lz - 0.35 * hz, 0.22 * hz, blur)
        plate = _band(ly, 0.26, blur) * _band(lz + 0.4 * hz, 0.06, blur)
        lr, lg, lb = (0.9, 0.9, 0.8) if nx > 0 else (0.75, 0.03, 0.03)
        r, g, b = r * (1 - lamp) + lr * lamp, g * (1 - lamp) + lg * lamp, b * (1 - lamp) + lb * lamp
        return r * (1 - plate) + 0.8 * plate, g * (1 - plate) + 0.8 * plate, b * (1 - plate) + 0.75 * plate
    gap = max(_band(abs(lx) - 0.22 * hx, 0.015, blur), _band(lz + 0.82 * hz, 0.1 * hz, blur)) * 0.6
    return r * (1 - gap), g * (1 - gap), b * (1 - gap)


@shader
def _solid_albedo(solids, noise, i, lx, ly, lz, nx, ny, nz, blur):
    r, g, b = solids.colour[i, 0], solids.colour[i, 1], solids.colour[i, 2]
    hx, hy, hz = solids.geometry[i, 5], solids.geometry[i, 6], solids.geometry[i, 7]
    material, seed = solids.material[i], solids.owner[i] * 13.0 + 3.0
    side = abs(nz) < 0.5
    u = lx if abs(ny) > abs(nx) else ly
    if material == FACADE and side:
        return _facade(noise, u, lz + hz, 2 * hz, blur, r, g, b, seed)
    if material == FOLIAGE:
        if abs(nz) > 0.6:
            u, v = lx, ly
        else:
            v = lz
        clump = texture_noise(noise, u, v, 0.9, blur, seed)
        leaf = texture_noise(noise, u, v, 0.22, blur, seed + 7.0)
        gain = max(0.25, (1 + 0.55 * clump + 0.9 * leaf) * (0.8 + 0.2 * lz / hz))
        return r * gain * 1.02, g * gain, b * gain * 0.9
    if material == BRICK and side:
        course = math.floor((lz + hz) / 0.16)
        joint = max(
            _band(_repeat(lz + hz, 0.16), 0.012, blur), _band(_repeat(u + 0.2 * (course % 2), 0.4), 0.012, blur)
        )
        gain = 1 + 0.22 * texture_noise(noise, u, lz, 0.5, blur, seed)
        return (
            r * gain * (1 - joint) + 0.5 * joint,
            g * gain * (1 - joint) + 0.48 * joint,
            b * gain * (1 - joint) + 0.45 * joint,
        )
    if material == STRIPES:
        white = _band(_repeat(u + lz, 0.5), 0.125, blur)
        return r * (1 - white) + 0.8 * white, g * (1 - white) + 0.8 * white, b * (1 - white) + 0.8 * white
    if material == BODYWORK:
        return _bodywork(lx, ly, lz, nx, hx, hy, hz, blur, r, g, b)
    if material == COACH and side:
        pane = _band(lz - 0.32 * hz, 0.34 * hz, blur) * (1 - _band(_repeat(u, 1.5), 0.06, blur))
        stripe = _band(lz + 0.45 * hz, 0.06 * hz, blur)
        r, g, b = r * (1 - stripe) + 0.6 * stripe, g * (1 - stripe) + 0.1 * stripe, b * (1 - stripe) + 0.08 * stripe
        return r * (1 - pane) + 0.04 * pane, g * (1 - pane) + 0.05 * pane, b * (1 - pane) + 0.07 * pane
    if material == SLATS:
        groove = _band(_repeat(u if side else lx, 0.3), 0.025, blur) * 0.55
        gain = (1 + 0.14 * texture_noise(noise, u, lz, 0.6, blur, seed)) * (1 - groove)
        return r * gain, g * gain, b * gain
    if material == WHEEL and abs(ny) > 0.5:
        hub = _band(math.sqrt(lx * lx + lz * lz), 0.6 * hx, blur)
        return r * (1 - hub) + 0.38 * hub, g * (1 - hub) + 0.39 * hub, b * (1 - hub) + 0.41 * hub
    gain = 1 + 0.12 * texture_noise(noise, lx + 0.6 * lz, ly - 0.5 * lz, 0.5, blur, seed)
    return r * gain, g * gain, b * gain


@shader
def _sky(light, dx, dy, dz):
    """Gradient with clouds and a sun disc; (dx, dy, dz) is a unit vector."""
    up = max(dz, 0.0)
    mix = 1 - math.exp(-4.5 * up)
    r = light.horizon[0] * (1 - mix) + light.zenith[0] * mix
    g = light.horizon[1] * (1 - mix) + light.zenith[1] * mix
    b = light.horizon[2] * (1 - mix) + light.zenith[2] * mix
    if up > 0.015:
        cx, cy = dx / (up + 0.12), dy / (up + 0.12)
        cloud = texture_noise(light.noise, cx, cy, 1.1, 0.0, 71.0) + 0.35 * texture_noise(
            light.noise, cx, cy, 0.3, 0.0, 83
        )
        cloud = min(max((cloud - 0.02) * 1.6, 0.0), 0.85) * min(1.0, up * 7)
        r, g, b = r * (1 - cloud) + 0.92 * cloud, g * (1 - cloud) + 0.93 * cloud, b * (1 - cloud) + 0.95 * cloud
    glow = max(0.0, dx * light.to_sun[0] + dy * light.to_sun[1] + dz * light.to_sun[2])
    halo = 0.25 * glow**12 + 0.9 * glow**400
    return r + halo, g + 0.92 * halo, b + 0.75 * halo


@shader
def _radiance(solids, ground, light, shadow, found, t, ox, oy, oz, dx, dy, dz, pixel):
    """Linear RGB of a ray that meets `found` at o + t d; `pixel` is the size of a pixel at unit depth."""
    norm = math.sqrt(dx * dx + dy * dy + dz * dz)
    ux, uy, uz = dx / norm, dy / norm, dz / norm
    if found == SKY:
        return _sky(light, ux, uy, uz)
    x, y, z, blur = ox + t * dx, oy + t * dy, oz + t * dz, t * pixel
    if found == GROUND:
        r, g, b = _ground_albedo(ground, light.noise, x, y, blur / math.sqrt(max(-uz, 0.01)))
        wx, wy, wz, dim = 0.0, 0.0, 1.0, skylight(shadow, x, y)
    else:
        lx, ly, lz, nx, ny, nz = local_hit(solids.geometry, found, x, y, z)
        r, g, b = _solid_albedo(solids, light.noise, found, lx, ly, lz, nx, ny, nz, blur)
        c, s = solids.geometry[found, 3], solids.geometry[found, 4]
        wx, wy, wz = c * nx - s * ny, s * nx + c * ny, nz
        dim = (0.62 + 0.38 * wz) * (0.7 + 0.3 * min(1.0, z / 0.9))
    facing = wx * light.to_sun[0] + wy * light.to_sun[1] + wz * light.to_sun[2]
    sun = facing * sunlight(shadow, light, x + 0.25 * wx, y + 0.25 * wy, z + 0.03 * wz) if facing > 0.0 else 0.0
    r *= sun * light.sun[0] + dim * light.sky[0]
    g *= sun * light.sun[1] + dim * light.sky[1]
    b *= sun * light.sun[2] + dim * light.sky[2]
    if found >= 0 and (solids.material[found] == GLASS or solids.material[found] == BODYWORK):
        k = 2 * (ux * wx + uy * wy + uz * wz)
        mirror = (0.42 if solids.material[found] == GLASS else 0.08) * (1 - 0.5 * min(1.0, abs(k)))
        sr, sg, sb = _sky(light, ux - k * wx, uy - k * wy, max(uz - k * wz, 0.12))
        r, g, b = r + mirror * sr, g + mirror * sg, b + mirror * sb
    clear = math.exp(-t * norm * light.haze)
    return (
        r * clear + light.horizon[0] * (1 - clear),
        g * clear + light.horizon[1] * (1 - clear),
        b * clear + light.horizon[2] * (1 - clear),
    )


@shader
def shade_image(solids, ground, light, shadow, start, members, reach, origin, rotation, intrinsics, depth, hit):
    """Colours of an image; pixels at the border of a solid are averaged over four rays.

    Returns:
        [height, width, 3] float32 linear RGB.
    """
    height, width = hit.shape
    image = np.empty((height, width, 3), np.float32)
    columns, pixel = (width + TILE - 1) // TILE, 1.0 / intrinsics[0, 0]
    ox, oy, oz = origin[0], origin[1], origin[2]
    for v in range(height):
        for u in range(width):
            here = hit[v, u]
            border = (
                (u > 0 and hit[v, u - 1] != here) or (u + 1 < width and hit[v, u + 1] != here)
                or (v > 0 and hit[v - 1, u] != here) or (v + 1 < height and hit[v + 1, u] != here)
            )  # fmt: skip
            r, g, b = 0.0, 0.0, 0.0
            rays = 4 if border else 1
            tile = (v // TILE) * columns + u // TILE
            for k in range(rays):
                x = (u + ((k % 2) * 0.5 - 0.25 if border else 0.0) - intrinsics[0, 2]) / intrinsics[0, 0]
                y = (v + ((k // 2) * 0.5 - 0.25 if border else 0.0) - intrinsics[1, 2]) / intrinsics[1, 1]
                dx = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2]
                dy = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2]
                dz = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2]
                t, found = float(depth[v, u]), here
                if border:
                    t, found = nearest(
                        solids.geometry, members, start[tile], start[tile + 1], reach, ox, oy, oz, dx, dy, dz, FAR
                    )
                cr, cg, cb = _radiance(solids, ground, light, shadow, found, t, ox, oy, oz, dx, dy, dz, pixel)
                r, g, b = r + cr, g + cg, b + cb
            image[v, u, 0], image[v, u, 1], image[v, u, 2] = r / rays, g / rays, b / rays
    return image


def display_values(image: np.ndarray) -> np.ndarray:
    """Display values in 0..255 of linear RGB [..., 3] float32: a film-like curve (Narkowicz 2015), then 2.2 power."""
    x = np.maximum(image, 0) * np.float32(0.8)
    curve = x * (2.51 * x + np.float32(0.03)) / (x * (2.43 * x + np.float32(0.59)) + np.float32(0.14))
    return 255 * np.power(np.minimum(curve, 1), np.float32(1 / 2.2))


def compile_shading(ground: Ground, light: Light, shadow: Shadow) -> None:
    """Compile the shader, or load it from the cache on disk, by colouring one pixel of sky."""
    solids = Solids(np.ones((1, 9)), np.ones((1, 3)), np.zeros(1, np.int64), np.zeros(1, np.int64))
    lists = (np.zeros(2, np.int64), np.zeros(0, np.int64), np.ones(1))
    sky = (np.full((1, 1), np.inf, np.float32), np.full((1, 1), SKY, np.int32))
    shade_image(solids, ground, light, shadow, *lists, np.zeros(3), np.eye(3), np.eye(3), *sky)
