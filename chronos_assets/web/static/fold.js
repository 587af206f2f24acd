// What if the thresholds of a fold were others: signals of its test bars counted again as the sliders move. Nothing is stored.
"use strict";
(() => {
  const place = document.getElementById("what-if");
  if (!place) return;
  const rows = [...document.querySelectorAll("tr[data-prediction]")]
    .map((row) => [Number(row.dataset.prediction), Number(row.dataset.gain)]).filter((pair) => pair.every(Number.isFinite));
  const sliders = Object.fromEntries(["long", "short"].map((side) => [side, place.querySelector(`input[name="${side}"]`)]));
  const own = Object.fromEntries(Object.entries(sliders).map(([side, slider]) => [side, slider.dataset.own]));
  const written = (value) => (value === null ? "–" : Number(value.toPrecision(4)).toLocaleString("en-US", { maximumSignificantDigits: 4 }).replace("-", "−"));
  // Source of the rules: docs, "Thresholds": at or beyond a threshold; beyond both gives no signal. A profit factor is gains over losses.
  const measured = (returns) => {
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const gains = sum(returns.filter((value) => value > 0)), losses = -sum(returns.filter((value) => value < 0));
    const factor = losses > 0 ? written(gains / losses) : gains > 0 ? "∞" : "–";
    const hits = returns.length ? `${(100 * returns.filter((value) => value > 0).length / returns.length).toFixed(1)} %` : "–";
    return [String(returns.length), hits, returns.length ? written(sum(returns)) : "–", factor];
  };
  const show = (save) => {
    const cut = { long: Number(sliders.long.value), short: Number(sliders.short.value) };
    const off = { long: place.querySelector('input[name="long-off"]').checked, short: place.querySelector('input[name="short-off"]').checked };
    const chosen = { long: [], short: [], both: [] };
    for (const [prediction, gain] of rows) {
      const up = !off.long && prediction >= cut.long, down = !off.short && prediction <= cut.short;
      if (up === down) continue;
      const one = up ? gain : -gain;
      chosen[up ? "long" : "short"].push(one);
      chosen.both.push(one);
    }
    for (const side of ["long", "short", "both"]) {
      const cells = [...place.querySelectorAll(`tr[data-side="${side}"] td`)];
      measured(chosen[side]).forEach((text, k) => { cells[k].textContent = text; });
    }
    for (const side of ["long", "short"]) place.querySelector(`output[name="${side}-at"]`).textContent = off[side] ? "off" : written(cut[side]);
    if (!save) return;
    const now = new URLSearchParams(location.search);
    for (const side of ["long", "short"]) {
      if (off[side] ? own[side] === "" : sliders[side].value === own[side]) now.delete(side); else now.set(side, off[side] ? "off" : sliders[side].value);
    }
    history.replaceState({}, "", `${location.pathname}${now.size ? `?${now}` : ""}${location.hash}`);
  };
  const given = new URLSearchParams(location.search);
  for (const side of ["long", "short"]) {
    const value = given.get(side) ?? (own[side] === "" ? "off" : own[side]);
    place.querySelector(`input[name="${side}-off"]`).checked = value === "off";
    if (value !== "off") sliders[side].value = value;
  }
  place.addEventListener("input", () => show(true));
  place.hidden = false;
  show(false);
})();
