// A measure of all heads over the steps of the training, as lines. Those of the chosen heads are
// marked, and so is the step that is shown.

const CHART = { width: 600, height: 120 }; // of the drawing, which the page stretches

class Forming {
  // onChoose(frame): the index of the step nearest to a click.
  constructor(onChoose) {
    this.select = element("select", { onchange: () => this.draw() });
    this.most = element("span", { class: "most" });
    this.drawing = shape("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img",
                                  preserveAspectRatio: "none" });
    this.drawing.addEventListener("click", (event) => onChoose(this.nearest(event)));
    this.ends = element("div", { class: "chart-ends" });
    this.element = element("div", { class: "forming" },
      element("label", { class: "sort" }, "For every head, over the training steps: ", this.select),
      element("div", { class: "chart" }, this.most, this.drawing, this.ends));
  }

  // frames: the steps with their kinds; frame: the index of the one that is shown; layer: an index.
  show(frames, frame, kind, layer, heads) {
    Object.assign(this, { frames, frame, layer, heads });
    this.element.hidden = frames.length < 2;
    this.layers = frames.map(({ decoded }) => decoded.find((each) => each.kind === kind).layers);
    const measures = measuresOf(this.layers.flat());
    if (`${this.keys}` !== `${measures.map(({ key }) => key)}`) {
      this.keys = measures.map(({ key }) => key);
      this.select.replaceChildren(...measures.map(({ key, label }) =>
        element("option", { value: key }, label)));
    }
    this.draw();
  }

  draw() {
    const measure = MEASURES.find(({ key }) => key === this.select.value);
    if (!measure) return;
    const all = this.layers[0].flatMap((layer, place) => layer.heads.map((head) => ({
      head, place,
      values: this.layers.map((layers) => measuredOf(layers[place], head)[measure.key]),
    })));
    const most = Math.max(...all.flatMap(({ values }) => values.map((value) => value ?? 0))) || 1;
    const chosen = ({ head, place }) => place === this.layer && this.heads.includes(head);
    const line = (head) => shape("polyline", { class: chosen(head) ? "chosen" : "other",
                                               points: this.pointsOf(head.values, most) });
    const at = this.across(this.frame);
    this.drawing.replaceChildren(...all.filter((head) => !chosen(head)).map(line),
      shape("line", { class: "now", x1: at, x2: at, y1: 0, y2: CHART.height }),
      ...all.filter(chosen).map(line));
    this.most.textContent = speltMeasure(measure, most);
    this.ends.replaceChildren(...[0, this.frames.length - 1].map((i) =>
      element("span", {}, `step ${this.frames[i].step.toLocaleString("en")}`)));
    this.drawing.setAttribute("aria-label", this.saying(measure, all.filter(chosen)));
  }

  pointsOf(values, most) {
    return values.flatMap((value, i) => value === undefined
      ? [] : [`${this.across(i)},${CHART.height * (1 - value / most)}`]).join(" ");
  }

  // Steps have a logarithmic scale, because heads form early.
  across(frame) {
    const [first, last, step] = [0, this.frames.length - 1, frame].map((i) =>
      Math.log(Math.max(this.frames[i].step, 1)));
    return CHART.width * (last > first ? (step - first) / (last - first) : 0);
  }

  nearest({ clientX }) {
    const box = this.drawing.getBoundingClientRect();
    const at = CHART.width * (clientX - box.left) / box.width;
    const distances = this.frames.map((_, i) => Math.abs(this.across(i) - at));
    return distances.indexOf(Math.min(...distances));
  }

  saying(measure, chosen) {
    const said = chosen.map(({ head, place, values }) => {
      const [first, last] = [values[0], values.at(-1)].map((value) => speltMeasure(measure, value));
      return `${placeOf(this.layers[0][place], head)} from ${first} to ${last}`;
    });
    return `${measure.label} over the steps: ${said.join(", ")}`;
  }
}

// An element of a drawing. The namespace is that of the drawing in the page, so that no script has an
// address.
function shape(tag, attributes) {
  const { namespaceURI } = document.getElementById("shapes");
  const made = document.createElementNS(namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
