// A table of numbers. Numbers are replaced in place, so that the cell in use keeps the focus.

const GAP = "…";
const HIDDEN = "–";

// Which of `count` items are shown, with null for a gap: the first `most`, or half from each end.
function shownOf(count, most, ends) {
  const places = Array.from({ length: count }, (_, i) => i);
  if (count <= most) return places;
  const last = ends ? Math.floor(most / 2) : 0;
  return [...places.slice(0, most - last), null, ...places.slice(count - last)];
}

class NumberTable {
  // name: an id for the table. most: {tokens, features} that are shown. coloured: by the numbers,
  // which are weights, with the sum of each row. onPoint(row, column): called for the cell that the
  // pointer, a finger or the arrow keys choose.
  constructor(name, { most, coloured = false, onPoint = null }) {
    Object.assign(this, { most, coloured, onPoint });
    this.caption = element("caption");
    this.head = element("thead");
    this.body = element("tbody");
    this.table = element("table", { "data-name": name, role: onPoint && "grid",
                                    class: coloured && "weights" }, this.caption, this.head, this.body);
    this.element = element("div", { class: "scroll" }, this.table);
    if (!onPoint) return;
    this.body.addEventListener("pointerover", (event) => this.point(event.target));
    this.body.addEventListener("focusin", (event) => this.point(event.target));
    this.body.addEventListener("keydown", (event) => this.move(event));
  }

  // rows: labels. columns: labels of tokens, or null for features, numbered from `first`. values:
  // a list of rows. allowed(row, column): false for what a mask hides. group: how many columns
  // belong to each head.
  show({ caption, rows, columns = null, first = 1, values, allowed = () => true, group = null }) {
    this.caption.replaceChildren(...typeset(caption));
    const labels = columns ?? values[0].map((_, i) => `${first + i}`);
    const shape = JSON.stringify([rows, labels, group]);
    if (shape !== this.shape) this.build(rows, labels, Boolean(columns), group);
    this.shape = shape;
    this.fill(values, allowed);
  }

  build(rows, labels, tokens, group) {
    this.down = shownOf(rows.length, this.most.tokens, true);
    this.across = shownOf(labels.length, tokens ? this.most.tokens : this.most.features, tokens);
    const starts = (column) => group && column && column % group === 0 ? "starts" : null;
    const heading = (label, place) =>
      element("th", { scope: "col", class: starts(place) }, element("bdi", {}, label));
    this.head.replaceChildren(element("tr", {}, element("td"),
      ...this.across.map((place) => place === null ? heading(GAP) : heading(labels[place], place)),
      this.coloured ? heading("sum") : ""));
    this.body.replaceChildren(...this.down.map((row) => element("tr", { "data-row": row },
      element("th", { scope: "row" }, element("bdi", {}, row === null ? GAP : rows[row])),
      ...this.across.map((column) => row === null || column === null
        ? element("td", { class: "blank" }, GAP)
        : element("td", { "data-row": row, "data-column": column, class: starts(column),
                          tabindex: this.onPoint && -1 })),
      this.coloured ? element("td", { class: row === null ? "sum blank" : "sum" },
        row === null ? GAP : "") : "")));
    this.cells = [...this.body.querySelectorAll("td[data-column]")];
    if (this.onPoint) this.cells[0].tabIndex = 0;
  }

  fill(values, allowed) {
    const visible = this.cells.map(({ dataset }) => [Number(dataset.row), Number(dataset.column)]);
    const numbers = visible.filter(([i, j]) => allowed(i, j)).map(([i, j]) => values[i][j]);
    const decimals = decimalsOf(numbers, values[0].length);
    for (const [place, [i, j]] of visible.entries()) {
      const cell = this.cells[place];
      const hidden = !allowed(i, j);
      cell.textContent = hidden ? HIDDEN : fixed(values[i][j], decimals);
      cell.classList.toggle("blank", hidden);
      cell.dataset.value = values[i][j];
      if (this.coloured) cell.style.setProperty("--share", values[i][j]);
    }
    for (const row of this.coloured ? this.body.children : []) {
      if (row.dataset.row) row.lastChild.textContent = fixed(total(values[row.dataset.row]), 4);
    }
  }

  point(target) {
    const cell = target.closest("td[data-column]");
    if (cell) this.onPoint(Number(cell.dataset.row), Number(cell.dataset.column));
  }

  move(event) {
    const step = stepOf(event.key);
    const at = this.cells.indexOf(event.target);
    if (!step || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const width = this.across.filter((column) => column !== null).length;
    const row = clamp(Math.floor(at / width) + step[0], 0, this.cells.length / width - 1);
    const column = clamp((at % width) + step[1], 0, width - 1);
    this.cells[row * width + column].focus();
  }

  // Mark a row, and a cell of it if a column is given; no row if it is null.
  mark(row, column = null) {
    for (const each of this.body.querySelectorAll(".lit")) each.classList.remove("lit");
    const line = [...this.body.children].find(({ dataset }) => dataset.row === `${row}`);
    if (column === null) line?.classList.add("lit");
    const cell = this.cells.find(({ dataset }) =>
      dataset.row === `${row}` && dataset.column === `${column}`);
    cell?.classList.add("lit");
    if (!this.onPoint || !cell) return;
    for (const each of this.cells) each.tabIndex = each === cell ? 0 : -1;
  }
}
