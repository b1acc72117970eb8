// Layers x heads as small maps. A click, or arrow keys and Enter, choose one.

class Overview {
  // onChoose(layer, head): the index of the layer, and the number of the head.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.table = element("table", { role: "grid", onkeydown: (event) => this.move(event) });
    this.element = element("section", { class: "overview" },
      element("h3", {}, "All heads"),
      element("p", { class: "axes" }, "Layers down, heads across."),
      element("div", { class: "scroll" }, this.table));
    darkness.addEventListener("change", () => this.drawAll());
  }

  show(kind, layers) {
    this.layers = layers;
    this.heads = [...new Set(layers.flatMap((layer) => layer.heads))].sort((a, b) => a - b);
    this.element.hidden = layers.length * this.heads.length === 1;
    this.table.setAttribute("aria-label", `${kind.heading}: layers down, heads across`);
    this.size = clamp(Math.floor(300 / this.heads.length), 28, 64);
    this.buttons = layers.map((layer, row) =>
      this.heads.map((head) => layer.heads.includes(head) ? this.button(layer, row, head) : null));
    this.table.replaceChildren(this.header(), ...this.buttons.map((row, i) => this.row(row, i)));
    this.drawAll();
  }

  header() {
    const cells = this.heads.map((head) => element("th", { scope: "col" }, `${head}`));
    return element("tr", {}, element("td"), ...cells);
  }

  row(buttons, place) {
    const cells = buttons.map((button) => element("td", {}, button ?? ""));
    return element("tr", {},
      element("th", { scope: "row" }, this.layers[place].title || "–"), ...cells);
  }

  button(layer, row, head) {
    const canvas = element("canvas", { class: "cells" });
    const [width, height] = this.sizeOf(layer);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const name = `${layer.title ? `layer ${layer.title}, ` : ""}head ${head}`;
    return element("button", { type: "button", class: "small-map", tabindex: -1,
                               "aria-label": name, title: name, "data-head": head,
                               onclick: () => this.onChoose(row, head) }, canvas);
  }

  // The longer side has a fixed size; the shorter one is in proportion, but not too short.
  sizeOf({ rows, columns }) {
    const longest = Math.max(rows, columns);
    return [columns, rows].map((count) => Math.max(this.size * (count / longest), 0.3 * this.size));
  }

  // One layer per frame: the page responds while a large model is drawn.
  drawAll() {
    if (!this.layers) return;
    const drawing = (this.drawing = {});
    const drawFrom = (row) => {
      if (row === this.layers.length || this.drawing !== drawing) return;
      this.drawLayer(row);
      requestAnimationFrame(() => drawFrom(row + 1));
    };
    requestAnimationFrame(() => drawFrom(0));
  }

  drawLayer(row) {
    const layer = this.layers[row];
    for (const button of this.buttons[row]) {
      if (!button) continue;
      const most = this.size * Math.ceil(devicePixelRatio);
      const small = pooled(layer.mean([Number(button.dataset.head)]), layer, most);
      paint(button.firstChild, small.values, small.rows, small.columns);
    }
  }

  // Mark the heads that the other views show.
  mark(chosen, heads) {
    this.buttons.forEach((row, i) => row.forEach((button) => {
      if (!button) return;
      const shown = i === chosen && heads.includes(Number(button.dataset.head));
      button.setAttribute("aria-pressed", shown);
      button.tabIndex = -1;
    }));
    const pressed = this.table.querySelector("[aria-pressed=true]");
    (pressed ?? this.table.querySelector("button")).tabIndex = 0;
  }

  // The whole table is one Tab stop. Arrow keys move within it.
  move(event) {
    const step = stepOf(event.key);
    const from = event.target.closest("button");
    if (!step || !from) return;
    event.preventDefault();
    const row = this.buttons.findIndex((buttons) => buttons.includes(from));
    const column = this.buttons[row].indexOf(from);
    const to = this.buttons[row + step[0]]?.[column + step[1]];
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}

// A smaller matrix with the largest weight of each patch, so that a thin diagonal stays visible.
function pooled(values, { rows, columns }, most) {
  const patch = Math.ceil(Math.max(rows, columns) / most);
  if (patch === 1) return { values, rows, columns };
  const [fewerRows, fewerColumns] = [Math.ceil(rows / patch), Math.ceil(columns / patch)];
  const largest = new Float32Array(fewerRows * fewerColumns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const place = Math.floor(row / patch) * fewerColumns + Math.floor(column / patch);
      largest[place] = Math.max(largest[place], values[row * columns + column]);
    }
  }
  return { values: largest, rows: fewerRows, columns: fewerColumns };
}
