// What pages do beyond links and forms: keys, copying, opening a row, asking again while a store is down. No inline script, no eval.
"use strict";
(() => {
  const inField = (node) => /^(INPUT|SELECT|TEXTAREA)$/.test(node.tagName) || node.isContentEditable;
  const rows = () => [...document.querySelectorAll("tr[data-href]")];
  let selected = -1;
  const select = (step) => {
    const all = rows();
    if (!all.length) return;
    if (all[selected]) all[selected].removeAttribute("data-selected");
    selected = Math.min(all.length - 1, Math.max(0, selected + step));
    all[selected].setAttribute("data-selected", "");
    const link = all[selected].querySelector("a");
    if (link) link.focus();
  };
  let pending = "";
  const places = { d: "datasets", r: "runs", s: "simulations", l: "lfs" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) return;
    if (pending === "g" && places[event.key]) {
      const link = document.querySelector(`header nav a[href$="/${places[event.key]}"]`);
      if (link) link.click();
    } else if (event.key === "/") {
      const field = document.querySelector('[data-key="/"]');
      if (field) { event.preventDefault(); field.focus(); }
    } else if (event.key === "j" || event.key === "k") {
      select(event.key === "j" ? 1 : -1);
    } else if (event.key === "x" && rows()[selected]) {
      const box = rows()[selected].querySelector('input[type="checkbox"]');
      if (box) box.checked = !box.checked;
    } else if (event.key === "[" || event.key === "]") {
      const link = document.querySelector(event.key === "[" ? 'a[rel="prev"]' : 'a[rel="next"]');
      if (link) link.click();
    } else if (event.key === "c") {
      const form = document.getElementById("compare");
      if (form) form.requestSubmit();
    }
    pending = event.key === "g" ? "g" : "";
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = before; }, 1500);
    });
  });
  const retry = document.querySelector("[data-retry]");
  if (retry) setTimeout(() => location.reload(), 1000 * Number(retry.dataset.retry));
})();
