// WebGL2: instanced cubes with ambient occlusion, soft shadows and voxel edges; an orbit camera. Metres, z up.

const CUBE_VERTEX = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D voxels; // instances, row by row
uniform mat4 clipFromWorld;
uniform vec3 eye, lower, size;
uniform sampler2D palette;
out vec3 world;
out vec2 corner;
flat out vec3 colour;
flat out ivec3 cell;
flat out ivec2 face; // axis, side (0 or 1)
flat out float sun;

void main() {
  // A cube shows at most three faces; which of the two along an axis depends on the side of the eye.
  const int order[6] = int[6](0, 1, 2, 2, 1, 3);
  int instance = gl_VertexID / 18, row = textureSize(voxels, 0).x;
  uvec4 voxel = texelFetch(voxels, ivec2(instance % row, instance / row), 0);
  int axis = gl_VertexID / 6 % 3, vertex = order[gl_VertexID % 6];
  cell = ivec3(voxel.xyz);
  vec3 middle = lower + (vec3(cell) + 0.5) * size;
  int side = eye[axis] > middle[axis] ? 1 : 0;
  uint faces = voxel.w >> 8 & 63u;
  if ((faces >> (2 * axis + side) & 1u) == 0u) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  corner = vec2(vertex & 1, vertex >> 1);
  vec3 offset;
  offset[axis] = float(side) - 0.5;
  offset[(axis + 1) % 3] = corner.x - 0.5;
  offset[(axis + 2) % 3] = corner.y - 0.5;
  world = middle + offset * size;
  face = ivec2(axis, side);
  colour = texelFetch(palette, ivec2(int(voxel.w & 255u), 0), 0).rgb;
  sun = axis == 2 && side == 1 ? 1.0 - float(voxel.w >> 14) / 3.0 : 1.0;
  gl_Position = clipFromWorld * vec4(world, 1.0);
}`;

const CUBE_FRAGMENT = `#version 300 es
precision highp float;
precision highp usampler3D;
in vec3 world;
in vec2 corner;
flat in vec3 colour;
flat in ivec3 cell;
flat in ivec2 face;
flat in float sun;
uniform usampler3D cells;
uniform vec3 eye, background;
uniform float fog;
uniform ivec3 picked;
out vec4 pixel;

const vec3 SUN = normalize(vec3(-0.52, 0.36, 1.0));

float solid(ivec3 at) { return texelFetch(cells, at + 1, 0).r > 0u ? 1.0 : 0.0; }

// How open a corner is, 0..1: the more of the three voxels around it stand in front of the face, the darker.
float openness(float a, float b, ivec3 diagonal) {
  return a * b > 0.5 ? 0.0 : 1.0 - (a + b + solid(diagonal)) / 3.0;
}

void main() {
  ivec3 facing = ivec3(0), u = ivec3(0), v = ivec3(0);
  facing[face.x] = 2 * face.y - 1;
  u[(face.x + 1) % 3] = 1;
  v[(face.x + 2) % 3] = 1;
  ivec3 front = cell + facing;
  vec3 normal = vec3(facing);
  float left = solid(front - u), right = solid(front + u), below = solid(front - v), above = solid(front + v);
  float sky = mix(mix(openness(left, below, front - u - v), openness(right, below, front + u - v), corner.x),
                  mix(openness(left, above, front - u + v), openness(right, above, front + u + v), corner.x), corner.y);
  float direct = max(dot(normal, SUN), 0.0) * sun;
  float ambient = 0.36 + 0.12 * normal.z;
  float light = (ambient + 0.6 * direct) * mix(0.42, 1.0, sky);
  vec3 linear = pow(colour, vec3(2.2));
  linear = mix(linear, vec3(dot(linear, vec3(0.2126, 0.7152, 0.0722))), 0.12) * light; // palettes are loud
  // Voxel edges, as wide as a pixel at least, that fade where voxels become small.
  vec2 width = fwidth(corner), rim = min(corner, 1.0 - corner);
  float coarse = max(width.x, width.y);
  float line = 1.0 - min(smoothstep(0.0, max(width.x, 0.035) * 1.3, rim.x), smoothstep(0.0, max(width.y, 0.035) * 1.3, rim.y));
  linear *= 1.0 - 0.42 * line * (1.0 - smoothstep(0.08, 0.4, coarse));
  if (cell == picked) linear = mix(linear, vec3(1.0), 0.45 + 0.4 * line);
  vec3 shown = pow(linear, vec3(1.0 / 2.2));
  float haze = 1.0 - exp(-distance(eye, world) * fog);
  pixel = vec4(mix(shown, background, haze * haze), 1.0);
}`;

const PLAIN_VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec3 position;
layout(location = 1) in vec4 tint;
uniform mat4 clipFromWorld;
out vec4 shade;
void main() { shade = tint; gl_Position = clipFromWorld * vec4(position, 1.0); }`;

