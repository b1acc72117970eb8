// A head as a small map on a button, which chooses the head.

class SmallMap {
  // place: the index of the layer; onChoose(place, head).
  constructor(layer, place, head, onChoose) {
    Object.assign(this, { layer, place, head });
    const name = placeOf(layer, head);
    const does = nameOf(layer, head);
    this.canvas = element("canvas", { class: "cells" });
    this.button = element("button", { type: "button", class: "small-map", tabindex: -1,
                                      "aria-label": name, "data-head": head,
                                      title: does ? `${name}: ${does}` : name,
                                      onclick: () => onChoose(place, head) }, this.canvas);
  }

  // The longer side has this size; the shorter one is in proportion, but not too short.
  resize(size) {
    const { rows, columns } = this.layer;
    const longest = Math.max(rows, columns);
    const side = (count) => `${Math.max(size * (count / longest), 0.3 * size)}px`;
    this.size = size;
    this.canvas.style.width = side(columns);
    this.canvas.style.height = side(rows);
  }

  draw() {
    const most = this.size * Math.ceil(devicePixelRatio);
    const small = pooled(this.layer.mean([this.head]), this.layer, most);
    paint(this.canvas, small.values, small.rows, small.columns, this.layer.scale);
  }
}

// A smaller matrix with the strongest weight of each patch, so that a thin diagonal stays visible.
function pooled(values, { rows, columns }, most) {
  const patch = Math.ceil(Math.max(rows, columns) / most);
  if (patch === 1) return { values, rows, columns };
  const [fewerRows, fewerColumns] = [Math.ceil(rows / patch), Math.ceil(columns / patch)];
  const largest = new Float32Array(fewerRows * fewerColumns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const place = Math.floor(row / patch) * fewerColumns + Math.floor(column / patch);
      const value = values[row * columns + column];
      const known = Math.abs(value) <= Math.abs(largest[place]) || Number.isNaN(largest[place]);
      if (!known) largest[place] = value; // also if it is not a number
    }
  }
  return { values: largest, rows: fewerRows, columns: fewerColumns };
}
