// The head view: two columns of tokens, and lines from each token to the tokens it attends to.

const MOST_LINES = 5000; // more would be a grey haze, and slow
const FAINTEST = 0.01; // a line with less opacity is invisible
const DASHES = [5, 4]; // of negative weights
const FADED = 0.08; // of the opacity, while another head is emphasised

class Lines {
  // onPoint(side, place): the token that is pointed at, or null.
  constructor(onPoint) {
    this.onPoint = onPoint;
    this.emphasised = null; // a head, while its switch is pointed at
    this.filters = new Filters(() => this.refilter());
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.lists = { query: this.list("query"), key: this.list("key") };
    this.pane = element("div", { class: "lines-pane", onscroll: () => this.drawSoon() },
      this.lists.query, element("div", { class: "lines-between" }, this.canvas), this.lists.key);
    this.titles = { query: element("span"), key: element("span") };
    this.note = element("p", { class: "note" });
    this.status = element("p", { class: "unseen", role: "status" });
    this.element = element("section", { class: "lines" },
      element("h3", {}, "From token to token"),
      this.filters.element,
      element("p", { class: "axes lines-titles" }, this.titles.query, this.titles.key),
      this.pane, this.note, this.status);
    new ResizeObserver(() => this.drawSoon()).observe(this.pane);
    darkness.addEventListener("change", () => this.drawSoon());
  }

  // A column of tokens: one stop of the Tab key, arrows move within it.
  list(side) {
    const at = (event) => event.target.closest("li");
    return element("ul", {
      role: "listbox", class: `tokens ${side}`,
      onpointerover: (event) => this.point(at(event)),
      onpointerleave: () => this.point(null),
      onfocusin: (event) => this.focusOn(at(event)),
      onfocusout: () => this.focusOn(null),
      onkeydown: (event) => this.move(event),
    });
  }

  show(kind, layer, heads) {
    const same = this.layer && sameTokens(this.layer, layer);
    Object.assign(this, { kind, layer, heads, pointed: null });
    this.mean = layer.mean(heads);
    this.ofHead = heads.map((head) => heads.length === 1 ? this.mean : layer.mean([head]));
    this.titles.query.textContent = kind.rows;
    this.titles.key.textContent = kind.columns;
    if (!same || this.filteredKind !== kind.kind) this.filters.show(kind, layer);
    this.filteredKind = kind.kind;
    if (!same) {
      this.fill("query", layer.queries, kind.rows);
      this.fill("key", layer.keys, kind.columns);
    }
    this.collect();
    this.showActive();
  }

  fill(side, labels, name) {
    const few = Math.max(this.layer.rows, this.layer.columns) <= 12;
    this.height = few ? 32 : 20; // of a token, pixels of the page
    const items = labels.map((label, place) => {
      const item = element("li", { role: "option", tabindex: place ? -1 : 0, "data-side": side,
                                   "data-place": place, title: label, "aria-selected": "false" },
        element("bdi", {}, label), element("span", { class: "value" }));
      item.style.height = item.style.lineHeight = `${this.height}px`;
      return item;
    });
    this.lists[side].replaceChildren(...items);
    this.lists[side].setAttribute("aria-label", name);
    this.pane.scrollTop = 0;
  }

  // As high as the window allows.
  fit() {
    this.pane.style.maxHeight = `${roomBelow(this.pane, 52)}px`;
  }

  refilter() {
    this.collect();
    this.showActive();
  }

  // Show the lines of one head more than the others; null for all alike.
  emphasise(head) {
    this.emphasised = head;
    this.drawSoon();
  }

  allows(place) {
    return this.filters.allows(Math.floor(place / this.layer.columns), place % this.layer.columns);
  }

  // The lines that are drawn while no token is active.
  collect() {
    const { rows, columns } = this.layer;
    const found = [];
    this.ofHead.forEach((weights, i) => {
      for (let place = 0; place < rows * columns; place++) {
        const strong = this.layer.strength(weights[place]) >= FAINTEST;
        if (strong && this.allows(place)) found.push([weights[place], place, i]);
      }
    });
    this.found = found.length;
    // The strongest are drawn last, on top.
    this.strongest = found.sort((a, b) => Math.abs(a[0]) - Math.abs(b[0])).slice(-MOST_LINES);
  }

  // The token under the pointer, else the one with the focus.
  get active() {
    return this.pointed ?? this.focused ?? null;
  }

  point(item) {
    this.pointed = item;
    this.showActive();
    this.tell();
  }

  tell() {
    const { side, place } = this.active?.dataset ?? {};
    this.onPoint(side ?? null, Number(place));
  }

  // Show the lines of a token, because another run points at it; side null for none.
  follow(side, place) {
    this.pointed = side === null ? null : this.lists[side].children[place] ?? null;
    this.showActive();
    if (!this.pointed) return;
    const above = (place + 1) * this.height - this.pane.clientHeight;
    this.pane.scrollTop = clamp(this.pane.scrollTop, above, place * this.height);
  }

  focusOn(item) {
    if (item) for (const other of item.parentElement.children) other.tabIndex = -1;
    if (item) item.tabIndex = 0;
    this.focused = item;
    this.showActive();
    this.tell();
  }

