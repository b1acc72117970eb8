// One map, enlarged: a row for each query, a column for each key, labelled with their tokens.

const LARGEST_CELL = 44; // pixels of the page
const READABLE_CELL = 16; // the height of a label
const SMALLEST_CELL = 0.5; // 512 tokens fit on a phone

class Matrix {
  // onPoint(row, column): the cell that is read, with null for none; after(row): what follows a row.
  constructor(onPoint, after) {
    Object.assign(this, { onPoint, after });
    this.canvas = element("canvas");
    this.rowBand = element("div", { class: "band" });
    this.columnBand = element("div", { class: "band" });
    this.rings = element("div", { class: "rings" });
    this.tip = element("div", { class: "tip", role: "status" });
    this.cells = element("div", { class: "cells" },
      this.canvas, this.rings, this.rowBand, this.columnBand);
    this.rowLabels = element("div", { class: "row-labels", "aria-hidden": "true" });
    this.columnLabels = element("div", { class: "column-labels", "aria-hidden": "true" });
    // Arrow keys read one cell after the other. No role of tables or images allows that.
    this.pane = element("div", { class: "matrix-pane", tabindex: 0, role: "application",
                                 "aria-roledescription": "attention map",
                                 onkeydown: (event) => this.move(event),
                                 onfocus: () => this.readAgain(),
                                 onblur: () => this.end(),
                                 onscroll: () => this.placeTip() },
      element("div", { class: "matrix-sheet" },
        element("div", { class: "corner" }), this.columnLabels, this.rowLabels, this.cells));
    this.cells.addEventListener("pointermove", (event) => this.pointAt(event));
    this.cells.addEventListener("pointerleave", () => this.end());
    this.heading = element("h3");
    this.caption = element("p", { class: "axes" });
    this.does = element("p", { class: "does" });
    this.frame = element("div", { class: "matrix-frame" }, this.pane, this.tip);
    this.legend = element("div");
    this.element = element("section", { class: "matrix" },
      element("div", { class: "head-line" }, this.heading, this.zoomButtons()),
      this.does, this.caption, this.frame, this.legend);
    darkness.addEventListener("change", () => this.draw());
  }

  zoomButtons() {
    const button = (sign, name, size) =>
      element("button", { type: "button", "aria-label": name, title: name,
                          onclick: () => this.zoom(size()) }, sign);
    return element("div", { class: "zoom" },
      button("−", "Smaller cells", () => this.size / 1.5),
      button("+", "Larger cells", () => this.size * 1.5),
      button("Labels", "A label for every token", () => this.readableSize()),
      element("button", { type: "button", "aria-label": "Fit the whole map",
                          title: "Fit the whole map", onclick: () => this.fit() }, "Fit"));
  }

  zoom(size) {
    this.fitted = false;
    this.resize(size);
  }

  // kind: its name and captions; heads: the heads to average, none for a blank map.
  show(kind, layer, heads) {
    const same = this.layer && sameTokens(this.layer, layer);
    Object.assign(this, { kind, layer, heads, values: layer.mean(heads) });
    const where = [layer.title && `layer ${layer.title}`,
                   heads.length ? speltHeads(layer, heads) : "no head is selected"];
    this.heading.textContent = [kind.heading, ...where].filter(Boolean).join(", ");
    const rings = kind.kind === "cross" ? " Rings: the strongest." : "";
    this.caption.textContent = kind.caption + rings;
    this.pane.setAttribute("aria-label",
      `${this.heading.textContent}. ${layer.rows} rows, ${layer.columns} columns. ` +
      "Arrow keys read the cells.");
    const single = heads.length === 1 ? measuredOf(layer, heads[0]) : { name: "" };
    this.does.replaceChildren(element("strong", {}, single.name),
      single.name && " · ", heads.length === 1 ? allMeasures(layer, heads[0]) : "");
    if (!same) this.cursor = [0, 0];
    this.draw();
    if (same) this.drawRings();
    else this.fit();
    this.leave();
  }

  draw() {
    if (!this.layer) return;
    const { rows, columns, scale } = this.layer;
    paint(this.canvas, this.values, rows, columns, scale);
    this.legend.replaceChildren(legendOfColours(scale));
  }

