// Layers x heads as a table of small maps, each with a short name of what the head does.

class Grid {
  constructor() {
    this.element = element("table", { role: "grid", onkeydown: (event) => this.move(event) });
  }

  // maps: the small maps of all layers.
  show(layers, maps, label) {
    this.heads = [...new Set(layers.flatMap((layer) => layer.heads))].sort((a, b) => a - b);
    this.element.setAttribute("aria-label", label);
    this.maps = layers.map((_, place) => this.heads.map((head) =>
      maps.find((map) => map.place === place && map.head === head) ?? null));
    const size = clamp(Math.floor(300 / this.heads.length), 28, 64);
    for (const map of maps) map.resize(size);
    this.element.replaceChildren(this.header(),
      ...this.maps.map((row, place) => this.row(row, layers[place])));
  }

  header() {
    const cells = this.heads.map((head) => element("th", { scope: "col" }, `${head}`));
    return element("tr", {}, element("td"), ...cells);
  }

  row(maps, layer) {
    const cells = maps.map((map) => element("td", {}, ...(map ? this.cell(map) : [])));
    return element("tr", {}, element("th", { scope: "row" }, layer.title || "–"), ...cells);
  }

  cell(map) {
    const does = NAMES.find(({ name }) => name === nameOf(map.layer, map.head));
    return [map.button, element("span", { class: "short", "aria-hidden": "true" }, does?.short ?? "")];
  }

  // The whole table is one Tab stop. Arrow keys move within it.
  move(event) {
    const step = stepOf(event.key);
    const from = event.target.closest("button");
    if (!step || !from) return;
    event.preventDefault();
    const row = this.maps.findIndex((maps) => maps.some((map) => map?.button === from));
    const column = this.maps[row].findIndex((map) => map?.button === from);
    moveFocus(from, this.maps[row + step[0]]?.[column + step[1]]?.button);
  }
}

// Move the focus, and the only Tab stop, from one element to another, if there is one.
function moveFocus(from, to) {
  if (!to) return;
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}
