// Build the page from the numbers in it.

const scene = JSON.parse(document.getElementById("scene").textContent);
document.getElementById("playground").replaceWith(new Playground(scene).element);
