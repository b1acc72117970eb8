// The heads of all layers in the order of a measure.

class Ranking {
  constructor() {
    this.element = element("ol", { class: "ranking", onkeydown: (event) => this.move(event) });
  }

  // maps: the small maps in their order; measure: one of MEASURES.
  show(maps, measure, label) {
    this.element.setAttribute("aria-label", label);
    const values = maps.map(({ layer, head }) => measuredOf(layer, head)[measure.key]);
    const most = Math.max(...values.map((value) => Math.abs(value ?? 0))) || 1;
    this.buttons = maps.map(({ button }) => button);
    this.element.replaceChildren(...maps.map((map, i) => {
      map.resize(44);
      return this.row(map, speltMeasure(measure, values[i]), Math.abs(values[i] ?? 0) / most);
    }));
  }

  row({ button, layer, head }, value, fraction) {
    const bar = element("i", { class: "bar" });
    bar.style.width = `${100 * fraction}%`;
    return element("li", {}, button, element("div", { class: "ranked" },
      element("span", {}, element("strong", {}, placeOf(layer, head)), ` ${nameOf(layer, head)}`),
      element("span", { class: "amount" }, value), bar));
  }

  move(event) {
    const from = event.target.closest("button");
    const place = this.buttons.indexOf(from);
    const step = stepOf(event.key);
    const to = { Home: 0, End: this.buttons.length - 1 }[event.key] ?? (step && place + step[0] + step[1]);
    if (place < 0 || to === null || to === undefined) return;
    event.preventDefault();
    moveFocus(from, this.buttons[to]);
  }
}
