"use strict";

// Makes elements. Every text becomes a text node or the value of an attribute: nothing is ever
// parsed as markup, so a token may look like anything.

// An attribute that is false or null is left out; one named on... is a listener.
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

// One of several, as the browser's own radio buttons: the keyboard works as people know it.
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

// A key of the keyboard as a step down and to the right, or null.
function stepOf(key) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  return steps[key] ?? null;
}

function clamp(value, least, most) {
  return Math.max(least, Math.min(most, value));
}
