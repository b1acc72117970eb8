// The heads of one layer of a trained model, with the queries, keys and values that it computed.

class TrainedHead {
  // scene: head (the chosen one), heads [{q, k, v, slope, first, notes}] (base64), queries, keys.
  constructor(scene, onChange) {
    Object.assign(this, { scene, onChange, head: scene.head });
    this.notes = element("div");
  }

  controls() {
    const options = this.scene.heads.map((_, i) => ({ value: `${i}`, label: `${i}` }));
    if (options.length < 2) return [];
    return [choice("Head", "head", options, `${this.head}`, (head) => {
      this.head = Number(head);
      this.onChange();
    })];
  }

  given() {
    return element("section", { class: "card" },
      element("h2", {}, "What is given"),
      element("p", {}, "The queries, keys and values that the model computed."), this.notes);
  }

  read() {
    const { queries, keys, heads } = this.scene;
    const { q, k, v, slope, first, notes } = heads[this.head];
    this.notes.replaceChildren(...notes.map((note) => element("p", {}, note)));
    const whole = { q: rowsOf(q, queries.length), k: rowsOf(k, keys.length), v: rowsOf(v, keys.length) };
    return { queries, keys, heads: [{ ...whole, slope }], whole, first, group: null };
  }
}

// float32 numbers in base64, little-endian, as a list of rows.
function rowsOf(base64, count) {
  const numbers = Array.from(new Float32Array(bytesOf(base64).buffer));
  const width = numbers.length / count;
  return Array.from({ length: count }, (_, row) => numbers.slice(row * width, (row + 1) * width));
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
