// One run: its title and texts, the switches, and the views of the selected heads.

class Run {
  // described: what minitx/inspection/page_data.py has of the run; place: the index of the run.
  constructor(described, place) {
    this.place = place;
    this.links = null; // to another run
    this.inTraining = false;
    this.costs = described.costs;
    this.kinds = kindsOf(described);
    this.training = new Training(described.training, this.kinds, place,
      (kinds, inTraining) => this.showKinds(kinds, inTraining));
    this.overview = new Overview((layer, head) => this.choose(layer, [head]),
      (key, highest) => this.tell((other) => other.overview.sortBy(key, highest)));
    this.predictions = new Predictions(described.predictions, (place) => this.pointAtNext(place));
    this.matrix = new Matrix((row, column) => this.pointAtCell(row, column),
      (row) => this.inText ? this.predictions.after(row) : null);
    this.lines = new Lines((side, place) => this.pointAtToken(side, place));
    this.kindSlot = element("div", { class: "slot" });
    this.layerSlot = element("div", { class: "slot" });
    this.headSlot = element("div", { class: "slot" });
    const switches = element("div", { class: "switches" },
      this.kindSlot, this.layerSlot, this.headSlot);
    const views = element("div", { class: "views" }, this.overview.element,
      element("div", { class: "detail" }, this.matrix.element, this.lines.element));
    const shown = this.kinds.length
      ? [this.training.element, switches, views, this.predictions.element]
      : [element("p", { class: "notice" }, "There are no maps in this page.")];
    this.element = element("article", { class: "run", "aria-label": described.title },
      headerOf(described), ...shown);
    darkness.addEventListener("change", () => this.colourHeads());
    addEventListener("resize", () => this.kind && this.fit());
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
        element("input", { type: "checkbox", value: head, onchange: () => this.readHeads(),
                           onfocus: ({ target }) =>
                             target.matches(":focus-visible") && this.lines.emphasise(head),
                           onblur: () => this.lines.emphasise(null) }),
        element("span", { onpointerenter: () => this.lines.emphasise(head),
                          onpointerleave: () => this.lines.emphasise(null) },
          element("i", { class: "swatch", "data-place": i }), `${head}`)));
    const everything = element("button", { type: "button", class: "chip-button",
      onclick: () => this.choose(this.layer, all) }, "All");
    return element("fieldset", { class: "controls" },
      element("legend", {}, this.shown.unit === "channel" ? "Channels" : "Heads"), element("div", { class: "chips" }, ...boxes, everything));
  }

  readHeads() {
    const boxes = [...this.headSlot.querySelectorAll("input:checked")];
    this.choose(this.layer, boxes.map((box) => Number(box.value)));
  }

  chooseKind(name) {
    const { layers } = this.kinds.find(({ kind }) => kind === name);
    // The alignment of a translation is the mean over the heads of the last layer.
    if (name === "cross") this.showKind(name, layers.length - 1, layers.at(-1).heads);
    else this.showKind(name, 0, layers[0].heads.slice(0, 1));
  }

  showKind(name, layer, heads) {
    this.kind = this.kinds.find(({ kind }) => kind === name);
    if (!this.kindSlot.firstChild) this.kindSlot.append(this.kindSwitch());
    const buttons = [...this.kindSlot.querySelectorAll("input")];
    buttons.find(({ value }) => value === name).checked = true;
    this.overview.show(this.kind, this.kind.layers, this.costs);
    this.layer = layer;
    this.layerSlot.replaceChildren(this.layerSwitch());
    this.choose(layer, heads);
  }

  // Show other maps: those of a step of the training, or again those of the text. What was chosen
  // stays chosen, if they have it.
  showKinds(kinds, inTraining) {
    const names = (all) => `${all.map(({ kind }) => kind)}`;
    if (names(kinds) !== names(this.kinds)) this.kindSlot.replaceChildren();
    const turned = this.inTraining !== inTraining;
    this.inTraining = inTraining;
    this.kinds = kinds;
    this.predictions.element.hidden = inTraining || !this.predictions.tokens.length;
    const same = kinds.find(({ kind }) => kind === this.kind.kind);
    if (same && this.layer < same.layers.length) this.showKind(same.kind, this.layer, this.heads);
    else this.chooseKind(kinds[0].kind);
    if (turned) this.fit(); // the controls of the steps take room
    this.tell((other) => other.training.follow(this.training.stepShown));
  }

  // Whether a row of the map belongs to the prediction of the next token.
  get inText() {
    if (this.inTraining) return false;
    return this.kind.side === "decoder" || this.kind.side === "influence";
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
    if (this.inTraining) this.training.mark(this.kind.kind, layer, this.heads);
    this.tell((other) => other.follow(this.kind, shown.title, this.heads));
  }

  tell(message) {
    this.links?.tell(this, message);
  }

  // Choose what another run chose, as far as this one has it.
  follow({ kind, side }, title, heads) {
    if (!this.kind) return;
    const same = this.kinds.find((each) => each.kind === kind) ??
      [this.kind, ...this.kinds].find((each) => each.side === side);
    if (!same) return;
    if (this.kind.kind !== same.kind) this.chooseKind(same.kind);
    const layer = this.kind.layers.findIndex((each) => each.title === title);
    if (layer >= 0) this.choose(layer, heads);
  }

  get shown() {
    return this.kind.layers[this.layer];
  }

  pointAtCell(row, column) {
    if (row !== null && this.inText) this.predictions.follow(row);
    this.tell((other) => other.followCell(this.shown, row, column));
  }

  // Point at the cell of the same two tokens.
  followCell({ queries, keys }, row, column) {
    const [to, across] = row === null ? [-1, -1]
      : [sameToken(queries, row, this.shown.queries), sameToken(keys, column, this.shown.keys)];
    if (to < 0 || across < 0) return this.matrix.follow(null, null);
    this.matrix.follow(to, across);
    if (this.inText) this.predictions.follow(to);
  }

  pointAtToken(side, place) {
    this.tell((other) => other.followToken(this.shown, side, place));
  }

  followToken({ queries, keys }, side, place) {
    const [labels, others] = side === "query" ? [queries, this.shown.queries] : [keys, this.shown.keys];
    const to = side === null ? -1 : sameToken(labels, place, others);
    this.lines.follow(to < 0 ? null : side, to);
  }

  pointAtNext(place) {
    this.tell((other) => other.predictions.follow(place - 1));
  }

  // Fit the views to the window.
  fit() {
    this.overview.fit();
    this.lines.fit();
    if (this.matrix.fitted) this.matrix.fit();
  }

  // Say above the title and each view which run they belong to.
  label(name) {
    for (const part of this.element.querySelectorAll("header, section")) {
      part.prepend(element("p", { class: "of-run" }, name));
    }
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
      box.nextElementSibling.title = nameOf(shown, Number(box.value));
    }
  }

  colourHeads() {
    for (const swatch of this.headSlot.querySelectorAll(".swatch")) {
      const count = this.headsOffered.length;
      swatch.style.backgroundColor = css(headColour(Number(swatch.dataset.place), count));
    }
  }
}

// The kinds of maps in a described run or step, with their layers.
function kindsOf({ kinds }) {
  return kinds.map((kind) => ({ ...kind, layers: kind.layers.map((layer) => new Layer(layer)) }));
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
