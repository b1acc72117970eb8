// A matrix whose entries can be dragged, typed, or changed with the arrow keys.

const STEP = 0.1;
const PIXELS_OF_STEP = 4;
const LARGEST_ENTRY = 99;

class MatrixInput {
  // name: two letters, as Wq. values: a list of rows. onChange(): called after every change.
  constructor(name, values, onChange) {
    Object.assign(this, { name, onChange, start: values });
    this.values = values.map((row) => [...row]);
    this.inputs = values.flatMap((row, i) => row.map((_, j) => this.entry(i, j)));
    this.inputs[0].tabIndex = 0;
    const numbers = values[0].map((_, j) => element("th", { scope: "col" }, `${j + 1}`));
    this.element = element("div", { class: "scroll" },
      element("table", { class: "entries", "data-name": name },
        element("caption", {}, ...typeset(name)),
        element("thead", {}, element("tr", {}, element("td"), ...numbers)),
        element("tbody", {}, ...values.map((row, i) => element("tr", {},
          element("th", { scope: "row" }, `${i + 1}`),
          ...row.map((_, j) => element("td", {}, this.inputs[i * row.length + j])))))));
    this.write();
  }

  entry(i, j) {
    const input = element("input", {
      type: "number", step: STEP, min: -LARGEST_ENTRY, max: LARGEST_ENTRY, tabindex: -1,
      "aria-label": `${this.name}, row ${i + 1}, column ${j + 1}`,
      oninput: () => this.typed(input, i, j),
      onblur: () => this.write(),
      onfocus: () => this.focused(input),
      onkeydown: (event) => this.move(event, input),
      onpointerdown: (event) => this.grab(event, input, i, j),
      onpointermove: (event) => this.drag(event, i, j),
      onlostpointercapture: () => { this.grabbed = null; },
      ondragstart: (event) => event.preventDefault(), // of the text in it
    });
    return input;
  }

  typed(input, i, j) {
    const value = input.valueAsNumber;
    const valid = Math.abs(value) <= LARGEST_ENTRY; // false for what is not a number yet
    input.setAttribute("aria-invalid", !valid);
    if (!valid) return;
    this.values[i][j] = value;
    this.onChange();
  }

  focused(input) {
    for (const each of this.inputs) each.tabIndex = each === input ? 0 : -1;
    input.select();
  }

  // Up and down are the browser's own keys for a number. Left and right go to the next entry.
  move(event, input) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    const to = clamp(this.inputs.indexOf(input) + step, 0, this.inputs.length - 1);
    this.inputs[to].focus();
  }

  grab(event, input, i, j) {
    this.grabbed = { x: event.clientX, y: event.clientY, value: this.values[i][j] };
    input.setPointerCapture(event.pointerId);
  }

  // To the right, or up, is more.
  drag(event, i, j) {
    if (!this.grabbed) return;
    const { x, y, value } = this.grabbed;
    const steps = Math.round((event.clientX - x + y - event.clientY) / PIXELS_OF_STEP);
    const dragged = clamp(value + steps * STEP, -LARGEST_ENTRY, LARGEST_ENTRY);
    const rounded = Math.round(dragged / STEP) * STEP;
    const next = steps ? Number(rounded.toFixed(1)) : value;
    if (next === this.values[i][j]) return;
    this.values[i][j] = next;
    this.write();
    this.onChange();
  }

  reset() {
    this.values = this.start.map((row) => [...row]);
    this.write();
  }

  write() {
    for (const [place, value] of this.values.flat().entries()) {
      this.inputs[place].value = value;
      this.inputs[place].removeAttribute("aria-invalid");
    }
  }
}
