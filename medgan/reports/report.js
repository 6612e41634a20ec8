"use strict";
// Without this script the pictures stand side by side; with it, one can be wiped over the other.
const page = document.documentElement;
page.classList.add("script", "wiping");

for (const pair of document.querySelectorAll(".compare")) {
  const wiper = document.createElement("input");
  Object.assign(wiper, { type: "range", className: "wiper", min: 0, max: 100, step: 1, value: 50 });
  wiper.setAttribute("aria-label", `Before and after, ${pair.dataset.name}: share of the picture that shows before`);
  const handle = document.createElement("span");
  handle.className = "handle";
  const wipe = () => {
    pair.style.setProperty("--cut", `${wiper.value}%`);
    wiper.setAttribute("aria-valuetext", `${wiper.value} percent before`);
  };
  wiper.addEventListener("input", wipe);
  pair.append(wiper, handle);
  wipe();
}

const beside = document.getElementById("beside-each-other");
if (beside) beside.addEventListener("change", () => page.classList.toggle("wiping", !beside.checked));

// A printed page shows everything that is folded away on screen.
const folded = () => document.querySelectorAll("details");
addEventListener("beforeprint", () => folded().forEach((part) => { part.dataset.open = part.open; part.open = true; }));
addEventListener("afterprint", () => folded().forEach((part) => { part.open = part.dataset.open === "true"; }));