  // The whole map in the window, with the labels that it has room for.
  fit() {
    this.fitted = true;
    this.pane.style.maxHeight = `${roomBelow(this.frame, 64)}px`;
    this.resize(READABLE_CELL); // now every token has a label: any of them may be left out later
    const width = this.rowLabels.offsetWidth;
    this.resize(this.fittingSize(width, this.columnLabels.offsetHeight));
    if (this.step > 1) return;
    this.resize(this.fittingSize(width, this.columnLabels.offsetHeight)); // they may be horizontal now
  }

  // The size of cells next to labels of this width.
  fittingWidth(labels) {
    return (this.frame.clientWidth - labels - 4) / this.layer.columns;
  }

  // width, height: of the labels.
  fittingSize(width, height) {
    const high = parseFloat(this.pane.style.maxHeight) - height - 4;
    return Math.min(this.fittingWidth(width), high / this.layer.rows);
  }

  // As large as the width allows, but large enough for a label for every token.
  readableSize() {
    return clamp(this.fittingWidth(this.rowLabels.offsetWidth), READABLE_CELL, LARGEST_CELL);
  }

  resize(size) {
    const { rows, columns } = this.layer;
    this.size = clamp(size, SMALLEST_CELL, LARGEST_CELL);
    this.cells.style.width = `${this.size * columns}px`;
    this.cells.style.height = `${this.size * rows}px`;
    this.drawLabels();
    this.drawRings();
    this.leave();
  }

  // If cells are smaller than a label, only every n-th has one, so that labels do not overlap. The last
  // of them is left out if less than its height is left for it.
  drawLabels() {
    const { queries, keys } = this.layer;
    const step = Math.ceil(READABLE_CELL / this.size);
    const extent = `${step * this.size}px`;
    const every = (labels) => labels.filter((_, i) =>
      i % step === 0 && (i === 0 || (labels.length - i) * this.size >= READABLE_CELL - 2));
    this.rowLabels.replaceChildren(...every(queries).map((label) => {
      const made = element("div", { title: label }, element("bdi", {}, label));
      made.style.height = extent;
      return made;
    }));
    this.columnLabels.replaceChildren(...every(keys).map((label) => {
      const made = element("div", { title: label }, element("bdi", {}, label));
      made.style.width = extent;
      return made;
    }));
    this.step = step;
    this.layFlat();
  }

  // Column labels are horizontal if all of them fit their cells.
  layFlat() {
    this.columnLabels.classList.add("flat");
    const fits = [...this.columnLabels.children].every(
      (label) => label.firstChild.offsetWidth <= label.clientWidth - 4);
    this.columnLabels.classList.toggle("flat", fits);
  }

  // In cross-attention a ring marks the strongest source token of each output token.
  drawRings() {
    const ringed = this.kind.kind === "cross" && this.heads.length && this.size >= 8;
    this.rings.replaceChildren(...(ringed ? this.strongest().map(([row, column]) => {
      const ring = element("div");
      this.place(ring, row, column, 1, 1);
      return ring;
    }) : []));
  }

  strongest() {
    const { rows, columns } = this.layer;
    return Array.from({ length: rows }, (_, row) => {
      const weights = this.values.subarray(row * columns, (row + 1) * columns);
      const most = Math.max(...weights);
      return [row, most > 0 ? weights.indexOf(most) : -1]; // none if all weights are zero
    }).filter(([, column]) => column >= 0);
  }

  // Place a box over some cells.
  place(box, row, column, height, width) {
    Object.assign(box.style, {
      top: `${row * this.size}px`, left: `${column * this.size}px`,
      height: `${height * this.size}px`, width: `${width * this.size}px`,
    });
  }

