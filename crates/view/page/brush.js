// A label map that is edited: brushes, components, undo and redo. Voxels are in the order that
// NiiVue draws them in: x to the right, y to the front, z up, x fastest.

/** Steps that can be taken back. */
const STEPS = 200;

export class LabelMap {
  /** `edges` are those of a voxel in mm. */
  constructor(voxels, shape, edges) {
    Object.assign(this, { voxels, shape, edges, done: [], undone: [], step: null });
    this.kept();
  }

  /** What there is now counts as saved. */
  kept() {
    this.saved = this.voxels.slice();
    this.changed = 0;
  }

  index([x, y, z]) {
    return x + this.shape[0] * (y + this.shape[1] * z);
  }

  set(index, value) {
    const before = this.voxels[index];
    if (before === value) return;
    if (!this.step.has(index)) this.step.set(index, before);
    this.put(index, value);
  }

  put(index, value) {
    this.changed += (value !== this.saved[index]) - (this.voxels[index] !== this.saved[index]);
    this.voxels[index] = value;
  }

  /** What is set until `end` is one step. */
  begin() {
    this.step = new Map();
  }

  /** Whether the step changed anything. */
  end() {
    const step = [...this.step ?? []].filter(([index, before]) => this.voxels[index] !== before);
    this.step = null;
    if (step.length === 0) return false;
    this.done.push(step.map(([index, before]) => [index, before, this.voxels[index]]));
    if (this.done.length > STEPS) this.done.shift();
    this.undone = [];
    return true;
  }

  undo() {
    return this.move(this.done, this.undone, 1);
  }

  redo() {
    return this.move(this.undone, this.done, 2);
  }

  move(from, to, which) {
    const step = from.pop();
    if (!step) return false;
    for (const change of step) this.put(change[0], change[which]);
    to.push(step);
    return true;
  }

  /**
   * Paints from one voxel to another with a disc that lies across `axis`, or with a ball where
   * that is null. Its diameter is in the shortest edges of a voxel there, and it is round in
   * the patient.
   */
  paint(from, to, { value, diameter, axis }) {
    const steps = Math.max(1, ...from.map((at, i) => Math.abs(to[i] - at)));
    for (let step = 0; step <= steps; step++) {
      this.dab(from.map((at, i) => Math.round(at + (to[i] - at) * step / steps)), value, diameter, axis);
    }
  }

  radius(diameter, axis) {
    const across = this.edges.filter((_, i) => i !== axis);
    // A hair wider, so that rounding decides nothing.
    return diameter / 2 * Math.min(...across) * 1.0001;
  }

  dab(middle, value, diameter, axis) {
    const radius = this.radius(diameter, axis);
    const [low, high] = [-1, 1].map((side) => middle.map((at, i) => {
      const reach = i === axis ? 0 : Math.floor(radius / this.edges[i]);
      return Math.min(Math.max(at + side * reach, 0), this.shape[i] - 1);
    }));
    for (let z = low[2]; z <= high[2]; z++) {
      for (let y = low[1]; y <= high[1]; y++) {
        for (let x = low[0]; x <= high[0]; x++) {
          const away = [x, y, z].map((at, i) => (at - middle[i]) * this.edges[i]);
          if (Math.hypot(...away) <= radius) this.set(this.index([x, y, z]), value);
        }
      }
    }
  }
}

/**
 * The voxels of the value that `voxels` have at `seed`, which hang together by a face, an edge
 * or a corner; none for the background.
 */
export function component(voxels, [nx, ny, nz], seed) {
  const value = voxels[seed];
  if (!value) return [];
  const reached = new Uint8Array(voxels.length);
  reached[seed] = 1;
  const found = [seed];
  for (let at = 0; at < found.length; at++) {
    const index = found[at];
    const [x, y, z] = [index % nx, Math.floor(index / nx) % ny, Math.floor(index / nx / ny)];
    for (let dz = z > 0 ? -1 : 0; dz <= (z < nz - 1 ? 1 : 0); dz++) {
      for (let dy = y > 0 ? -1 : 0; dy <= (y < ny - 1 ? 1 : 0); dy++) {
        for (let dx = x > 0 ? -1 : 0; dx <= (x < nx - 1 ? 1 : 0); dx++) {
          const next = index + dx + nx * (dy + ny * dz);
          if (voxels[next] === value && !reached[next]) {
            reached[next] = 1;
            found.push(next);
          }
        }
      }
    }
  }
  return found;
}

/** The voxels of a file in the order that NiiVue draws them in, by the steps that it found. */
export function drawn(file) {
  const voxels = new Uint8Array(file.img.length);
  walk(file, (at, own) => { voxels[at] = file.img[own]; });
  return voxels;
}

/** The same back in the order of the file. */
export function inFileOrder(file, voxels) {
  const own = new Uint8Array(voxels.length);
  walk(file, (at, index) => { own[index] = voxels[at]; });
  return own;
}

function walk({ dimsRAS: [, nx, ny, nz], img2RASstep: step, img2RASstart: start }, visit) {
  const first = start[0] + start[1] + start[2];
  let at = 0;
  for (let z = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++) visit(at++, first + x * step[0] + y * step[1] + z * step[2]);
    }
  }
}
