// The switches for scaling, the mask and the temperature.

class Switches {
  // scene: scaled, and mask: {label, on}, or null if nothing can be hidden.
  constructor({ scaled, mask }, onChange) {
    const box = (label, checked) => {
      const input = element("input", { type: "checkbox", role: "switch", checked, onchange: onChange });
      return [input, element("label", { class: "switch" }, input, label)];
    };
    const [scaling, scalingLabel] = box("Divide scores by √d", scaled);
    const [masking, maskingLabel] = box(mask?.label ?? "", mask?.on ?? false);
    this.scaling = scaling;
    this.masking = masking;
    this.shown = element("output", { for: "temperature" }, "1");
    this.temperature = element("input", { type: "range", id: "temperature", min: 0.1, max: 4,
                                          step: 0.1, value: 1, oninput: () => {
                                            this.shown.textContent = this.temperature.value;
                                            onChange();
                                          } });
    this.elements = [
      scalingLabel,
      ...(mask ? [maskingLabel] : []),
      element("div", { class: "switch" }, element("label", { for: "temperature" }, "Temperature"),
        this.temperature, this.shown),
    ];
  }

  read() {
    return {
      scaled: this.scaling.checked,
      masked: this.masking.checked,
      temperature: Number(this.temperature.value),
    };
  }
}
