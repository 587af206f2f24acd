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
  // The list of keys, and the switch that turns them off, kept by the browser.
  const keys = document.getElementById("keys"), keysBox = document.getElementById("keys-on");
  const keysOn = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };
  if (keysBox) {
    keysBox.checked = keysOn();
    keysBox.addEventListener("change", () => { try { localStorage.setItem("keys", keysBox.checked ? "on" : "off"); } catch { /* not kept */ } });
  }
  const shown = (selector, act) => { const node = document.querySelector(selector); if (node) { node.hidden = false; node.addEventListener("click", act); } };
  shown("[data-keys]", () => keys.showModal());
  shown("[data-copy-link]", (event) => copy(event.currentTarget, location.href));
  const copy = (button, text) => navigator.clipboard.writeText(text).then(() => {
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  });
  let pending = "";
  const places = { d: "datasets", r: "runs", s: "simulations", l: "lfs" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) return;
    if (event.key === "?") { keys.showModal(); return; }
    if (keys.open || !keysOn()) return;
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
    if (button) copy(button, button.dataset.copy);
  });
  // The column picker: a filter that hides, two buttons that tick what is shown, and the count.
  for (const picker of document.querySelectorAll("[data-picker]")) {
    const boxes = [...picker.querySelectorAll('input[type="checkbox"]')], shownOf = () => boxes.filter((box) => !box.parentElement.hidden);
    const count = () => { picker.querySelector("[data-count]").textContent = boxes.filter((box) => box.checked).length; };
    picker.addEventListener("change", count);
    picker.querySelector("[data-filter]").addEventListener("input", (event) => {
      const text = event.target.value.toLowerCase();
      for (const box of boxes) box.parentElement.hidden = !box.value.toLowerCase().includes(text);
    });
    for (const button of picker.querySelectorAll("[data-pick]")) {
      button.hidden = false;
      button.addEventListener("click", () => { for (const box of shownOf()) box.checked = button.dataset.pick === "all"; count(); });
    }
  }
  // The theme's form goes back to the address as it is now: filters and zoom change it without a reload.
  document.addEventListener("submit", (event) => {
    const back = event.target.querySelector('input[name="back"]');
    if (back) back.value = location.pathname + location.search;
  });
  const stores = document.getElementById("stores");
  if (stores) {
    fetch(stores.dataset.health).then((answer) => answer.json()).then((health) => {
      stores.textContent = `: ${["questdb", "postgres"].map((name) => `${name} ${health[name].status}`).join(", ")}`;
    }).catch(() => { stores.textContent = ": no answer"; });
  }
  // While a part of the page says what it listens to (data-live), one stream tells when to ask for that part again.
  const part = document.getElementById("part");
  const note = document.getElementById("live");
  let stream = null, again = 0, due = 0;
  const say = (text) => { if (note.textContent !== text) note.textContent = text; };
  const clock = () => new Date().toISOString().slice(11, 19);
  let asOf = clock();
  const lost = () => say(`The server does not answer. What is shown is as of ${asOf}; this page asks again by itself.`);
  const swap = (html) => {
    asOf = clock();
    const chosen = [...part.querySelectorAll("input:checked")].map((one) => one.value);
    const places = [...part.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = html;
    htmx.process(part);
    for (const box of part.querySelectorAll('input[type="checkbox"]')) box.checked = chosen.includes(box.value);
    part.querySelectorAll(".scroll").forEach((one, k) => { if (places[k]) [one.scrollLeft, one.scrollTop] = places[k]; });
    const link = focused && [...part.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused);
    if (link) link.focus({ preventScroll: true });
    if (rows()[selected]) rows()[selected].setAttribute("data-selected", "");
    document.dispatchEvent(new Event("chronos:swap"));
    listen();
  };
  const refresh = () => {
    if (due) return;
    due = setTimeout(async () => {
      const address = location.href;
      try {
        const answer = await fetch(address, { headers: { "HX-Request-Type": "partial" } });
        const html = await answer.text();
        if (answer.ok && address === location.href) swap(html);
      } catch { lost(); }
      due = 0;
    }, 500);
  };
  const close = () => {
    clearTimeout(again);
    if (stream) stream.close();
    stream = null;
  };
  const listen = () => {
    const place = !document.hidden && part && part.querySelector("[data-live]");
    if (!place) { close(); say(""); return; }
    if (stream && stream.url === new URL(place.dataset.live, location.href).href) return;
    close();
    const opened = new EventSource(place.dataset.live);
    stream = opened;
    opened.addEventListener("open", () => { asOf = clock(); say(""); });
    opened.addEventListener("progress", refresh);
    opened.addEventListener("error", () => {
      lost();
      if (opened.readyState === EventSource.CLOSED) again = setTimeout(() => { close(); listen(); }, 5000);
    });
  };
  document.addEventListener("visibilitychange", () => {
    listen();
    if (stream) refresh();
  });
  document.addEventListener("htmx:after:swap", listen);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", listen);
  const retry = document.querySelector("[data-retry]"), reload = document.querySelector("[data-reload]");
  // A store is down: count down, ask, and show the page once it is whole again. The server itself may be away meanwhile.
  if (retry) {
    let left = Number(retry.dataset.retry);
    const tick = async () => {
      if (left > 0) retry.textContent = ` Next in ${left} s.`;
      else {
        retry.textContent = " Asking now.";
        try {
          const answer = await fetch(location.href, { headers: { "HX-Request-Type": "partial" } });
          if (answer.status !== 503) { location.reload(); return; }
          // Another store may be the one that is down by now: said once, not at every try.
          const now = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("problem");
          const shownNow = document.getElementById("problem");
          if (now && shownNow && now.textContent !== shownNow.textContent) shownNow.replaceWith(now);
        } catch { /* the server itself does not answer: asked again */ }
        left = Number(retry.dataset.retry) + 1;
      }
      left -= 1;
      setTimeout(tick, 1000);
    };
    tick();
  }
  if (reload) setInterval(() => { if (!document.hidden) location.reload(); }, 1000 * Number(reload.dataset.reload));
})();
