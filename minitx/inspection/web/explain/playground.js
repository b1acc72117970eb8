// The page: the switches, and a card for each step, which show the same numbers after every change.

class Card {
  constructor(title, why) {
    this.formulas = element("div", { class: "formulas" });
    this.tables = element("div", { class: "tables" });
    this.measured = element("p", { class: "measured" });
    this.element = element("section", { class: "card" }, element("h2", {}, title), this.formulas,
      element("p", { class: "why" }, why), this.measured, this.tables);
  }

  write(formulas, measuredText) {
    this.formulas.replaceChildren(...formulas.map((line) => element("div", {}, ...typeset(line))));
    this.measured.textContent = measuredText;
  }
}

class Playground {
  constructor(scene) {
    const Source = { example: Example, trained: TrainedHead }[scene.kind];
    this.scene = scene;
    this.mask = maskOf(scene);
    this.source = new Source(scene, () => this.update());
    this.switches = new Switches(scene, () => this.update());
    this.cards = {
      projections: new Card("1. Queries, keys, values", WHY.projections),
      scores: new Card("2. Scores", WHY.scores),
      weights: new Card("3. Weights", WHY.weights),
      outputs: new Card("4. Outputs", WHY.outputs),
      heads: new Card("5. Several heads", WHY.heads),
    };
    const plain = (name) => new NumberTable(name, { most: scene.most });
    this.tables = { q: plain("q"), k: plain("k"), v: plain("v"), y: plain("y"), heads: [] };
    const { q, k, v, y } = this.tables;
    this.cards.projections.tables.append(q.element, k.element, v.element);
    this.cards.outputs.tables.append(y.element);
    this.products = new Products();
    this.cards.weights.element.append(
      element("p", { class: "hint" }, "Point at a weight, or go to it with the arrow keys, to see the " +
        "products behind it. A temperature below 1 sharpens the weights, one above 1 evens them out."),
      this.products.element);
    this.element = element("main", {},
      element("h1", {}, scene.title),
      element("div", { class: "columns" },
        element("div", { class: "side" },
          element("section", { class: "card switches", "aria-label": "Switches" },
            ...this.source.controls(), ...this.switches.elements),
          this.source.given()),
        element("div", { class: "steps" },
          this.cards.projections.element, this.cards.scores.element, new WidthExperiment().element,
          this.cards.weights.element, this.cards.outputs.element,
          scene.kind === "example" ? this.cards.heads.element : "")));
    this.update();
  }

  // Compute everything again, and show it.
  update() {
    const { scaled, masked, temperature } = this.switches.read();
    this.settings = { scaled, temperature, allowed: masked ? this.mask : everything };
    this.given = this.source.read();
    this.results = this.given.heads.map((head) => attend(head, this.settings));
    this.makeHeadTables();
    this.showTables();
    this.showText();
    const { head, i, j } = this.pointed ?? {};
    const { queries, keys } = this.given;
    if (head < this.results.length && i < queries.length && j < keys.length) this.point(head, i, j);
    else this.pointAtLargest();
  }

  // A table of scores and one of weights for each head.
  makeHeadTables() {
    if (this.tables.heads.length === this.results.length) return;
    this.tables.heads = this.results.map((_, head) => {
      const onPoint = (i, j) => this.point(head, i, j);
      const { most } = this.scene;
      return { s: new NumberTable(`s${head}`, { most, onPoint }),
               w: new NumberTable(`w${head}`, { most, onPoint, coloured: true }) };
    });
    this.cards.scores.tables.replaceChildren(...this.tables.heads.map(({ s }) => s.element));
    this.cards.weights.tables.replaceChildren(...this.tables.heads.map(({ w }) => w.element));
  }

  showTables() {
    const { queries, keys, whole, first, group } = this.given;
    const { allowed } = this.settings;
    for (const [name, long] of [["q", "queries"], ["k", "keys"], ["v", "values"]]) {
      this.tables[name].show({ caption: `${name}: ${long}`, rows: name === "q" ? queries : keys,
                               values: whole[name], first: first[name], group });
    }
    const several = this.results.length > 1;
    for (const [head, { scores, weights }] of this.results.entries()) {
      const of = several ? ` of head ${head}` : "";
      const { s, w } = this.tables.heads[head];
      s.show({ caption: `s: scores${of}`, rows: queries, columns: keys, values: scores, allowed });
      w.show({ caption: `w: weights${of}`, rows: queries, columns: keys, values: weights, allowed });
    }
    const joined = queries.map((_, i) => this.results.flatMap(({ outputs }) => outputs[i]));
    this.tables.y.show({ caption: `y: outputs${several ? " of all heads, joined" : ""}`, rows: queries,
                         values: joined, first: first.q, group });
  }

  showText() {
    const { heads } = this.given;
    const { scaled, temperature, allowed } = this.settings;
    const d = heads[0].q[0].length;
    const distance = heads[0].slope ? ` − ${brief(heads[0].slope)} |i − j|` : "";
    const { projections, scores, weights, outputs } = this.cards;
    const split = heads.length > 1
      ? [heads.map((_, h) => `head ${h} has features ${h * d + 1} to ${(h + 1) * d}`).join(", ")] : [];
    projections.write([...this.scene.projections, ...split], "");
    scores.write([`s = q kᵀ${scaled ? ` / √${d}` : ""}${distance}`],
      measuredScores(this.results, allowed));
    weights.write([`w = softmax(s${temperature === 1 ? "" : ` / ${temperature}`})`],
      measuredWeights(this.results, heads, this.settings));
    outputs.write(["y = w v"], "");
    this.cards.heads.write([], measuredHeads(this.results));
  }

  pointAtLargest() {
    const row = this.given.queries.length - 1;
    const weights = this.results[0].weights[row];
    const shown = this.tables.heads[0].w.across.filter((column) => column !== null);
    this.point(0, row, shown[placeOfLargest(shown.map((column) => weights[column]))]);
  }

  // Show the calculation behind a weight, and mark what it is calculated from.
  point(head, i, j) {
    this.pointed = { head, i, j };
    const { queries, keys } = this.given;
    const [query, key] = [uniqueLabel(queries, i), uniqueLabel(keys, j)];
    const result = this.results[head];
    const { first } = this.given.heads[head];
    this.products.show({ head: result, first, settings: this.settings, i, j, query, key });
    this.cards.outputs.measured.textContent =
      measuredOutput(query, keys.map((_, place) => uniqueLabel(keys, place)), result.weights[i],
                     this.results.length > 1 ? head : null);
    this.tables.q.mark(i);
    this.tables.k.mark(j);
    this.tables.v.mark(j);
    this.tables.y.mark(i);
    for (const [place, { s, w }] of this.tables.heads.entries()) {
      s.mark(...(place === head ? [i, j] : [null]));
      w.mark(...(place === head ? [i, j] : [null]));
    }
  }
}

// A label, with its position if the same label occurs again.
function uniqueLabel(labels, place) {
  const again = labels.filter((label) => label === labels[place]).length > 1;
  return again ? `${labels[place]} (${place + 1})` : labels[place];
}
