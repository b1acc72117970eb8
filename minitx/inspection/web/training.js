// How heads formed: the maps of another text at every validation of the training, with a slider.

const STEP_TIME = 500; // milliseconds of each step while they are played

class Training {
  // frames: what the page has of each step; own: the kinds of the page's own text; onShow(kinds,
  // inTraining).
  constructor(frames, own, place, onShow) {
    Object.assign(this, { frames, own, onShow });
    this.slider = element("input", { type: "range", min: 0, max: Math.max(frames.length - 1, 0),
                                     value: frames.length - 1, "aria-label": "Training step",
                                     oninput: () => { this.stop(); this.show(); } });
    this.step = element("output", { class: "step" });
    this.text = element("p", { class: "axes" });
    this.playButton = element("button", { type: "button", class: "chip-button",
                                          onclick: () => this.timer ? this.stop() : this.play() }, "Play");
    this.forming = new Forming((frame) => { this.stop(); this.goTo(frame); });
    this.controls = element("div", { class: "steps", hidden: true },
      element("div", { class: "at-step" },
        element("div", { class: "slider" }, this.playButton, this.slider, this.step), this.text),
      this.forming.element);
    const options = [{ value: "text", label: "The text above" },
                     { value: "training", label: "Training steps" }];
    this.element = element("div", { class: "training", hidden: !frames.length || !own.length },
      choice("Maps of", `maps-${place}`, options, "text", (value) => this.choose(value)),
      this.controls);
  }

  // The kinds of the step that the slider is at.
  get kinds() {
    for (const frame of this.frames) frame.decoded ??= kindsOf(frame);
    return this.frames[this.slider.value].decoded;
  }

  // Mark heads in the chart; layer: an index.
  mark(kind, layer, heads) {
    this.forming.show(this.frames, Number(this.slider.value), kind, layer, heads);
  }

  choose(value) {
    this.stop();
    this.controls.hidden = value === "text";
    if (value === "text") this.onShow(this.own, false);
    else this.show();
  }

  show() {
    const { step, text, tokens } = this.frames[this.slider.value];
    const spelt = `step ${step.toLocaleString("en")}`;
    this.step.textContent = spelt;
    this.slider.setAttribute("aria-valuetext", spelt);
    const shown = Math.max(...this.kinds.flatMap(({ layers }) =>
      layers.flatMap(({ rows, columns }) => [rows, columns])));
    const part = shown < tokens ? ` The first ${shown} of ${tokens} tokens.` : "";
    this.text.replaceChildren("During training, the model read: ", element("bdi", {}, text), part);
    this.onShow(this.kinds, true);
  }

  // Show the step nearest to one of another run; null for the text.
  follow(step) {
    if (this.element.hidden) return;
    const value = step === null ? "text" : "training";
    if (step !== null) this.slider.value = this.nearest(step);
    this.element.querySelector(`[value=${value}]`).checked = true;
    this.choose(value);
  }

  nearest(step) {
    const distances = this.frames.map((frame) => Math.abs(frame.step - step));
    return distances.indexOf(Math.min(...distances));
  }

  // The step that is shown, null if it is the text.
  get stepShown() {
    return this.controls.hidden ? null : this.frames[this.slider.value].step;
  }

  goTo(frame) {
    this.slider.value = frame;
    this.show();
  }

  // From the beginning if the last step is shown.
  play() {
    if (Number(this.slider.value) === this.frames.length - 1) this.goTo(0);
    this.playButton.textContent = "Pause";
    this.timer = setInterval(() => {
      const next = Number(this.slider.value) + 1;
      if (next < this.frames.length) this.goTo(next);
      if (next >= this.frames.length - 1) this.stop();
    }, STEP_TIME);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = "Play";
  }
}
