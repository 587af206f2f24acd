// Charts that zoom (uPlot). The server's SVG stays if anything fails. What candles.js needs too is in `chronos`.
"use strict";
(() => {
  const PAIRS = 1000, DIGITS = 6, TIMEOUT = 10000;
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

  window.chronos = { colour, ask, say };

  // Line charts: everything that has the same address is asked for once
  const boxes = () => [...document.querySelectorAll("[data-series], [data-columns]")];
  const plots = new Map();
  // Series that came with the page: the part between the two times of the address.
  const inline = (text, now) => {
    const all = JSON.parse(text), times = all.timestamp_unix;
    const from = now.get("from") ? Date.parse(now.get("from")) / 1000 : -Infinity, to = now.get("to") ? Date.parse(now.get("to")) / 1000 : Infinity;
    return Object.fromEntries(Object.entries(all).map(([name, values]) => [name, values.filter((_, k) => times[k] >= from && times[k] < to)]));
  };
  // A bucket of bars is drawn as two points, its smallest and its largest value: no spike is lost.
  const pairs = (low, high) => low.flatMap((value, k) => [value, high[k]]);
  const columnsOf = (line) => (line.extremes ? [`${line.column}_min`, `${line.column}_max`] : [line.column]);
  const column = (data, line) => {
    const [first, second] = columnsOf(line), found = data.bars ? pairs(data[first], data[second || first]) : data[line.column];
    return line.negative ? found.map((value) => (value === null ? null : -value)) : found;
  };
  const drawnOn = (source) => boxes().filter((box) => box.dataset.series === source).flatMap((box) => JSON.parse(box.dataset.lines).flatMap(columnsOf));
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
    const query = new URLSearchParams({ points: PAIRS, format: "json-columns", digits: DIGITS });
    for (const name of ["from", "to"]) if (now.get(name)) query.set(name, now.get(name));
    if (box.dataset.series) query.set("columns", [...new Set([...drawnOn(box.dataset.series), "bars"])].join(","));
    try {
      const byFold = box.dataset.axis === "fold"; // an axis of numbers has no part of time to show or to choose
      const data = box.dataset.columns ? inline(box.dataset.columns, byFold ? new URLSearchParams() : now) : await ask(`${box.dataset.series}?${query}`);
      const times = data.bars ? pairs(data.timestamp_unix, data.timestamp_unix) : data.timestamp_unix;
      const values = [times, ...lines.map((line) => column(data, line))];
      if (plots.has(box)) plots.get(box).destroy(); else box.replaceChildren();
      const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
      plots.set(box, new uPlot({
        width: box.clientWidth, height: Number(box.dataset.height), tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), "UTC"),
        scales: { x: { time: !byFold }, y: { distr: box.dataset.scale === "log" ? 3 : 1 } },
        cursor: { sync: { key: "time" }, drag: { x: !byFold, y: false, setScale: false } },
        axes: [axis, { ...axis, size: 64 }],
        series: [byFold ? { label: "Fold" } : {}, ...lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 1.5, spanGaps: true, dash: line.dashed ? [5, 4] : undefined,
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
      const plot = [...plots].find(([box]) => box.dataset.axis !== "fold")?.[1], factor = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
      if (!factor || !plot) return;
      const times = plot.data[0], first = times[0], last = times[times.length - 1];
      const middle = (first + last) / 2, half = factor * (last - first) / 2;
      zoom(Math.floor(middle - half), Math.ceil(middle + half));
    });
  }
})();