const PLAIN_FRAGMENT = `#version 300 es
precision highp float;
in vec4 shade;
out vec4 pixel;
void main() { pixel = shade; }`;

const BACKGROUND = [0.043, 0.055, 0.078];
const ROW = 2048; // instances in a row of their texture
const NOT_PICKED = [-1, -1, -1];

// --- small linear algebra, column-major as WebGL takes it ---
const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const normalise = (a) => { const n = Math.hypot(...a); return [a[0] / n, a[1] / n, a[2] / n]; };

function multiply(a, b) {
  const out = new Float32Array(16);
  for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++) {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += a[4 * k + r] * b[4 * c + k];
    out[4 * c + r] = sum;
  }
  return out;
}

/** Orbit camera around a target; azimuth from +x, elevation above the ground, radians. */
class OrbitCamera {
  constructor() {
    this.target = [0, 0, 0];
    this.distance = 60;
    this.azimuth = Math.PI;
    this.elevation = 0.7;
    this.fov = 0.72;
  }

  set(pose) { Object.assign(this, pose, { target: [...pose.target] }); }

  get eye() {
    const c = Math.cos(this.elevation);
    return [
      this.target[0] + this.distance * c * Math.cos(this.azimuth),
      this.target[1] + this.distance * c * Math.sin(this.azimuth),
      this.target[2] + this.distance * Math.sin(this.elevation),
    ];
  }

  /** Unit vectors to the right, up and forward of the picture. */
  axes() {
    const forward = normalise(subtract(this.target, this.eye));
    const right = normalise([-Math.sin(this.azimuth), Math.cos(this.azimuth), 0]);
    return { right, up: cross(right, forward), forward };
  }

  clipFromWorld(aspect) {
    const { right, up, forward } = this.axes(), eye = this.eye;
    const view = new Float32Array([
      right[0], up[0], -forward[0], 0, right[1], up[1], -forward[1], 0, right[2], up[2], -forward[2], 0,
      -dot(right, eye), -dot(up, eye), dot(forward, eye), 1,
    ]);
    const f = this.scale(aspect), near = Math.max(0.3, this.distance / 100), far = this.distance + 400;
    const projection = new Float32Array([
      f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, 2 * far * near / (near - far), 0,
    ]);
    return multiply(projection, view);
  }

  /** Focal length over half the height; narrow panes keep the horizontal field of view of a square one. */
  scale(aspect) { return Math.min(aspect, 1) / Math.tan(this.fov / 2); }

  /** Direction of the ray through normalised device coordinates. */
  ray(x, y, aspect) {
    const { right, up, forward } = this.axes(), f = this.scale(aspect);
    return normalise([0, 1, 2].map((i) => forward[i] + right[i] * x * aspect / f + up[i] * y / f));
  }

