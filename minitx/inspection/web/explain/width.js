// An experiment: how the width d of queries and keys changes their products and the softmax of them.

const WIDTHS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const QUERIES = 64;
const KEYS = 8; // for each query, keys of its own

class WidthExperiment {
  constructor() {
    this.seed = 1;
    this.shown = element("output", { for: "width" });
    this.slider = element("input", { type: "range", id: "width", min: 0, max: WIDTHS.length - 1,
                                     step: 1, value: 6, oninput: () => this.draw() });
    this.table = new NumberTable("width", { most: { tokens: 3 } });
    this.undivided = new Bars("softmax(q·k)");
    this.divided = new Bars("softmax(q·k / √d)");
    this.before = element("p", { class: "measured" });
    this.after = element("p", { class: "measured" });
    const again = element("button", { type: "button", onclick: () => {
      this.seed++;
      this.draw();
    } }, "Draw again");
    this.element = element("section", { class: "card" },
      element("h2", {}, "Try it: the width d"),
      element("p", {}, "Move the slider. Every feature of the queries and keys is drawn at random " +
        `with variance 1, as in a model before training: ${QUERIES} queries, and ${KEYS} keys for each.`),
      element("div", { class: "switches" },
        element("div", { class: "switch" }, element("label", { for: "width" }, "Width d"),
          this.slider, this.shown),
        again),
      element("div", { class: "tables" }, this.table.element, this.undivided.element,
        this.divided.element),
      element("p", { class: "hint" }, "Bars: the weights of one query. Sensitivity: the change of " +
        "the largest weight w for a small change of its score, w (1 − w), at most 0.25. The gradient " +
        "that trains the score has this factor."),
      element("div", { role: "status" }, this.before, this.after));
    this.draw();
  }

  draw() {
    const d = WIDTHS[this.slider.value];
    const normal = normals(1000 * this.seed + d);
    const vector = () => Array.from({ length: d }, normal);
    const products = Array.from({ length: QUERIES }, () => {
      const query = vector();
      return Array.from({ length: KEYS }, () => dot(query, vector()));
    });
    const divided = products.map((row) => row.map((value) => value / Math.sqrt(d)));
    const numbers = [products, divided].map((scores) => {
      const weights = scores.map((row) => softmax(row));
      return [variance(scores.flat()), meanLargest(weights), meanSlope(weights)];
    });
    this.shown.textContent = `${d}`;
    this.slider.setAttribute("aria-valuetext", `${d}`);
    this.table.show({ caption: "measured", rows: ["q·k", "q·k / √d"], values: numbers,
                      columns: ["variance", "largest weight", "sensitivity"] });
    this.undivided.show(softmax(products[0]));
    this.divided.show(softmax(divided[0]));
    const [[variance0, largest0, slope0], [variance1, largest1, slope1]] =
      numbers.map((row) => row.map(measured));
    this.before.textContent = `With d = ${d}, the products q·k have variance ${variance0}; ${d} is ` +
      `expected. On average, the largest of ${KEYS} weights is ${largest0} and the sensitivity ${slope0}.`;
    this.after.textContent = `Divided by √${d} = ${brief(Math.sqrt(d))}, they have variance ` +
      `${variance1}; 1 is expected. The largest weight is ${largest1} and the sensitivity ${slope1}. ` +
      "From a width of about 16 on, both hardly depend on d.";
  }
}

// Weights as bars.
class Bars {
  constructor(title) {
    this.title = title;
    this.bars = Array.from({ length: KEYS }, () => element("span"));
    this.plot = element("div", { class: "bars", role: "img" }, ...this.bars);
    this.element = element("figure", {}, element("figcaption", {}, title), this.plot);
  }

  show(weights) {
    for (const [place, bar] of this.bars.entries()) bar.style.height = `${100 * weights[place]}%`;
    const spoken = weights.map((weight) => fixed(weight, 2)).join(", ");
    this.plot.setAttribute("aria-label", `${this.title} of one query: ${spoken}`);
  }
}

// A function that draws numbers with mean 0 and variance 1, the same ones for the same seed.
function normals(seed) {
  let state = seed;
  const uniform = () => { // mulberry32
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  // Box and Muller 1958. 1 - uniform() is never zero.
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
