// Decoding label volumes and turning them into instances. No DOM, no WebGL.

const EMPTY = 0; // value of a padded cell that holds nothing; other cells hold id + 1
const TOP = 1 << 5;
// Four slightly different directions to the sun, in voxels per voxel upward: their mean gives soft shadow edges.
const SUN_STEPS = [[-0.52, 0.36], [-0.46, 0.42], [-0.58, 0.30], [-0.50, 0.33]];

async function inflate(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Volumes of a frame: truth, prediction as label ids per voxel in [Z, Y, X] order, mask as packed bits or null. */
async function decodeFrame(frame) {
  const [truth, prediction, mask] = await Promise.all([
    inflate(frame.truth), inflate(frame.prediction), frame.mask ? inflate(frame.mask) : null,
  ]);
  return { truth, prediction, mask };
}

const STATUS = { correct: 0, wrong: 1, missed: 2, hallucinated: 3 };

/** Status of one voxel, -1 where there is nothing to draw. Twin of `visualization.views.difference`. */
function compare(truth, prediction, space) {
  if (truth === space.ignore) return -1;
  if (truth !== space.free) {
    if (prediction === space.free) return STATUS.missed;
    return truth === prediction ? STATUS.correct : STATUS.wrong;
  }
  return prediction !== space.free ? STATUS.hallucinated : -1;
}

/**
 * What one pane shows: a volume padded by one empty cell on every side, with id + 1 of each shown voxel.
 * kind: "truth" | "prediction" | "difference" (ids are then statuses).
 */
function selectVoxels(volumes, kind, filter, space, shape) {
  const [nx, ny, nz] = shape;
  const cells = new Uint8Array((nx + 2) * (ny + 2) * (nz + 2));
  const { truth, prediction, mask } = volumes;
  const useMask = filter.observedOnly && mask;
  for (let z = 0, i = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      let cell = ((z + 1) * (ny + 2) + y + 1) * (nx + 2) + 1;
      for (let x = 0; x < nx; x++, i++, cell++) {
        const t = truth[i], p = prediction[i];
        if (t === space.free && p === space.free) continue;
        if (useMask && !(mask[i >> 3] >> (i & 7) & 1)) continue;
        if (kind === "difference") {
          const status = compare(t, p, space);
          if (status < 0 || filter.hiddenStatus.has(status)) continue;
          if (filter.hidden.has(t === space.free ? p : t)) continue;
          cells[cell] = status + 1;
        } else {
          const id = kind === "truth" ? t : p;
          if (id === space.free || id === space.ignore || filter.hidden.has(id)) continue;
          cells[cell] = id + 1;
        }
      }
    }
  }
  return cells;
}

/**
 * One instance per voxel with at least one free neighbour: (x, y, z, info) as uint16.
 * info = id | faces << 8 | shade << 14; bit 2 * axis + side of faces is set when that face is visible; shade counts
 * the sun rays (of four, saturated at 3) that other voxels block on the way to the top face.
 */
function surfaceInstances(cells, shape) {
  const [nx, ny, nz] = shape;
  const sy = nx + 2, sz = (nx + 2) * (ny + 2);
  let data = new Uint16Array(4 * 65536), count = 0;
  for (let z = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++) {
        const at = (z + 1) * sz + (y + 1) * sy + x + 1;
        const value = cells[at];
        if (value === EMPTY) continue;
        const faces = (cells[at - 1] ? 0 : 1) | (cells[at + 1] ? 0 : 2) | (cells[at - sy] ? 0 : 4)
          | (cells[at + sy] ? 0 : 8) | (cells[at - sz] ? 0 : 16) | (cells[at + sz] ? 0 : TOP);
        if (!faces) continue;
        if (4 * count === data.length) {
          const larger = new Uint16Array(2 * data.length);
          larger.set(data);
          data = larger;
        }
        const shade = faces & TOP ? blockedRays(cells, x, y, z, nx, ny, nz, sy, sz) : 0;
        data.set([x, y, z, (value - 1) | faces << 8 | Math.min(shade, 3) << 14], 4 * count++);
      }
    }
  }
  return { data: data.subarray(0, 4 * count), count };
}

function blockedRays(cells, x, y, z, nx, ny, nz, sy, sz) {
  let blocked = 0;
  for (const [dx, dy] of SUN_STEPS) {
    for (let k = 1; z + k < nz; k++) {
      const u = Math.round(x + k * dx), v = Math.round(y + k * dy);
      if (u < 0 || v < 0 || u >= nx || v >= ny) break;
      if (cells[(z + k + 1) * sz + (v + 1) * sy + u + 1]) { blocked++; break; }
    }
  }
  return blocked;
}

/** Voxels per class and their overlap in one frame: what the legend prints. */
function countVoxels(volumes, observedOnly, space) {
  const n = space.classes.length;
  const counts = { truth: new Uint32Array(n), prediction: new Uint32Array(n), both: new Uint32Array(n), status: new Uint32Array(4) };
  const { truth, prediction, mask } = volumes;
  const useMask = observedOnly && mask;
  for (let i = 0; i < truth.length; i++) {
    const t = truth[i], p = prediction[i];
    if (t === space.free && p === space.free) continue;
    if (useMask && !(mask[i >> 3] >> (i & 7) & 1)) continue;
    if (t === space.ignore) continue;
    counts.truth[t]++;
    counts.prediction[p]++;
    if (t === p) counts.both[t]++;
    counts.status[compare(t, p, space)]++;
  }
  return counts;
}

/**
 * First shown voxel along a ray, by walking from cell to cell (Amanatides & Woo, 1987).
 * origin, direction in voxels. Returns [x, y, z] or null.
 */
function pickVoxel(cells, shape, origin, direction) {
  let near = 0, far = Infinity;
  for (let a = 0; a < 3; a++) {
    const t0 = -origin[a] / direction[a], t1 = (shape[a] - origin[a]) / direction[a];
    near = Math.max(near, Math.min(t0, t1));
    far = Math.min(far, Math.max(t0, t1));
  }
  if (!(near < far)) return null;
  const cell = [0, 0, 0], step = [0, 0, 0], next = [0, 0, 0], delta = [0, 0, 0];
  for (let a = 0; a < 3; a++) {
    const p = origin[a] + (near + 1e-6) * direction[a];
    cell[a] = Math.min(Math.max(Math.floor(p), 0), shape[a] - 1);
    step[a] = direction[a] > 0 ? 1 : -1;
    delta[a] = Math.abs(1 / direction[a]);
    next[a] = near + ((cell[a] + (step[a] > 0 ? 1 : 0)) - p) / direction[a];
  }
  const sy = shape[0] + 2, sz = sy * (shape[1] + 2);
  for (;;) {
    if (cells[(cell[2] + 1) * sz + (cell[1] + 1) * sy + cell[0] + 1]) return cell;
    const a = next[0] < next[1] ? (next[0] < next[2] ? 0 : 2) : (next[1] < next[2] ? 1 : 2);
    cell[a] += step[a];
    if (cell[a] < 0 || cell[a] >= shape[a]) return null;
    next[a] += delta[a];
  }
}