  move(event) {
    const item = event.target.closest("li");
    const place = Number(item.dataset.place);
    const list = item.parentElement.children;
    const across = this.lists[item.dataset.side === "query" ? "key" : "query"].children;
    const to = {
      ArrowUp: list[place - 1], ArrowDown: list[place + 1],
      Home: list[0], End: list[list.length - 1],
      ArrowLeft: item.dataset.side === "key" ? across[Math.min(place, across.length - 1)] : null,
      ArrowRight: item.dataset.side === "query" ? across[Math.min(place, across.length - 1)] : null,
    }[event.key];
    if (to === undefined && !stepOf(event.key)) return;
    event.preventDefault();
    to?.focus();
  }

  // The places in the map between the active token and the tokens of the other column.
  placesOfActive() {
    const { rows, columns } = this.layer;
    const place = Number(this.active.dataset.place);
    return this.active.dataset.side === "query"
      ? Array.from({ length: columns }, (_, column) => place * columns + column)
      : Array.from({ length: rows }, (_, row) => row * columns + place);
  }

  // Their weights; those that are filtered out count as zero.
  weightsOfActive() {
    return Float32Array.from(this.placesOfActive(), (at) => this.allows(at) ? this.mean[at] : 0);
  }

  // Show values next to the tokens that the active one is connected to.
  showActive() {
    const active = this.active;
    for (const value of this.pane.querySelectorAll(".value")) value.textContent = "";
    for (const token of this.pane.querySelectorAll("[aria-selected=true], .faint")) {
      token.setAttribute("aria-selected", "false");
      token.classList.remove("faint");
    }
    this.status.textContent = "";
    if (active && this.heads.length) {
      active.setAttribute("aria-selected", "true");
      const across = this.lists[active.dataset.side === "query" ? "key" : "query"].children;
      const weights = this.weightsOfActive();
      weights.forEach((weight, i) => {
        across[i].classList.toggle("faint", this.layer.strength(weight) < FAINTEST);
        if (!(Math.abs(weight) < LEAST_SPELT)) across[i].lastChild.textContent = spelt(weight);
      });
      this.status.textContent = this.sayStrongest(active, across, weights);
    }
    this.note.textContent = this.noteOf(active);
    this.drawSoon();
  }

  // The strongest lines as text.
  sayStrongest(active, across, weights) {
    const size = (i) => Math.abs(weights[i]);
    const order = [...weights.keys()].sort((a, b) => size(b) - size(a)).slice(0, 3);
    const said = order.filter((i) => size(i) > 0)
      .map((i) => `${across[i].firstChild.textContent} ${spelt(weights[i])}`);
    return `${active.firstChild.textContent}: ${said.join(", ") || "nothing"}`;
  }

  noteOf(active) {
    if (!this.heads.length) return "No head is selected.";
    if (active && this.heads.length > 1) return `Values: ${speltHeads(this.layer, this.heads)}.`;
    const { scale } = this.layer;
    const opacity = "The opacity of a line is its " +
      (scale ? "absolute weight, as a fraction of the largest; negative ones are dashed" : "weight");
    if (active) return `${opacity}.`;
    if (this.filters.active && !this.found) return "No line passes the filters.";
    if (this.found > MOST_LINES) {
      const counts = [MOST_LINES, this.found].map((count) => count.toLocaleString("en"));
      return `The ${counts[0]} strongest of ${counts[1]} lines. Point at a token to see all of its lines.`;
    }
    return `${opacity}; lines below ${FAINTEST} are not drawn. Point at a token to see values.`;
  }

  drawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  // The canvas is as large as the visible part of the pane, and is drawn again when that scrolls.
  // With the height of 512 tokens it would be larger than browsers allow.
  draw() {
    if (!this.layer) return;
    const width = this.canvas.parentElement.clientWidth;
    const height = Math.min(this.pane.clientHeight, this.canvas.parentElement.clientHeight);
    const ratio = devicePixelRatio;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.lineWidth = this.height > 20 ? 2 : 1.5;
    const all = this.layer.heads;
    const colours = this.heads.map((head) => headColour(all.indexOf(head), all.length));
    for (const [weight, place, i] of this.active ? this.linesOfActive() : this.strongest) {
      const faded = this.emphasised !== null && this.heads[i] !== this.emphasised;
      const opacity = this.layer.strength(weight) * (faded ? FADED : 1);
      context.setLineDash(weight < 0 ? DASHES : []);
      this.drawLine(context, place, width, height, css(colours[i], opacity));
    }
  }

  linesOfActive() {
    const places = this.placesOfActive().filter((at) => this.allows(at));
    return this.ofHead.flatMap((weights, i) =>
      places.filter((at) => Math.abs(weights[at]) > 0).map((at) => [weights[at], at, i]));
  }

  drawLine(context, place, width, height, style) {
    const middle = (token) => (token + 0.5) * this.height - this.pane.scrollTop;
    const from = middle(Math.floor(place / this.layer.columns));
    const to = middle(place % this.layer.columns);
    if (Math.max(from, to) < 0 || Math.min(from, to) > height) return;
    context.strokeStyle = style;
    context.beginPath();
    context.moveTo(0, from);
    context.bezierCurveTo(0.4 * width, from, 0.6 * width, to, width, to);
    context.stroke();
  }
}