  rotate(dx, dy) {
    this.azimuth -= dx;
    this.elevation = Math.min(Math.max(this.elevation + dy, -0.2), Math.PI / 2 - 0.001);
  }

  /** Move the target over the ground, along the picture's right and forward. */
  pan(dx, dy) {
    const c = Math.cos(this.azimuth), s = Math.sin(this.azimuth);
    this.target[0] += (-s * dx - c * dy) * this.distance;
    this.target[1] += (c * dx - s * dy) * this.distance;
  }

  zoom(factor) { this.distance = Math.min(Math.max(this.distance * factor, 3), 400); }
}

class VoxelRenderer {
  constructor(canvas, grid, forward, egoCar) {
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: false, preserveDrawingBuffer: true, powerPreference: "high-performance" });
    if (!gl) throw new Error("This browser offers no WebGL2, which the voxel viewer needs.");
    this.gl = gl;
    this.canvas = canvas;
    this.grid = grid;
    this.cubes = linkProgram(gl, CUBE_VERTEX, CUBE_FRAGMENT);
    this.plain = linkProgram(gl, PLAIN_VERTEX, PLAIN_FRAGMENT);
    this.decor = buildDecor(gl, grid, forward, egoCar);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.SCISSOR_TEST);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  createPalette(colours) {
    const gl = this.gl, data = new Uint8Array(256 * 4).fill(255);
    colours.forEach((rgb, i) => data.set(rgb, 4 * i));
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, data);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.NEAREST);
    return texture;
  }

  createMesh(palette) {
    const gl = this.gl, [nx, ny, nz] = this.grid.shape;
    const mesh = { palette, count: 0, vao: gl.createVertexArray(), voxels: gl.createTexture(), cells: gl.createTexture() };
    gl.bindTexture(gl.TEXTURE_3D, mesh.cells);
    gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R8UI, nx + 2, ny + 2, nz + 2);
    for (const [kind, texture] of [[gl.TEXTURE_3D, mesh.cells], [gl.TEXTURE_2D, mesh.voxels]]) {
      gl.bindTexture(kind, texture);
      for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(kind, key, gl.NEAREST);
    }
    return mesh;
  }

  upload(mesh, cells, instances) {
    const gl = this.gl, [nx, ny, nz] = this.grid.shape;
    mesh.count = instances.count;
    const rows = Math.max(1, Math.ceil(mesh.count / ROW));
    const data = new Uint16Array(4 * ROW * rows);
    data.set(instances.data);
    gl.bindTexture(gl.TEXTURE_2D, mesh.voxels);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16UI, ROW, rows, 0, gl.RGBA_INTEGER, gl.UNSIGNED_SHORT, data);
    gl.bindTexture(gl.TEXTURE_3D, mesh.cells);
    gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, 0, nx + 2, ny + 2, nz + 2, gl.RED_INTEGER, gl.UNSIGNED_BYTE, cells);
  }

  /** Draw meshes into rectangles of the canvas: panes = [{mesh, x, y, width, height, picked}], CSS pixels from the top left. */
  draw(panes, camera) {
    const gl = this.gl, ratio = this.canvas.width / this.canvas.clientWidth;
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(...BACKGROUND, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    for (const pane of panes) {
      const box = [pane.x, this.canvas.clientHeight - pane.y - pane.height, pane.width, pane.height].map((v) => Math.round(v * ratio));
      gl.viewport(...box);
      gl.scissor(...box);
      const matrix = camera.clipFromWorld(pane.width / pane.height);
      this.drawCubes(pane, camera, matrix);
      this.drawDecor(matrix);
    }
  }

  drawCubes({ mesh, picked }, camera, matrix) {
    const gl = this.gl, { program, at } = this.cubes;
    gl.useProgram(program);
    gl.uniformMatrix4fv(at("clipFromWorld"), false, matrix);
    gl.uniform3fv(at("eye"), camera.eye);
    gl.uniform3fv(at("lower"), this.grid.lower);
    gl.uniform3fv(at("size"), this.grid.size);
    gl.uniform3fv(at("background"), BACKGROUND);
    gl.uniform1f(at("fog"), 0.0042);
    gl.uniform3iv(at("picked"), picked || NOT_PICKED);
    const textures = [["palette", gl.TEXTURE_2D, mesh.palette], ["cells", gl.TEXTURE_3D, mesh.cells], ["voxels", gl.TEXTURE_2D, mesh.voxels]];
    textures.forEach(([name, kind, texture], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(kind, texture);
      gl.uniform1i(at(name), unit);
    });
    // Instances are read by vertex number instead of `drawArraysInstanced`: with 18 vertices an instance, that is
    // several times faster on software rasterisers and keeps the vertex units of a GPU full.
    gl.bindVertexArray(mesh.vao);
    gl.drawArrays(gl.TRIANGLES, 0, 18 * mesh.count);
    gl.bindVertexArray(null);
  }

  drawDecor(matrix) {
    const gl = this.gl, { program, at } = this.plain;
    gl.useProgram(program);
    gl.uniformMatrix4fv(at("clipFromWorld"), false, matrix);
    gl.enable(gl.BLEND);
    gl.bindVertexArray(this.decor.vao);
    gl.drawArrays(gl.TRIANGLES, 0, this.decor.triangles);
    gl.drawArrays(gl.LINES, this.decor.triangles, this.decor.lines);
    gl.bindVertexArray(null);
    gl.disable(gl.BLEND);
  }
}

