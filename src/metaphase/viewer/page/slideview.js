// The slide: OpenSeadragon, magnification, rotation, tools of the mouse, and movement by keys.
const $ = (id) => document.getElementById(id);
const STEP = 0.1; // of the view
const UM_PER_PX_AT_1X = 10; // 40x is 0.25 µm for a pixel of the screen

export class SlideView {
  // `actions` has click(x, y, reach), add(x, y) and note(text); places are in px of the slide.
  constructor(state, measure, actions) {
    Object.assign(this, { state, measure, actions });
    this.tool = "move";
    this.opened = false;
    this.waiting = null; // a movement that was asked for before the slide was open
    this.viewer = OpenSeadragon({
      element: $("osd"), showNavigationControl: false, showNavigator: false, animationTime: 0.35,
      maxZoomPixelRatio: 8, minZoomImageRatio: 0.8, visibilityRatio: 0.3, drawer: "canvas",
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsPen: { clickToZoom: false, dblClickToZoom: true },
      imageLoaderLimit: 8, timeout: 60000, crossOriginPolicy: false,
    });
    this.viewer.canvas.tabIndex = -1; // one stop of the tab key, not two
    this.#listen();
  }

  #listen() {
    const { viewer } = this;
    viewer.addHandler("open", () => { // it has just shown the whole slide
      this.opened = true;
      this.waiting?.();
      this.waiting = null;
    });
    viewer.addHandler("canvas-click", (event) => {
      if (!event.quick || !this.state.slide) return;
      this.#act(...this.place(event.position));
    });
    viewer.addHandler("canvas-double-click", (event) => {
      if (this.tool === "move") return;
      event.preventDefaultAction = true;
      if (this.tool === "area") this.measure.finish();
    });
    viewer.addHandler("tile-load-failed", (event) => this.actions.note(`A part of the slide cannot be read: ${event.message ?? ""}`));
    $("osd").addEventListener("pointermove", (event) => {
      if (this.tool !== "ruler" && this.tool !== "area") return;
      const box = $("osd").getBoundingClientRect();
      this.measure.move(...this.place(new OpenSeadragon.Point(event.clientX - box.left, event.clientY - box.top)));
    });
    for (const tool of ["add", "ruler", "area"]) $(`tool-${tool}`).onclick = () => this.use(this.tool === tool ? "move" : tool);
    for (const button of document.querySelectorAll("[data-power]")) button.onclick = () => this.magnify(Number(button.dataset.power));
    $("zoom-in").onclick = () => this.zoom(1.6);
    $("zoom-out").onclick = () => this.zoom(1 / 1.6);
    $("home").onclick = this.keys[0];
    $("rotate").onclick = () => this.rotate(90);
  }

  // Does what the tool does at a place of the slide.
  #act(x, y) {
    if (this.tool === "add") this.actions.add(x, y);
    else if (this.tool === "ruler" || this.tool === "area") this.measure.click(x, y, 12 / this.scale);
    else this.actions.click(x, y, Math.max(12 / this.scale, 6 / this.state.slide.mpp));
  }

  open(slide) {
    this.use("move");
    this.opened = false;
    this.waiting = null;
    this.viewer.viewport?.setRotation(0, true);
    this.viewer.open({
      width: slide.width_px, height: slide.height_px, tileSize: slide.tile_px, tileOverlap: 0,
      minLevel: Math.max(0, slide.levels - 12), maxLevel: slide.levels,
      getTileUrl: (level, x, y) => `api/slides/${slide.slug}/tiles/${level}/${x}/${y}`,
    });
  }

  // Moves the view now, or as soon as the slide is open.
  #move(act) {
    if (this.opened) act(this.viewer.viewport);
    else this.waiting = () => act(this.viewer.viewport);
  }

  // Chooses a tool of the mouse: "move", "add", "ruler" or "area".
  use(tool) {
    this.tool = tool;
    for (const name of ["add", "ruler", "area"]) $(`tool-${name}`).setAttribute("aria-pressed", name === tool);
    $("osd").classList.toggle("aiming", tool !== "move");
    if (tool === "ruler" || tool === "area") this.measure.begin(tool);
    $("tool-hint").textContent = {
      add: "Click a figure to add it. Esc ends.",
      ruler: "Click the two ends of a distance. Esc removes it.",
      area: "Click the corners; a double-click closes. Esc removes it.",
    }[tool] ?? "";
  }

  // Pixels of the screen for one pixel of the slide.
  get scale() {
    const { viewport } = this.viewer;
    return (viewport.getZoom(true) * viewport.getContainerSize().x) / this.state.slide.width_px;
  }

  place(position) {
    const at = this.viewer.viewport.pointFromPixel(position);
    return [at.x * this.state.slide.width_px, at.y * this.state.slide.width_px];
  }

  get middle() {
    const { x, y } = this.viewer.viewport.getCenter(true);
    return [x * this.state.slide.width_px, y * this.state.slide.width_px];
  }

  get power() {
    return (UM_PER_PX_AT_1X * this.scale) / this.state.slide.mpp;
  }

  magnify(power) {
    const { slide } = this.state;
    const scale = (power * slide.mpp) / UM_PER_PX_AT_1X;
    this.#move((viewport) => viewport.zoomTo((scale * slide.width_px) / viewport.getContainerSize().x));
  }

  zoom(factor) {
    this.#move((viewport) => viewport.zoomBy(factor).applyConstraints());
  }

  rotate(by) {
    this.#move((viewport) => viewport.setRotation((viewport.getRotation() + by) % 360));
  }

  goTo(x, y, power = 0) {
    const { slide } = this.state;
    this.#move((viewport) => {
      if (power && this.power < power * 0.6) this.magnify(power);
      viewport.panTo(new OpenSeadragon.Point(x / slide.width_px, y / slide.width_px));
    });
  }

  fit(box) {
    const [x1, y1, x2, y2] = box.map((v) => v / this.state.slide.width_px);
    const margin = (x2 - x1) * 0.06;
    this.#move((viewport) => viewport.fitBounds(new OpenSeadragon.Rect(x1 - margin, y1 - margin, x2 - x1 + 2 * margin, y2 - y1 + 2 * margin)));
  }

  #pan(x, y) {
    this.#move((viewport) => {
      const { width, height } = viewport.getBounds(false);
      const by = new OpenSeadragon.Point(x * STEP * width, y * STEP * height).rotate(-viewport.getRotation());
      viewport.panBy(by).applyConstraints();
    });
  }

  // What keys do when the slide has the focus.
  keys = {
    ArrowLeft: () => this.#pan(-1, 0), ArrowRight: () => this.#pan(1, 0), ArrowUp: () => this.#pan(0, -1), ArrowDown: () => this.#pan(0, 1),
    "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => this.#move((viewport) => viewport.goHome()),
    Enter: () => this.#act(...this.middle), // the place under the cross
  };

  // Shows magnification and scale after every change of the view.
  report() {
    const { slide } = this.state, { scale } = this;
    const um = (110 / scale) * slide.mpp;
    const unit = 10 ** Math.floor(Math.log10(um));
    const nice = [5, 2, 1].map((k) => k * unit).find((v) => v <= um) ?? unit;
    $("scale-text").textContent = nice >= 1000 ? `${nice / 1000} mm` : `${nice} µm`;
    $("scale-bar").style.width = `${(nice / slide.mpp) * scale}px`;
    const { power } = this;
    $("power").textContent = `${power < 10 ? power.toFixed(1) : Math.round(power)}×`;
    for (const button of document.querySelectorAll("[data-power]")) button.setAttribute("aria-pressed", Math.abs(power / button.dataset.power - 1) < 0.03);
  }
}
