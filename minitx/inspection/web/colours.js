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
// in a text of 200 tokens most weights are hundredths.
function position(weight) {
  return Math.sqrt(Math.min(weight, 1));
}

let scaleOfNow = null; // for light or for dark
darkness.addEventListener("change", () => { scaleOfNow = null; });

// Colours (r, g, b, a) of the positions on the scale, one after the other.
function shades() {
  scaleOfNow ??= mixedShades();
  return scaleOfNow;
}

function mixedShades() {
  const stops = coloursOf("--scale");
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
// that a mask looks different from small weights.
function paint(canvas, values, rows, columns) {
  canvas.width = columns;
  canvas.height = rows;
  const scale = shades();
  const [wrong] = coloursOf("--wrong");
  const image = new ImageData(columns, rows);
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0) continue;
    if (Number.isNaN(values[i])) {
      image.data.set([...wrong, 255], 4 * i);
      continue;
    }
    const shade = Math.round(position(values[i]) * (SHADES - 1));
    for (let part = 0; part < 4; part++) image.data[4 * i + part] = scale[4 * shade + part];
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The colour scale.
function legendOfColours() {
  const bar = element("canvas", { class: "scale-bar" });
  const steps = 256;
  const draw = () =>
    paint(bar, Float32Array.from({ length: steps }, (_, i) => ((i + 1) / steps) ** 2), 1, steps);
  draw();
  darkness.addEventListener("change", draw);
  const ticks = [0, 0.01, 0.1, 0.25, 0.5, 1].map((weight) => {
    const tick = element("span", {}, `${weight}`);
    tick.style.left = `${100 * position(weight)}%`;
    return tick;
  });
  return element("div", { class: "scale", role: "img",
                          "aria-label": "Colour scale of weights, from 0 to 1" },
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