function linkProgram(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  const places = {};
  return { program, at: (name) => (places[name] ??= gl.getUniformLocation(program, name)) };
}

/** The ego car, range rings every 10 m and the outline of the grid. */
function buildDecor(gl, grid, forward, egoCar) {
  const triangles = [], lines = [], c = Math.cos(forward), s = Math.sin(forward);
  const turn = ([x, y, z]) => [c * x - s * y, s * x + c * y, z];
  const box = (lo, hi, colour) => {
    for (let axis = 0; axis < 3; axis++) for (let side = 0; side < 2; side++) {
      const u = (axis + 1) % 3, v = (axis + 2) % 3;
      const light = axis === 2 ? (side ? 1 : 0.4) : axis === 0 ? 0.66 : 0.8;
      for (const [a, b] of [[0, 0], [1, 0], [0, 1], [0, 1], [1, 0], [1, 1]]) {
        const p = [0, 0, 0];
        p[axis] = side ? hi[axis] : lo[axis];
        p[u] = a ? hi[u] : lo[u];
        p[v] = b ? hi[v] : lo[v];
        triangles.push(...turn(p), ...colour.map((k) => k * light), 1);
      }
    }
  };
  for (const [lo, hi, colour] of egoCar) box(lo, hi, colour.map((v) => v / 255));
  const line = (a, b, alpha) => lines.push(...a, 0.55, 0.75, 1, alpha, ...b, 0.55, 0.75, 1, alpha);
  const reach = Math.max(...grid.upper.slice(0, 2).map(Math.abs));
  for (let r = 10; r <= reach; r += 10) for (let k = 0; k < 128; k++) {
    const at = (i) => [r * Math.cos(i * Math.PI / 64), r * Math.sin(i * Math.PI / 64), 0.02];
    line(at(k), at(k + 1), 0.22);
  }
  const [x0, y0, z0] = grid.lower, [x1, y1] = grid.upper;
  const rim = [[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0]];
  rim.forEach((p, i) => line(p, rim[(i + 1) % 4], 0.3));
  const data = new Float32Array([...triangles, ...lines]);
  const vao = gl.createVertexArray();
  gl.bindVertexArray(vao);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 28, 0);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 4, gl.FLOAT, false, 28, 12);
  gl.bindVertexArray(null);
  return { vao, triangles: triangles.length / 7, lines: lines.length / 7 };
}
