// How much of the window is left for a view.

// Pixels from the top of an element to the end of the window, without `reserved` pixels below it. If
// the element begins far down the page, a part of the window.
function roomBelow(element, reserved) {
  const top = element.getBoundingClientRect().top + scrollY;
  const room = innerHeight - top - reserved;
  return Math.round(room < 0.36 * innerHeight ? 0.62 * innerHeight : room);
}