  pointAt(event) {
    const box = this.cells.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / this.size);
    const column = Math.floor((event.clientX - box.left) / this.size);
    const { rows, columns } = this.layer;
    this.read(clamp(row, 0, rows - 1), clamp(column, 0, columns - 1));
  }

  move(event) {
    const { rows, columns } = this.layer;
    const [row, column] = this.cursor;
    const ends = { Home: [row, 0], End: [row, columns - 1] };
    const step = stepOf(event.key);
    const to = ends[event.key] ?? (step && [row + step[0], column + step[1]]);
    if (event.key === "Escape") this.end();
    if (!to || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.read(clamp(to[0], 0, rows - 1), clamp(to[1], 0, columns - 1));
    this.scrollTo();
  }

  readAgain() {
    // A click focuses the pane too, but then the pointer chooses the cell.
    if (this.pane.matches(":focus-visible")) this.read(...this.cursor);
  }

  // Show the value of a cell, and mark its row and column.
  read(row, column) {
    this.showCell(row, column);
    this.onPoint(row, column);
  }

  // Show a cell because another run points at it; row null for none.
  follow(row, column) {
    if (row === null) this.leave();
    else this.showCell(row, column);
  }

  showCell(row, column) {
    const { queries, keys, columns } = this.layer;
    this.cursor = [row, column];
    this.reading = true;
    this.place(this.rowBand, row, 0, 1, columns);
    this.place(this.columnBand, 0, column, this.layer.rows, 1);
    this.element.classList.add("reading");
    const weight = this.heads.length ? spelt(this.values[row * columns + column]) : "no head is selected";
    this.tip.replaceChildren(
      element("strong", {}, weight),
      element("span", {}, element("bdi", {}, queries[row]), " → ", element("bdi", {}, keys[column])),
      element("small", {}, `row ${row}, column ${column}`),
      ...this.moreOf(row, column));
    this.light(this.rowLabels, row);
    this.light(this.columnLabels, column);
    this.placeTip();
  }

  // The strongest of several heads at a cell, and the most probable token after its row.
  moreOf(row, column) {
    const lines = [];
    if (this.heads.length > 1) {
      const weights = this.heads.map((head) => [this.layer.at(head, row, column), head]);
      const most = weights.sort((a, b) => Math.abs(b[0]) - Math.abs(a[0])).slice(0, 3);
      const said = most.map(([weight, head]) => `${this.layer.unit} ${head} ${spelt(weight)}`);
      lines.push(element("small", {}, said.join(", ")));
    }
    const next = this.after(row);
    if (next) {
      lines.push(element("small", {}, "next: ", element("bdi", {}, next.label), ` ${spelt(next.probability)}`));
    }
    return lines;
  }

  light(labels, place) {
    labels.querySelector(".lit")?.classList.remove("lit");
    if (place % this.step === 0) labels.children[place / this.step]?.classList.add("lit");
  }

  // Next to the cell, on the side that has room.
  placeTip() {
    if (!this.reading) return;
    const [row, column] = this.cursor;
    const frame = this.frame.getBoundingClientRect();
    const cells = this.cells.getBoundingClientRect();
    const left = cells.left - frame.left + (column + 1) * this.size + 8;
    const top = cells.top - frame.top + (row + 1) * this.size + 8;
    const width = this.tip.offsetWidth;
    const height = this.tip.offsetHeight;
    const fitsRight = left + width <= frame.width;
    const fitsBelow = top + height <= frame.height;
    const x = fitsRight ? left : left - width - this.size - 16;
    const y = fitsBelow ? top : top - height - this.size - 16;
    this.tip.style.left = `${clamp(x, 0, Math.max(0, frame.width - width))}px`;
    this.tip.style.top = `${y}px`;
  }

  // Keep the cell visible next to the sticky labels.
  scrollTo() {
    const [row, column] = this.cursor;
    const labels = { x: this.rowLabels.offsetWidth, y: this.columnLabels.offsetHeight };
    const pane = this.pane;
    const right = (column + 1) * this.size + labels.x - pane.clientWidth;
    const below = (row + 1) * this.size + labels.y - pane.clientHeight;
    pane.scrollLeft = clamp(pane.scrollLeft, right, column * this.size);
    pane.scrollTop = clamp(pane.scrollTop, below, row * this.size);
  }

  end() {
    this.leave();
    this.onPoint(null, null);
  }

  leave() {
    this.reading = false;
    this.element.classList.remove("reading");
    this.tip.replaceChildren();
    for (const label of this.element.querySelectorAll(".lit")) label.classList.remove("lit");
  }
}
