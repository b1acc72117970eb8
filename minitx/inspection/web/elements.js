"use strict";

// Make elements. Every text becomes a text node or the value of an attribute. Nothing is parsed as
// markup, so a token may contain anything.

// An attribute that is false or null is left out. One named on... is a listener.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// A choice of one option, with the browser's own radio buttons and their keys.
// options: [{value, label}]; onChoose(value).
function choice(legend, name, options, chosen, onChoose) {
  const buttons = options.map(({ value, label }) =>
    element("label", { class: "chip" },
      element("input", { type: "radio", name, value, checked: value === chosen,
                         onchange: () => onChoose(value) }),
      element("span", {}, label)));
  return element("fieldset", { class: "controls" },
    element("legend", {}, legend), element("div", { class: "chips" }, ...buttons));
}

// An arrow key as a step [down, right]; null for other keys.
function stepOf(key) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  return steps[key] ?? null;
}

function clamp(value, least, most) {
  return Math.max(least, Math.min(most, value));
}
