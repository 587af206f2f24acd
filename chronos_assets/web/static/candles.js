// Candles around a chosen trade with the trades of the table as markers, and predictions below them (Lightweight Charts).
"use strict";
(() => {
  const POINTS = 2000, MARKS = 500, AROUND = 60, { colour, ask, say } = window.chronos;
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
    [3, 1.2].forEach((share, pane) => chart.panes()[pane].setStretchFactor(share));
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
