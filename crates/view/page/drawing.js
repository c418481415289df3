// The volumes of a subject over each other, and labels that are edited over them, drawn by NiiVue.
// Its own pen is not used: it draws squares in one plane, and takes eight steps back and none
// forth.

import { DRAG_MODE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from "./niivue.js";

const PLANES = {
  multi: [SLICE_TYPE.MULTIPLANAR, SHOW_RENDER.NEVER],
  render: [SLICE_TYPE.MULTIPLANAR, SHOW_RENDER.ALWAYS],
  axial: [SLICE_TYPE.AXIAL, SHOW_RENDER.NEVER],
  coronal: [SLICE_TYPE.CORONAL, SHOW_RENDER.NEVER],
  sagittal: [SLICE_TYPE.SAGITTAL, SHOW_RENDER.NEVER],
};

/** Width of the crosshair in percent of the image. */
const CROSSHAIR = 0.3;

/** Whether this browser can draw; new versions do not without a graphics driver. */
export function canDraw() {
  return document.createElement("canvas").getContext("webgl2") !== null;
}

/** A label map: each value has a name and a colour, or none where it is hidden. */
function tableOf(labels) {
  const table = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ["–"] };
  for (const { value, name, colour, hidden } of labels) {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    table.R.push(r);
    table.G.push(g);
    table.B.push(b);
    table.A.push(hidden ? 0 : 255);
    table.I.push(value);
    table.labels.push(name);
  }
  return table;
}

/** The same for labels that are edited: four bytes for each value. */
function drawTable(labels) {
  const { R, G, B, A, I, labels: names } = tableOf(labels);
  const table = { lut: new Uint8ClampedArray(256 * 4), labels: new Array(256).fill("") };
  I.forEach((value, i) => {
    table.lut.set([R[i], G[i], B[i], A[i]], 4 * value);
    table.labels[value] = names[i];
  });
  return table;
}

export class Drawing {
  /** `pressed` says whether the pointer draws, `drawn` is told the voxels that it passes, and
      `reach` gives the radius in mm that it draws with across an axis. */
  constructor({ moved, windowed, pressed, drawn, released, reach }) {
    this.zoom = 1;
    this.fresh = true;
    this.labels = null;
    this.due = false;
    this.stroke = { pressed, drawn, released, on: false, met: false };
    this.reach = reach;
    this.niivue = new Niivue({
      backColor: [0, 0, 0, 1],
      fontColor: [0.8, 0.8, 0.8, 1],
      crosshairColor: [0.45, 0.65, 0.8, 1],
      crosshairWidth: CROSSHAIR,
      crosshairWidthUnit: "percent",
      // Leaves the smallest lesion in the middle visible.
      crosshairGap: 6,
      show3Dcrosshair: true,
      dragMode: DRAG_MODE.windowing,
      dragAndDropEnabled: false,
      isRadiologicalConvention: true,
      isNearestInterpolation: true,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      loadingText: "",
      logLevel: "error",
      // The page has its own keys.
      viewModeHotKey: "",
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
    });
    this.niivue.onLocationChange = (place) => {
      this.meet(place.vox, place.axCorSag);
      moved(place);
    };
    this.niivue.onIntensityChange = windowed;
  }

