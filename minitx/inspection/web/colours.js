// The colour scale of weights, and the colours of heads. attention.css defines the colours, for
// light and for dark.

const SHADES = 1024;
const darkness = matchMedia("(prefers-color-scheme: dark)");

// The colours in a custom property of attention.css: "#rrggbb #rrggbb ..." -> [[r, g, b], ...].
function coloursOf(property) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(property);
  return text.trim().split(/\s+/).map((hex) =>
    [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)));
}

// The position of a weight on the scale, 0 to 1. With the square root, one scale suits all lengths:
// in a text of 200 tokens most weights are hundredths. With `scale`, weights are from -scale to scale,
// and zero is in the middle.
function position(weight, scale = null) {
  if (!scale) return Math.sqrt(Math.min(weight, 1));
  return (1 + Math.sign(weight) * Math.sqrt(Math.min(Math.abs(weight) / scale, 1))) / 2;
}

let shadesOfNow = {}; // for light or for dark
darkness.addEventListener("change", () => { shadesOfNow = {}; });

// Colours (r, g, b, a) of the positions on the scale in a property, one after the other.
function shades(property) {
  shadesOfNow[property] ??= mixedShades(property);
  return shadesOfNow[property];
}

function mixedShades(property) {
  const stops = coloursOf(property);
  const bytes = new Uint8ClampedArray(4 * SHADES);
  for (let shade = 0; shade < SHADES; shade++) {
    const place = (shade / (SHADES - 1)) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    for (let part = 0; part < 3; part++) {
      const [from, to] = [stops[below][part], stops[below + 1][part]];
      bytes[4 * shade + part] = from + (to - from) * (place - below);
    }
    bytes[4 * shade + 3] = 255;
  }
  return bytes;
}

// Paint a matrix with one pixel per weight; the page stretches the canvas. Zeros stay transparent, so
// that a mask looks different from small weights. scale: null if weights are from 0 to 1.
function paint(canvas, values, rows, columns, scale) {
  canvas.width = columns;
  canvas.height = rows;
  const colours = shades(scale ? "--signed-scale" : "--scale");
  const [wrong] = coloursOf("--wrong");
  const image = new ImageData(columns, rows);
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0) continue;
    if (Number.isNaN(values[i])) {
      image.data.set([...wrong, 255], 4 * i);
      continue;
    }
    const shade = Math.round(position(values[i], scale) * (SHADES - 1));
    for (let part = 0; part < 4; part++) image.data[4 * i + part] = colours[4 * shade + part];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The colour scale, from 0 to 1 or from -scale to scale.
function legendOfColours(scale) {
  const bar = element("canvas", { class: "scale-bar" });
  const steps = 256;
  const weights = Float32Array.from({ length: steps }, (_, i) => {
    if (!scale) return ((i + 1) / steps) ** 2;
    const place = (2 * i + 1) / steps - 1;
    return Math.sign(place) * place ** 2 * scale;
  });
  paint(bar, weights, 1, steps, scale);
  const marks = scale ? [-scale, -scale / 4, 0, scale / 4, scale] : [0, 0.01, 0.1, 0.25, 0.5, 1];
  const ticks = marks.map((weight) => {
    const text = scale ? `${Number(weight.toPrecision(2))}`.replace("-", "−") : `${weight}`;
    const tick = element("span", {}, text);
    tick.style.left = `${100 * position(weight, scale)}%`;
    return tick;
  });
  const ends = `from ${ticks[0].textContent} to ${ticks.at(-1).textContent}`;
  return element("div", { class: "scale", role: "img", "aria-label": `Colour scale of weights, ${ends}` },
    element("span", { class: "scale-name" }, "weight"),
    element("div", { class: "scale-body" }, bar, element("div", { class: "ticks" }, ...ticks)),
    element("span", { class: "scale-name" }, "blank: exactly 0"));
}

// The colour of the n-th of some heads. More heads than attention.css has colours get hues at equal
// distances, in turn darker and lighter, so that neighbours differ.
function headColour(place, count) {
  const colours = coloursOf("--heads");
  if (count <= colours.length) return colours[place];
  const lightness = (darkness.matches ? 0.68 : 0.4) + 0.12 * (place % 2);
  return fromHue(360 * place / count, 0.65, lightness);
}

// Hue in degrees, saturation and lightness from 0 to 1 -> [red, green, blue], 0 to 255.
function fromHue(hue, saturation, lightness) {
  const strength = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((offset) => {
    const k = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - strength * clamp(Math.min(k - 3, 9 - k), -1, 1)));
  });
}

function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}
