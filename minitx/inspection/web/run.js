// One run: its title and texts, the switches, and three views of the selected heads.

class Run {
  // described: title, passages, notes, about, leftOut, kinds; place: the index of the run.
  constructor(described, place) {
    this.place = place;
    this.kinds = described.kinds.map((kind) => ({
      ...kind, layers: kind.layers.map((layer) => new Layer(layer)),
    }));
    this.overview = new Overview((layer, head) => this.choose(layer, [head]));
    this.matrix = new Matrix();
    this.lines = new Lines();
    this.layerSlot = element("div", { class: "slot" });
    this.headSlot = element("div", { class: "slot" });
    const switches = element("div", { class: "switches" },
      this.kindSwitch(), this.layerSlot, this.headSlot);
    const views = element("div", { class: "views" }, this.overview.element,
      element("div", { class: "detail" }, this.matrix.element, this.lines.element));
    const shown = this.kinds.length
      ? [switches, views]
      : [element("p", { class: "notice" }, "There are no maps in this page.")];
    this.element = element("article", { class: "run", "aria-label": described.title },
      headerOf(described), ...shown);
    darkness.addEventListener("change", () => this.colourHeads());
  }

  kindSwitch() {
    const options = this.kinds.map(({ kind, title }) => ({ value: kind, label: title }));
    const chosen = null; // until `chooseKind`
    return choice("Shown", `kind-${this.place}`, options, chosen, (kind) => this.chooseKind(kind));
  }

  layerSwitch() {
    const options = this.kind.layers.map(({ title }, i) => ({ value: `${i}`, label: title || "–" }));
    if (options.length < 2) return "";
    return choice("Layer", `layer-${this.place}`, options, `${this.layer}`,
      (layer) => this.choose(Number(layer), this.heads));
  }

  // A checkbox for every head, and a button that selects all.
  headSwitch(all) {
    const boxes = all.map((head, i) =>
      element("label", { class: "chip" },
        element("input", { type: "checkbox", value: head, onchange: () => this.readHeads() }),
        element("span", {}, element("i", { class: "swatch", "data-place": i }), `${head}`)));
    const everything = element("button", { type: "button", class: "chip-button",
      onclick: () => this.choose(this.layer, all) }, "All");
    return element("fieldset", { class: "controls" },
      element("legend", {}, "Heads"), element("div", { class: "chips" }, ...boxes, everything));
  }

  readHeads() {
    const boxes = [...this.headSlot.querySelectorAll("input:checked")];
    this.choose(this.layer, boxes.map((box) => Number(box.value)));
  }

  chooseKind(name) {
    this.kind = this.kinds.find(({ kind }) => kind === name);
    const { layers } = this.kind;
    const buttons = [...this.element.querySelectorAll(`[name=kind-${this.place}]`)];
    buttons.find(({ value }) => value === name).checked = true;
    // The alignment of a translation is the mean over the heads of the last layer.
    [this.layer, this.heads] = name === "cross"
      ? [layers.length - 1, layers.at(-1).heads]
      : [0, layers[0].heads.slice(0, 1)];
    this.overview.show(this.kind, layers);
    this.layerSlot.replaceChildren(this.layerSwitch());
    this.choose(this.layer, this.heads);
  }

  // layer: its index; heads: the numbers of the selected heads, which the layer may not have.
  choose(layer, heads) {
    const shown = this.kind.layers[layer];
    this.layer = layer;
    this.heads = shown.heads.filter((head) => heads.includes(head));
    if (!this.heads.length && heads.length) this.heads = shown.heads.slice(0, 1);
    this.showSwitches(shown);
    this.overview.mark(layer, this.heads);
    this.matrix.show(this.kind, shown, this.heads);
    this.lines.show(this.kind, shown, this.heads);
  }

  // Switches are replaced only if the heads differ, so that the one in use keeps the focus.
  showSwitches(shown) {
    const layer = this.layerSlot.querySelector(`[value="${this.layer}"]`);
    if (layer) layer.checked = true;
    if (`${this.headsOffered}` !== `${shown.heads}`) {
      this.headsOffered = shown.heads;
      this.headSlot.replaceChildren(shown.heads.length > 1 ? this.headSwitch(shown.heads) : "");
      this.colourHeads();
    }
    for (const box of this.headSlot.querySelectorAll("input")) {
      box.checked = this.heads.includes(Number(box.value));
    }
  }

  colourHeads() {
    for (const swatch of this.headSlot.querySelectorAll(".swatch")) {
      swatch.style.backgroundColor = css(headColour(Number(swatch.dataset.place)));
    }
  }
}

function headerOf({ title, passages, notes, about, leftOut }) {
  const pairs = (entries) => entries.flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, element("bdi", {}, value))]);
  const missing = leftOut.length
    ? [`Left out, because the page would be too large: ${leftOut.join(", ")}. ` +
       "Select fewer layers or heads to see them."]
    : [];
  const origin = about.length
    ? [element("details", {},
        element("summary", {}, "About this run"),
        element("dl", { class: "about" }, ...pairs(about)))]
    : [];
  return element("header", {},
    element("h1", {}, title),
    element("dl", { class: "passages" }, ...pairs(passages)),
    ...[...notes, ...missing].map((note) => element("p", { class: "notice" }, note)),
    ...origin);
}
