// Which lines are drawn: by direction, and by the segments (sentences, lines) that they connect.

const DIRECTIONS = [
  { value: "", label: "any direction", allows: () => true },
  { value: "back", label: "to earlier tokens", allows: (row, column) => column < row },
  { value: "self", label: "to the token itself", allows: (row, column) => column === row },
  { value: "ahead", label: "to later tokens", allows: (row, column) => column > row },
];

class Filters {
  constructor(onChange) {
    const select = (label) => element("select", { "aria-label": label, onchange: onChange });
    this.direction = select("Direction of lines");
    this.from = select("Lines from segment");
    this.to = select("Lines to segment");
    this.segments = element("span", { class: "filter-pair" }, this.from, "→", this.to);
    this.element = element("div", { class: "filters" }, this.direction, this.segments);
  }

  // Selections are kept as long as the tokens stay the same.
  show(kind, layer) {
    this.inOneText = kind.kind !== "cross" && kind.kind !== "influence";
    this.numbers = layer.segments.map((starts, side) =>
      segmentNumbers(starts, side ? layer.columns : layer.rows));
    fill(this.direction, DIRECTIONS);
    this.direction.hidden = !this.inOneText;
    const [queries, keys] = [layer.queries, layer.keys].map((labels, side) =>
      layer.segments[side].map((start, i, starts) =>
        ({ value: `${i}`, label: titleOf(labels.slice(start, starts[i + 1]), i) })));
    fill(this.from, [{ value: "", label: "any segment" }, ...queries]);
    const relative = this.inOneText && keys.length > 1
      ? [{ value: "same", label: "the same segment" }, { value: "other", label: "other segments" }]
      : [];
    fill(this.to, [{ value: "", label: "any segment" }, ...relative, ...keys]);
    this.segments.hidden = queries.length < 2 && keys.length < 2;
  }

  get active() {
    return [this.direction, this.from, this.to].some(({ value }) => value);
  }

  allows(row, column) {
    const [from, to] = [this.numbers[0][row], this.numbers[1][column]];
    if (this.inOneText) {
      const direction = DIRECTIONS.find(({ value }) => value === this.direction.value);
      if (!direction.allows(row, column)) return false;
    }
    if (this.from.value && Number(this.from.value) !== from) return false;
    if (this.to.value === "same") return from === to;
    if (this.to.value === "other") return from !== to;
    return !this.to.value || Number(this.to.value) === to;
  }
}

function fill(select, options) {
  select.replaceChildren(...options.map(({ value, label }) => element("option", { value }, label)));
}

// The segment of each of `count` tokens.
function segmentNumbers(starts, count) {
  let segment = 0;
  return Array.from({ length: count }, (_, i) => {
    if (i >= starts[segment + 1]) segment += 1;
    return segment;
  });
}

// "2: Speak, speak": the number of a segment, from 1 on, and its first characters.
function titleOf(labels, place) {
  const text = labels.slice(0, 14).join("").replace(/[␣⏎]/gu, " ").trim();
  return `${place + 1}: ${[...text].slice(0, 14).join("")}`;
}
