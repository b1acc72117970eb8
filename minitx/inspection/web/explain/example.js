// The example: a sentence to type, matrices to change, and a number of heads.

class Example {
  // scene: sentence, rows {word: features}, matrices {Wq, Wk, Wv}, projections, most.
  constructor(scene, onChange) {
    this.scene = scene;
    this.known = new Map(Object.entries(scene.rows));
    this.dim = scene.matrices.Wq.length;
    this.heads = 1;
    this.words = wordsOf(scene.sentence, scene.most.tokens).words;
    this.matrices = Object.entries(scene.matrices)
      .map(([name, values]) => new MatrixInput(name, values, onChange));
    this.table = new NumberTable("x", { most: scene.most });
    this.problem = element("p", { class: "notice", role: "alert", id: "problem", hidden: true });
    this.sentence = element("input", {
      type: "text", id: "sentence", value: scene.sentence, autocomplete: "off", spellcheck: "false",
      "aria-describedby": "problem", oninput: () => { if (this.readSentence()) onChange(); },
    });
    this.onChange = onChange;
  }

  controls() {
    const divides = Array.from({ length: this.dim }, (_, i) => i + 1)
      .filter((heads) => this.dim % heads === 0);
    const options = divides.map((heads) => ({ value: `${heads}`, label: `${heads}` }));
    return [
      element("div", { class: "sentence" },
        element("label", { for: "sentence" }, "Sentence"), this.sentence, this.problem),
      choice("Heads", "heads", options, "1", (heads) => {
        this.heads = Number(heads);
        this.onChange();
      }),
    ];
  }

  // What the steps start from.
  given() {
    const reset = element("button", { type: "button", onclick: () => {
      for (const matrix of this.matrices) matrix.reset();
      this.onChange();
    } }, "Reset the matrices");
    return element("section", { class: "card" },
      element("h2", {}, "What is given"),
      element("p", {}, "A row of features x for each word (here a token), and three matrices. A model " +
        "learns all of them. Here a new word gets small numbers made of its letters."),
      element("div", { class: "tables" }, this.table.element,
        ...this.matrices.map((matrix) => matrix.element)),
      element("p", { class: "hint" }, "Drag an entry of a matrix to the right or to the left, or type. " +
        "The up and down keys change an entry, left and right move to the neighbouring entry."),
      reset);
  }

  // Take the words from the sentence. If it cannot be used, say why, and keep the words before.
  readSentence() {
    const { words, problem } = wordsOf(this.sentence.value, this.scene.most.tokens);
    this.problem.textContent = problem ?? "";
    this.problem.hidden = !problem;
    this.sentence.setAttribute("aria-invalid", Boolean(problem));
    if (words) this.words = words;
    return Boolean(words);
  }

  // The labels, and q, k, v of all heads together and of each head.
  read() {
    const labels = this.words.map(labelOf);
    const x = this.words.map((word) => rowOf(word, this.known, this.dim));
    this.table.show({ caption: "x: features", rows: labels, values: x });
    const [q, k, v] = this.matrices.map(({ values }) => product(x, values));
    const width = this.dim / this.heads;
    const heads = Array.from({ length: this.heads }, (_, head) => {
      const [headQ, headK, headV] = [q, k, v].map((all) => columnsOf(all, head * width, width));
      return { q: headQ, k: headK, v: headV, slope: 0, first: head * width + 1 };
    });
    return { queries: labels, keys: labels, heads, whole: { q, k, v }, first: { q: 1, k: 1, v: 1 },
             group: this.heads > 1 ? width : null };
  }
}
