// Draws the figures of a page: <div class="figure" data-figure="ADDRESS OF JSON">.
// The address answers one figure, or {"figures": [...]}: see ui/figures.py. Plotly is loaded before.
(() => {
  "use strict";
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Dark blue and grey are hardly seen on a dark page.
  const onDark = { "#0072B2": "#4aa8e0", "#555555": "#b0b7c1" };
  const seen = (colour) => (window.aletheia.isDark() && onDark[colour]) || colour;
  // Plotly reads some HTML in texts: names are shown as they are.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const faint = (colour, share) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return `rgba(${red},${green},${blue},${share})`;
  };
  const marks = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"];

  const axis = (told) => ({
    title: { text: plain(told.title) }, type: told.log ? "log" : "linear",
    gridcolor: css("--line"), linecolor: css("--faint"), zeroline: false, automargin: true,
    ...(told.log ? { exponentformat: "power", nticks: 5 } : {}),
    ...(told.categories.length ? {
      tickvals: told.categories.map((_, place) => place), ticktext: told.categories.map(plain),
    } : {}),
  });
  const bands = (one, colour, group) => {
    const found = [];
    let start = null;
    const end = (stop) => {
      if (start === null) return;
      const xs = one.xs.slice(start, stop);
      found.push({
        x: [...xs, ...xs.slice().reverse()],
        y: [...one.highs.slice(start, stop), ...one.lows.slice(start, stop).reverse()],
        type: "scatter", mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: faint(colour, 0.18),
        legendgroup: group, showlegend: false, hoverinfo: "skip",
      });
      start = null;
    };
    one.lows.forEach((low, place) => {
      if (low === null || one.highs[place] === null) end(place);
      else if (start === null) start = place;
    });
    end(one.lows.length);
    return found;
  };
  const tracesOf = {
    curves: (figure) => figure.curves.flatMap((one, place) => {
      const colour = seen(one.colour);
      const group = String(place);
      const points = one.ys.filter((y) => y !== null).length;
      return [...bands(one, colour, group), {
        x: one.xs, y: one.ys, name: plain(one.label), type: "scatter",
        mode: figure.lines && points > 1 ? "lines" : "markers",
        line: { color: colour, width: 1.8, dash: one.dash }, marker: { color: colour, size: 7 },
        legendgroup: group, connectgaps: false,
        hovertemplate: `${plain(one.label)}<br>%{x}: %{y:.5g}<extra></extra>`,
      }];
    }),
    scatter: (figure) => figure.groups.map((one) => ({
      x: one.xs, y: one.ys, name: plain(one.label), type: "scatter", mode: "markers",
      marker: { color: seen(one.colour), symbol: marks[one.mark % marks.length], size: 9, opacity: 0.85 },
      text: one.names.map(plain), hovertemplate: "%{text}<br>%{x}, %{y}<extra></extra>",
    })),
    histogram: (figure) => figure.groups.map((one) => ({
      x: one.counts.map((_, place) => figure.edges[place] / 2 + figure.edges[place + 1] / 2),
      y: one.counts, width: figure.edges[1] - figure.edges[0], type: "bar", name: plain(one.label),
      marker: { color: seen(one.colour) }, opacity: figure.groups.length > 1 ? 0.6 : 1,
    })),
  };
  const layoutOf = (figure, count) => ({
    title: { text: plain(figure.title), font: { size: 14 } },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), size: 12, family: "system-ui, sans-serif" },
    margin: { l: 60, r: 20, t: 40, b: 45 }, hovermode: "closest",
    xaxis: axis(figure.x), yaxis: axis(figure.y), showlegend: count > 1,
    legend: { bgcolor: "rgba(0,0,0,0)" }, barmode: "overlay", bargap: 0,
  });
  // Without the button that sends data to a server of others.
  const config = {
    displaylogo: false, responsive: true, showTips: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d"],
  };

  const draw = (box, figure) => {
    box.setAttribute("role", "img");
    const count = (figure.curves ?? figure.groups).length;
    box.setAttribute("aria-label", `${figure.title}: ${figure.y.title} over ${figure.x.title}, ${count} ${count === 1 ? "line" : "lines"}`);
    box.drawn = figure;
    window.Plotly.react(box, tracesOf[figure.kind](figure), layoutOf(figure, count), config);
  };
  const child = (place, index, kind, name) => {
    const all = place.querySelectorAll(`:scope > .${name}`);
    if (all[index]) return all[index];
    const made = document.createElement(kind);
    made.className = name;
    place.append(made);
    return made;
  };
  const show = async (place) => {
    const address = place.dataset.figure;
    place.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { headers: { accept: "application/json" } });
      const told = await answer.json();
      if (place.dataset.figure !== address) return;
      if (!answer.ok) {
        // What was drawn before stays: it is still true.
        if (!place.querySelector(".plot")) child(place, 0, "p", "empty").textContent = told.error ?? "This cannot be drawn.";
        return;
      }
      place.querySelectorAll(":scope > .empty").forEach((one) => one.remove());
      const figures = told.figures ?? [told];
      const cards = place.querySelectorAll(":scope > .drawing");
      for (let left = figures.length; left < cards.length; left++) cards[left].remove();
      figures.forEach((figure, index) => {
        const card = child(place, index, "div", "drawing");
        draw(child(card, 0, "div", "plot"), figure);
        child(card, 0, "p", "note").textContent = figure.notes.join(" · ");
      });
    } catch {
      // The banner of the page tells that there is no answer.
    } finally {
      place.removeAttribute("aria-busy");
    }
  };
  const showAll = () => document.querySelectorAll("[data-figure]").forEach(show);
  document.addEventListener("aletheia:refresh", showAll);
  document.addEventListener("aletheia:theme", () => {
    document.querySelectorAll(".plot").forEach((box) => { if (box.drawn) draw(box, box.drawn); });
  });
  // A form of class "figure-form" changes what its figure shows, and the address of the page.
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-figure-form]");
    const place = form && document.getElementById(form.dataset.figureForm);
    if (!place) return;
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
    const base = place.dataset.figure.split("?")[0];
    place.dataset.figure = query ? `${base}?${query}` : base;
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    clearTimeout(place.waiting);
    place.waiting = setTimeout(() => show(place), 80);
  });
  showAll();
})();
