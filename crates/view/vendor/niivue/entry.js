// What the page of `lacuna view` uses of NiiVue.
export { DRAG_MODE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";
