// Charts that zoom (uPlot) and candles with the trades of the table (Lightweight Charts). The server's SVG stays if anything fails.
"use strict";
(() => {
  const POINTS = 2000, TIMEOUT = 10000, MARKS = 500, AROUND = 40;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const address = () => new URLSearchParams(location.search);
  const answers = new Map();
  const ask = (url) => {
    if (!answers.has(url)) {
      answers.set(url, fetch(url, { signal: AbortSignal.timeout(TIMEOUT) }).then((answer) => {
        if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
        return answer.json();
      }));
      answers.get(url).catch(() => answers.delete(url));
    }
    return answers.get(url);
  };
  const say = (box, error) => {
    let note = box.querySelector(".notice");
    if (!note) { note = document.createElement("p"); note.className = "notice"; box.append(note); }
    note.textContent = `The chart could not be drawn: ${error.message}.`;
  };

  // Line charts: everything that has the same address is asked for once
  const boxes = () => [...document.querySelectorAll("[data-series], [data-columns]")];
  const plots = new Map();
  // Series that came with the page: the part between the two times of the address.
  const inline = (text, now) => {
    const all = JSON.parse(text), times = all.timestamp_unix;
    const from = now.get("from") ? Date.parse(now.get("from")) / 1000 : -Infinity, to = now.get("to") ? Date.parse(now.get("to")) / 1000 : Infinity;
    return Object.fromEntries(Object.entries(all).map(([name, values]) => [name, values.filter((_, k) => times[k] >= from && times[k] < to)]));
  };
  const column = (data, line) => {
    const found = data[`${line.column}_last`] || data[`${line.column}_max`] || data[`${line.column}_pct`] || data[line.column];
    return line.negative ? found.map((value) => (value === null ? null : -value)) : found;
  };
  let zoomed = 0;
  const zoom = (from, to) => {
    const now = address();
    for (const [name, value] of [["from", from], ["to", to]]) {
      if (value === null) now.delete(name); else now.set(name, new Date(value * 1000).toISOString().slice(0, 19) + "Z");
    }
    history.pushState({}, "", `${location.pathname}?${now}${location.hash}`);
    for (const field of document.querySelectorAll('input[type="hidden"][name="from"], input[type="hidden"][name="to"]')) field.value = now.get(field.name) || "";
    draw();
  };
  const show = async (box) => {
    const lines = JSON.parse(box.dataset.lines), now = address();
    const query = new URLSearchParams({ points: POINTS, format: "json-columns" });
    for (const name of ["from", "to"]) if (now.get(name)) query.set(name, now.get(name));
    try {
      const data = box.dataset.columns ? inline(box.dataset.columns, now) : await ask(`${box.dataset.series}?${query}`);
      const values = [data.timestamp_unix, ...lines.map((line) => column(data, line))];
      if (plots.has(box)) plots.get(box).destroy(); else box.replaceChildren();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
      plots.set(box, new uPlot({
        width: box.clientWidth, height: Number(box.dataset.height), tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), "UTC"),
        scales: { y: { distr: box.dataset.scale === "log" ? 3 : 1 } },
        cursor: { sync: { key: "time" }, drag: { x: true, y: false, setScale: false } },
        axes: [axis, { ...axis, size: 64 }],
        series: [{}, ...lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 1.5, spanGaps: true,
          fill: line.negative ? `${colour(line.colour)}33` : undefined }))],
        hooks: { setSelect: [(plot) => {
          if (plot.select.width < 4 || performance.now() - zoomed < 200) return; // charts with one cursor tell of the same drag each
          zoomed = performance.now();
          const from = plot.posToVal(plot.select.left, "x"), to = plot.posToVal(plot.select.left + plot.select.width, "x");
          if (to - from > 1) zoom(Math.floor(from), Math.ceil(to));
        }] },
      }, values, box));
    } catch (error) { say(box, error); }
  };
  const draw = () => {
    for (const [box, plot] of plots) if (!box.isConnected) { plot.destroy(); plots.delete(box); }
    return Promise.all(boxes().map(show));
  };
  if (boxes().length || document.getElementById("part")) {
    draw();
    document.addEventListener("chronos:swap", draw);
    let waiting = 0;
    addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => {
      for (const [box, plot] of plots) plot.setSize({ width: box.clientWidth, height: Number(box.dataset.height) });
    }, 150); });
    addEventListener("popstate", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.addEventListener("keydown", (event) => {
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey) return;
      if (event.key === "0") zoom(null, null);
      const plot = plots.values().next().value, factor = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
      if (!factor || !plot) return;
      const times = plot.data[0], first = times[0], last = times[times.length - 1];
      const middle = (first + last) / 2, half = factor * (last - first) / 2;
      zoom(Math.floor(middle - half), Math.ceil(middle + half));
    });
  }

  // Candles around a chosen trade, with markers of the trades in the table
  const price = document.getElementById("price");
  if (!price) return;
  let chart, candles, marks;
  const rows = () => [...document.querySelectorAll("tr[data-entry]")];
  const build = () => {
    price.replaceChildren();
    chart = LightweightCharts.createChart(price, {
      height: 320, autoSize: true,
      layout: { background: { color: colour("--card") }, textColor: colour("--soft"), attributionLogo: false },
      grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
      timeScale: { timeVisible: true },
    });
    candles = chart.addSeries(LightweightCharts.CandlestickSeries, {
      upColor: colour("--gain"), downColor: colour("--loss"), borderVisible: false, wickUpColor: colour("--gain"), wickDownColor: colour("--loss"),
    });
    marks = LightweightCharts.createSeriesMarkers(candles, []);
  };
  const centre = async (row) => {
    const entry = Number(row.dataset.entry), exit = Number(row.dataset.exit);
    const around = Math.max(exit - entry, 1) + AROUND * 86400;
    const iso = (stamp) => new Date(stamp * 1000).toISOString().slice(0, 19) + "Z";
    const query = new URLSearchParams({ from: iso(entry - around), to: iso(exit + around), points: POINTS, format: "json-columns" });
    try {
      const data = await ask(`${price.dataset.bars}?${query}`);
      const named = (wanted) => Object.keys(data).find((name) => name.toLowerCase() === wanted);
      const [open, high, low, close] = ["open", "high", "low", "close"].map(named);
      if (!close) throw new Error("the dataset holds no prices of its own");
      if (!chart) build();
      const bars = data.timestamp_unix.map((time, k) => ({ time,
        open: data[open || close][k], high: data[high || close][k], low: data[low || close][k], close: data[close][k] }));
      candles.setData(bars.filter((bar) => bar.close !== null));
      const first = bars[0].time, last = bars[bars.length - 1].time, shown = [];
      for (const one of rows()) {
        const long = one.dataset.side === "long", number = one.querySelector("th").textContent;
        for (const [time, entering] of [[Number(one.dataset.entry), true], [Number(one.dataset.exit), false]]) {
          if (time < first || time > last || shown.length >= MARKS) continue;
          shown.push({ time, position: long === entering ? "belowBar" : "aboveBar", shape: long === entering ? "arrowUp" : "arrowDown",
            color: colour(entering ? "--gain" : "--loss"), text: `${number} ${entering ? "in" : "out"}` });
        }
      }
      marks.setMarkers(shown.sort((a, b) => a.time - b.time));
      Object.assign(price.dataset, { markers: String(shown.length), first: String(first), last: String(last) });
      chart.timeScale().fitContent();
      for (const one of rows()) one.toggleAttribute("data-selected", one === row);
    } catch (error) { say(price, error); }
  };
  document.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-entry]");
    if (row && !event.target.closest("a")) centre(row);
  });
  if (rows().length) centre(rows()[0]);
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr[data-entry]");
    if (row) centre(row);
  });
})();
