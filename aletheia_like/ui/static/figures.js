// Draws the figures of a page: <div class="figure" data-figure="ADDRESS OF JSON">.
// The address answers one figure, or {"figures": [...]}: see ui/figures.py.
(() => {
  "use strict";
  const plotly = document.currentScript.dataset.plotly;
  const painted = () => new Promise((done) => {
    // A page that is not seen is not painted either.
    if (document.hidden) done();
    else requestAnimationFrame(() => setTimeout(done));
  });
  let loading = null;
  // After something was painted: to read its script takes a browser longer than all else.
  const load = () => loading ??= painted().then(() => new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = plotly;
    script.onload = done;
    script.onerror = fail;
    document.head.append(script);
  }));
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
  // Lines over axes side by side: Plotly's own kind needs WebGL, which is not everywhere.
  const colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555"];
  const between = (share) => "#" + [1, 3, 5].map((at) => {
    const [low, high] = [colours[0], colours[1]].map((one) => parseInt(one.slice(at, at + 2), 16));
    return Math.round(low + (high - low) * share).toString(16).padStart(2, "0");
  }).join("");
  const spanOf = (axis, values) => {
    if (axis.categories.length) return [0, Math.max(1, axis.categories.length - 1)];
    const low = Math.min(...values), high = Math.max(...values);
    return low < high ? [low, high] : [low - 1, high + 1];
  };
  const spans = (figure) => figure.axes.map((one, place) => spanOf(one, figure.values[place]));
  const worth = (axis, value) => axis.categories[value] ?? String(Number(value.toPrecision(5)));
  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 9)}…${text.slice(-8)}` : text);
  const parallel = (figure) => {
    const ends = spans(figure), count = figure.names.length;
    return figure.names.map((name, run) => {
      const values = figure.values.map((column) => column[run]);
      const shares = values.map((value, place) => (value - ends[place][0]) / (ends[place][1] - ends[place][0]));
      const colour = seen(count > colours.length ? between(shares[figure.colour]) : colours[run]);
      return {
        x: values.map((_, place) => place), y: shares, name: plain(short(name, 30)), type: "scatter",
        mode: "lines+markers", line: { color: colour, width: 2 }, marker: { color: colour, size: 7 },
        text: values.map((value, place) => plain(`${name} · ${figure.axes[place].title}: ${worth(figure.axes[place], value)}`)),
        hovertemplate: "%{text}<extra></extra>",
      };
    });
  };
  const parallelLayout = (figure) => {
    const last = figure.axes.length - 1, ends = spans(figure);
    const ticks = figure.axes.flatMap((axis, x) => (axis.categories.length ? axis.categories.map((_, at) => at) : ends[x]).map((value) => ({
      x, y: (value - ends[x][0]) / (ends[x][1] - ends[x][0]), text: plain(short(worth(axis, value), 24)),
      xanchor: x === last ? "right" : "left", xshift: x === last ? -9 : 9, yshift: 9, showarrow: false, font: { size: 11 },
    })));
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css("--ink"), size: 12, family: "system-ui, sans-serif" },
      margin: { l: 40, r: 40, t: 12, b: 45 }, hovermode: "closest", annotations: ticks,
      xaxis: {
        tickvals: figure.axes.map((_, x) => x), range: [-0.1, last + 0.1], showgrid: false, zeroline: false,
        ticktext: figure.axes.map((one) => plain(short(one.title, Math.max(12, Math.floor(120 / figure.axes.length))))),
      },
      yaxis: { visible: false, range: [-0.08, 1.08] },
      shapes: figure.axes.map((_, x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, layer: "below", line: { width: 1, color: css("--faint") } })),
      showlegend: figure.names.length > 1 && figure.names.length <= 12, legend: { bgcolor: "rgba(0,0,0,0)" },
    };
  };
  const tracesOf = {
    parallel,
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
  const layoutOf = (figure, count) => (figure.kind === "parallel" ? parallelLayout(figure) : {
    ...(figure.untitled ? {} : { title: { text: plain(figure.title), font: { size: 14 } } }),
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), size: 12, family: "system-ui, sans-serif" },
    margin: { l: 60, r: 20, t: figure.untitled ? 12 : 40, b: 45 }, hovermode: "closest",
    xaxis: axis(figure.x),
    yaxis: axis(figure.y.title === figure.title ? { ...figure.y, title: "" } : figure.y), showlegend: count > 1,
    legend: { bgcolor: "rgba(0,0,0,0)" }, barmode: "overlay", bargap: 0,
  });
  // Without the button that sends data to a server of others.
  const config = {
    displaylogo: false, responsive: true, showTips: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d"],
  };

  const draw = (box, figure) => {
    box.setAttribute("role", "img");
    const count = (figure.curves ?? figure.groups ?? figure.names).length;
    const told = figure.axes ? figure.axes.map((one) => one.title).join(", ") : `${figure.y.title} over ${figure.x.title}`;
    box.setAttribute("aria-label", `${figure.title}: ${told}, ${count} ${count === 1 ? "line" : "lines"}`);
    box.drawn = figure;
    if (!window.Plotly) {
      window.aletheiaSketch(box, figure, css, seen);
      load().then(() => {
        if (box.classList.contains("js-plotly-plot")) return;
        box.replaceChildren();
        draw(box, box.drawn);
      }, () => { loading = null; });
      return;
    }
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
      // All have their place before any is drawn: that decides how wide they are.
      const boxes = figures.map((figure, index) => {
        const card = child(place, index, "div", "drawing");
        // Where there is a heading above, its words are not said twice.
        if ("untitled" in place.dataset) figure.untitled = true;
        const box = child(card, 0, "div", "plot");
        child(card, 0, "p", "note").textContent = figure.notes.join(" · ");
        return box;
      });
      figures.forEach((figure, index) => draw(boxes[index], figure));
    } catch {
      // The banner of the page tells that there is no answer.
    } finally {
      place.removeAttribute("aria-busy");
    }
  };
  // For other scripts that draw: see aletheia.figures.
  window.aletheia.figures = { show, draw, load };
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
    const query = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value !== (form.elements[name].dataset?.usual ?? ""))).toString();
    const base = place.dataset.figure.split("?")[0];
    place.dataset.figure = query ? `${base}?${query}` : base;
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    clearTimeout(place.waiting);
    place.waiting = setTimeout(() => show(place), 80);
  });
  showAll();
})();
