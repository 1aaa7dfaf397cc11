// A curve at once: lines and the ends of the axes, until Plotly is loaded, which takes longer.
(() => {
  "use strict";
  const margin = { left: 60, right: 20, top: 40, bottom: 45 };
  const make = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const scaleOf = (values, log, from, to) => {
    const at = log ? Math.log10 : (value) => value;
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value === null || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return null;
    const width = at(high) - at(low) || 1;
    return { low, high, place: (value) => from + (to - from) * (at(value) - at(low)) / width };
  };
  const short = (value) => String(Number(value.toPrecision(4)));

  // Draws a figure of curves into an element; other kinds wait for Plotly.
  window.aletheiaSketch = (box, figure, css, seen) => {
    if (figure.kind !== "curves") return;
    const width = box.clientWidth || 600, height = box.clientHeight || 320;
    const x = scaleOf(figure.curves.flatMap((one) => one.xs), figure.x.log, margin.left, width - margin.right);
    const y = scaleOf(figure.curves.flatMap((one) => one.ys), figure.y.log, height - margin.bottom, margin.top);
    if (!x || !y) return;
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const floor = height - margin.bottom;
    svg.append(make("path", { d: `M${margin.left} ${margin.top}V${floor}H${width - margin.right}`, fill: "none", stroke: css("--line") }));
    const text = (at, attributes) => svg.append(make("text", { fill: css("--ink"), "font-size": 12, ...attributes }, at));
    text(short(y.high), { x: margin.left - 5, y: margin.top + 4, "text-anchor": "end" });
    text(short(y.low), { x: margin.left - 5, y: floor + 4, "text-anchor": "end" });
    text(short(x.low), { x: margin.left, y: floor + 16, "text-anchor": "middle" });
    text(short(x.high), { x: width - margin.right, y: floor + 16, "text-anchor": "middle" });
    text(figure.title, { x: width / 2, y: 24, "text-anchor": "middle" });
    for (const one of figure.curves) {
      let path = "", joined = false;
      one.ys.forEach((value, place) => {
        const hidden = value === null || (figure.y.log && value <= 0);
        if (!hidden) path += `${joined ? "L" : "M"}${x.place(one.xs[place]).toFixed(1)} ${y.place(value).toFixed(1)}`;
        joined = !hidden;
      });
      svg.append(make("path", { d: path, fill: "none", stroke: seen(one.colour), "stroke-width": 1.8 }));
    }
    box.replaceChildren(svg);
  };
})();