  async attach(canvas) {
    await this.niivue.attachToCanvas(canvas);
    const { stroke } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.shiftKey || event.ctrlKey) return;
      Object.assign(stroke, { on: stroke.pressed(), met: false });
    }, { capture: true });
    // NiiVue, which comes first, tells of no place where the crosshair was already.
    canvas.addEventListener("mousedown", () => {
      if (!stroke.on || stroke.met) return;
      const { screenSlices, uiData } = this.niivue;
      this.meet(this.voxel(), screenSlices[uiData.clickedTile]?.axCorSag);
    });
    const release = () => {
      if (stroke.on) stroke.released();
      stroke.on = false;
    };
    addEventListener("pointerup", release);
    addEventListener("pointercancel", release);
    addEventListener("blur", release);
    const ring = document.getElementById("ring");
    canvas.addEventListener("pointermove", (event) => this.showRing(ring, event));
    canvas.addEventListener("pointerleave", () => { ring.hidden = true; });
  }

  /** Shows how far the brush reaches around the pointer. */
  showRing(ring, { offsetX: x, offsetY: y, pointerType }) {
    const { niivue } = this;
    const dots = niivue.uiData.dpr;
    const tile = niivue.tileIndex(x * dots, y * dots);
    const plane = niivue.screenSlices[tile]?.axCorSag;
    const radius = plane >= 0 && plane <= 2 && pointerType === "mouse" ? this.reach(2 - plane) : 0;
    // As far apart as two places beside each other are in the patient.
    const at = (x) => niivue.screenXY2TextureFrac(x * dots, y * dots, tile, false);
    const [here, there] = radius > 0 ? [at(x), at(x + 4)] : [[-1], [-1]];
    ring.hidden = !(here[0] >= 0 && there[0] >= 0);
    if (ring.hidden) return;
    const [a, b] = [here, there].map((place) => niivue.frac2mm(place, 0, true));
    const pixels = 4 * radius / Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
    ring.style.cssText = `left:${x - pixels}px;top:${y - pixels}px;width:${2 * pixels}px;height:${2 * pixels}px`;
  }

  /** The pointer is at a voxel of a plane that NiiVue numbers from axial to sagittal. */
  meet(voxel, plane) {
    if (!this.stroke.on || !(plane >= 0 && plane <= 2)) return;
    this.stroke.met = true;
    this.stroke.drawn([...voxel].slice(0, 3), 2 - plane);
  }

  /** The voxel at the crosshair, in the order that is drawn. */
  voxel() {
    return [...this.niivue.frac2vox(this.niivue.scene.crosshairPos)].slice(0, 3);
  }

  /** Whether a volume has the same voxels as the image. */
  hasVoxelsOf(volume) {
    const image = this.niivue.volumes[0];
    if (!image || [1, 2, 3].some((i) => image.dimsRAS[i] !== volume.dimsRAS[i])) return false;
    const edge = Math.min(...image.pixDimsRAS.slice(1, 4));
    const far = (a, b) => a.some((value, i) => Math.abs(value - b[i]) > 0.01 * edge);
    return !far([...image.matRAS], [...volume.matRAS]);
  }

  /** Labels of the image's voxels over all layers. */
  showLabels(voxels, labels, opacity) {
    const { niivue } = this;
    niivue.drawOpacity = opacity;
    if (this.labels !== voxels) {
      this.labels = voxels;
      niivue.createEmptyDrawing();
      // Only for tools of NiiVue's that are not used.
      niivue.clickToSegmentGrowingBitmap = null;
      niivue.drawClearAllUndoBitmaps();
      niivue.drawBitmap = voxels;
      // Its own function for this sends all volumes to the graphics card again.
      niivue.drawLut = drawTable(labels);
      niivue.refreshColormaps();
      niivue.refreshDrawing(false);
    }
    niivue.drawScene();
  }

  /** Tells again what is at the crosshair. */
  tellPlace() {
    this.niivue.createOnLocationChange();
  }

  /** Once a frame, as all voxels go to the graphics card. */
  refreshLabels() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      if (this.labels) this.niivue.refreshDrawing(true);
    });
  }

  closeLabels() {
    if (this.labels) this.niivue.closeDrawing();
    this.labels = null;
  }

  /** A volume from the bytes of a NIfTI file. */
  async read(bytes, options) {
    return NVImage.loadFromUrl({ url: bytes, name: "volume.nii", ...options });
  }

  colour(volume, labels) {
    volume.setColormapLabel(tableOf(labels));
  }

  /** Shows these volumes, the image first, and stays at the place in the patient. */
  show(volumes) {
    const { niivue } = this;
    const at = this.fresh ? null : this.at();
    this.fresh = false;
    niivue.volumes = volumes;
    niivue.back = volumes[0];
    niivue.overlays = volumes.slice(1);
    niivue.updateGLVolume();
    if (at) this.goTo(at);
  }

  /** What is shown next is another subject: the place is not kept. */
  begin() {
    this.fresh = true;
    this.zoom = 1;
  }

  at() {
    const { niivue } = this;
    return [...niivue.frac2mm(niivue.scene.crosshairPos, 0, true)].slice(0, 3);
  }

  goTo(mm) {
    const { niivue } = this;
    niivue.scene.crosshairPos = niivue.mm2frac(mm, 0, true);
    this.look();
    niivue.createOnLocationChange();
  }

  goToMiddle() {
    this.niivue.scene.crosshairPos = [0.5, 0.5, 0.5];
    this.look();
    this.niivue.createOnLocationChange();
  }

  /** Moves the crosshair by voxels of the image. */
  step(voxels) {
    this.niivue.moveCrosshairInVox(...voxels);
  }

  zoomBy(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), 16);
    this.look();
  }

  /** With a zoom, the crosshair is in the middle of the picture. */
  look() {
    const { niivue, zoom } = this;
    const middle = niivue.frac2mm([0.5, 0.5, 0.5], 0, true);
    const pan = this.at().map((mm, axis) => (zoom > 1 ? middle[axis] - zoom * mm : 0));
    // As thin as before. NiiVue makes it anew only where it moved.
    niivue.crosshairs3D = null;
    niivue.setCrosshairWidth(CROSSHAIR / zoom);
    niivue.setPan2Dxyzmm([...pan, zoom]);
  }

  setPlanes(name) {
    const [slices, render] = PLANES[name];
    this.niivue.opts.multiplanarShowRender = render;
    this.niivue.setSliceType(slices);
  }

  setRadiological(on) {
    this.niivue.setRadiologicalConvention(on);
  }

  setSmooth(on) {
    this.niivue.setInterpolation(!on);
  }

  /** The window of the image; without numbers one by its histogram. */
  setWindow(low, high) {
    const image = this.niivue.volumes[0];
    if (!image) return;
    image.cal_min = low ?? image.robust_min;
    image.cal_max = high ?? image.robust_max;
    this.niivue.updateGLVolume();
  }

  setOpacity(volume, opacity) {
    volume.opacity = opacity;
    this.niivue.updateGLVolume();
  }
}
