// All heads of a kind: in a grid of layers and heads, or in the order of a measure. A click, or arrow
// keys and Enter, choose one. A name marks the heads that have it.

const FEW_CELLS = 150_000;

class Overview {
  // onChoose(layer, head): the index of the layer, and the number of the head; onSort(key, highest).
  constructor(onChoose, onSort) {
    this.onChoose = onChoose;
    this.onSort = onSort;
    this.sorted = ""; // by the place in the model, or the key of a measure
    this.highest = true; // first
    this.named = null; // the name that is marked
    this.grid = new Grid();
    this.ranking = new Ranking();
    this.select = element("select", { onchange: () => this.resort(this.select.value, true) });
    this.turn = element("button", { type: "button", class: "chip-button",
                                    onclick: () => this.resort(this.sorted, !this.highest) });
    this.names = element("div", { class: "chips names", role: "group", "aria-label": "Mark heads" });
    this.caption = element("p", { class: "axes" });
    this.scroll = element("div", { class: "scroll" });
    this.element = element("section", { class: "overview" },
      element("div", { class: "head-line" }, element("h3", {}, "All heads"),
        element("label", { class: "sort" }, "Sort by ", this.select, this.turn)),
      this.names, this.caption, this.scroll);
    darkness.addEventListener("change", () => this.drawAll());
  }

  // costs: the measure of importance, as in "loss on val"; "" if there is none.
  show(kind, layers, costs) {
    Object.assign(this, { kind, layers, costs });
    this.maps = layers.flatMap((layer, place) =>
      layer.heads.map((head) => new SmallMap(layer, place, head, this.onChoose)));
    this.element.hidden = this.maps.length === 1;
    this.measures = measuresOf(layers);
    if (!this.measures.some(({ key }) => key === this.sorted)) this.sorted = "";
    this.select.replaceChildren(element("option", { value: "" }, "layer and head"),
      ...this.measures.map(({ key, label }) => element("option", { value: key }, label)));
    this.showNames();
    this.arrange();
  }

  resort(key, highest) {
    this.sortBy(key, highest);
    this.onSort(key, highest);
  }

  // Nothing happens if no head has the measure.
  sortBy(key, highest) {
    if (key && !this.measures.some((measure) => measure.key === key)) return;
    Object.assign(this, { sorted: key, highest });
    this.arrange();
    this.mark(...this.marked);
  }

  arrange() {
    const measure = this.measures.find(({ key }) => key === this.sorted);
    const label = `${this.kind.heading}: ` +
      (measure ? `heads by ${measure.label}` : "layers down, heads across");
    this.select.value = this.sorted;
    this.turn.hidden = !measure;
    this.turn.textContent = this.highest ? "highest first" : "lowest first";
    this.caption.textContent = measure ? this.captionOf(measure) : "Layers down, heads across.";
    if (measure) this.ranking.show(this.inOrder(measure), measure, label);
    else this.grid.show(this.layers, this.maps, label);
    this.scroll.replaceChildren((measure ? this.ranking : this.grid).element);
    this.drawAll();
  }

  captionOf({ key, label, about }) {
    const of = key === "importance" ? `: ${this.costs}` : "";
    return `${label[0].toUpperCase()}${label.slice(1)}: ${about}${of}.`;
  }

  // Heads without a value come last.
  inOrder({ key }) {
    const value = ({ layer, head }) => measuredOf(layer, head)[key];
    const sign = this.highest ? -1 : 1;
    const known = this.maps.filter((map) => value(map) !== undefined);
    const unknown = this.maps.filter((map) => value(map) === undefined);
    return [...known.sort((a, b) => sign * (value(a) - value(b))), ...unknown];
  }

  // A button for each name that some head has.
  showNames() {
    const counted = NAMES.map((each) => ({
      ...each, count: this.maps.filter(({ layer, head }) => nameOf(layer, head) === each.name).length,
    })).filter(({ count }) => count);
    this.names.replaceChildren(...counted.map(({ name, about, count }) =>
      element("button", { type: "button", class: "name-button", title: about, "data-name": name,
                          onclick: () => this.markName(this.named === name ? null : name) },
        name, element("small", {}, `${count}`))));
    if (!counted.some(({ name }) => name === this.named)) this.named = null;
    this.markName(this.named);
  }

  markName(name) {
    this.named = name;
    for (const button of this.names.children) {
      button.setAttribute("aria-pressed", button.dataset.name === name);
    }
    for (const { button, layer, head } of this.maps) {
      button.classList.toggle("dim", name !== null && nameOf(layer, head) !== name);
    }
  }

  // Small maps are drawn at once, so that a slider shows them without flicker. Otherwise one layer per
  // frame: the page responds while a large model is drawn.
  drawAll() {
    if (!this.layers) return;
    const drawing = (this.drawing = {});
    const cells = this.maps.reduce((sum, { layer }) => sum + layer.rows * layer.columns, 0);
    if (cells <= FEW_CELLS) return this.maps.forEach((map) => map.draw());
    const drawFrom = (place) => {
      if (place === this.layers.length || this.drawing !== drawing) return;
      for (const map of this.maps) if (map.place === place) map.draw();
      requestAnimationFrame(() => drawFrom(place + 1));
    };
    requestAnimationFrame(() => drawFrom(0));
  }

  // As high as the window allows.
  fit() {
    this.scroll.style.maxHeight = `${Math.max(roomBelow(this.scroll, 16), 0.62 * innerHeight)}px`;
  }

  // Mark the heads that the other views show; chosen: the index of their layer.
  mark(chosen, heads) {
    this.marked = [chosen, heads];
    for (const { button, place, head } of this.maps) {
      button.setAttribute("aria-pressed", place === chosen && heads.includes(head));
      button.tabIndex = -1;
    }
    const pressed = this.scroll.querySelector("[aria-pressed=true]");
    (pressed ?? this.scroll.querySelector("button")).tabIndex = 0;
  }
}
