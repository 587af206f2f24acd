// Charts that zoom (uPlot) and candles with the trades of the table (Lightweight Charts). The server's SVG stays if anything fails.
"use strict";
(() => {
  const POINTS = 2000, PAIRS = 1000, DIGITS = 6, TIMEOUT = 10000, MARKS = 500, AROUND = 60;
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

  // Candles around a chosen trade, with markers of the trades in the table
  const price = document.getElementById("price");
  if (!price) return;
  let chart, candles, marks, predicted, thresholds;
  const iso = (stamp) => new Date(stamp * 1000).toISOString().slice(0, 19) + "Z";
  const query = (from, to, points) => new URLSearchParams({ from, to, format: "json-columns", digits: 10, ...points });
  // Below the candles: the predictions of the same bars, between the thresholds of their folds (a gap: the side was off).
  const foretell = async (from, to, points) => {
    const data = await ask(`${price.dataset.predictions}?${query(from, to, points)}`);
    const line = (name) => {
      const values = data[`${name}_last`] || data[name], last = new Map();
      data.timestamp_unix.forEach((time, k) => last.set(time, values[k]));
      return [...last].map(([time, value]) => (value === null ? { time } : { time, value }));
    };
    predicted.setData(line("prediction"));
    for (const [side, series] of Object.entries(thresholds)) series.setData(line(`${side}_threshold`));
    price.dataset.predicted = String(data.timestamp_unix.length);
  };
  const rows = () => [...document.querySelectorAll("tr[data-entry]")];
  const build = () => {
    price.replaceChildren();
    chart = LightweightCharts.createChart(price, {
      height: 440, autoSize: true,
      layout: { background: { color: colour("--card") }, textColor: colour("--soft"), attributionLogo: false },
      grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
      timeScale: { timeVisible: true },
    });
    candles = chart.addSeries(LightweightCharts.CandlestickSeries, {
      upColor: colour("--gain"), downColor: colour("--loss"), borderVisible: false, wickUpColor: colour("--gain"), wickDownColor: colour("--loss"),
    });
    marks = LightweightCharts.createSeriesMarkers(candles, []);
    const below = (name, style) => chart.addSeries(LightweightCharts.LineSeries, {
      color: colour(name), priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false,
      priceFormat: { type: "custom", minMove: 1e-9, formatter: (value) => String(Number(value.toPrecision(3))) }, ...style }, 1);
    predicted = below("--hold", { lineWidth: 2, lastValueVisible: true });
    const dashed = { lineWidth: 1, lineStyle: LightweightCharts.LineStyle.Dashed, lineType: LightweightCharts.LineType.WithSteps };
    thresholds = { long: below("--gain", dashed), short: below("--loss", dashed) };
    chart.panes()[1].setStretchFactor(0.4);
  };
  const centre = async (row) => {
    const entry = Number(row.dataset.entry), exit = Number(row.dataset.exit);
    const interval = Number(price.dataset.interval), around = exit - entry + AROUND * interval;
    const points = (exit - entry + 2 * around) / interval > POINTS ? { points: POINTS } : {}; // few bars are shown as they are
    try {
      const data = await ask(`${price.dataset.bars}?${query(iso(entry - around), iso(exit + around), points)}`);
      const named = (wanted) => Object.keys(data).find((name) => name.toLowerCase() === wanted);
      const [open, high, low, close] = ["open", "high", "low", "close"].map(named);
      if (!close) throw new Error("the dataset holds no prices of its own");
      if (!chart) build();
      const bars = data.timestamp_unix.map((time, k) => ({ time,
        open: data[open || close][k], high: data[high || close][k], low: data[low || close][k], close: data[close][k] }));
      if (!bars.length) throw new Error("no bar is stored at these times");
      candles.setData(bars.filter((bar) => bar.close !== null));
      await foretell(iso(entry - around), iso(exit + around), points);
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
