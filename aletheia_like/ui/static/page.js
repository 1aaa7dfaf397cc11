// What every page does: the theme, and staying up to date without a reload.
(() => {
  "use strict";
  const root = document.documentElement;

  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;

  document.querySelector("[data-theme-button]")?.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("aletheia-theme", root.dataset.theme);
    document.dispatchEvent(new Event("aletheia:theme"));
  });

  // Forms keep addresses short: what is empty, or as usual, is not sent.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "get") return;
    const usual = form.querySelector("input[type=checkbox][data-usual]") && !form.querySelector("[data-touched]");
    for (const field of form.elements) {
      if (field.name && !field.disabled && (field.value === "" || (usual && field.matches("[type=checkbox][data-usual]")))) {
        field.disabled = true;
        setTimeout(() => { field.disabled = false; });
      }
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-usual]")) event.target.dataset.touched = "";
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  const banner = document.querySelector("[data-banner]");
  const state = document.querySelector("[data-live-state]");
  const warn = (text) => {
    if (!banner) return;
    banner.textContent = text;
    banner.hidden = !text;
  };

  // Parts of the page are marked by data-part; those that differ are put in anew.
  const keep = (old, fresh) => {
    for (const box of old.querySelectorAll("input[type=checkbox]:checked")) {
      const same = box.id && fresh.querySelector(`#${CSS.escape(box.id)}`);
      if (same) same.checked = true;
    }
    for (const fold of old.querySelectorAll("details[id]")) {
      const same = fresh.querySelector(`#${CSS.escape(fold.id)}`);
      if (same) same.open = fold.open;
    }
  };
  // As it came: what is filled in later is no difference.
  for (const part of document.querySelectorAll("[data-part]")) part.seen = part.innerHTML;
  let running = false;
  let again = false;
  const refresh = async () => {
    if (running) { again = true; return; }
    running = true;
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.status === 503) { warn("The store is away: this page shows what was last read."); return; }
      if (!answer.ok) return;
      warn("");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-part]")) {
        const now = fresh.querySelector(`[data-part="${CSS.escape(old.dataset.part)}"]`);
        if (!now || old.seen === now.innerHTML) continue;
        const text = now.innerHTML;
        keep(old, now);
        const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
        old.replaceChildren(...now.childNodes);
        old.seen = text;
        if (focused) document.getElementById(focused)?.focus();
      }
      document.dispatchEvent(new Event("aletheia:refresh"));
    } catch {
      warn("No answer: is aletheia ui still running? This page shows what was last read.");
    } finally {
      // What takes long is asked for less often.
      setTimeout(() => {
        running = false;
        if (again) { again = false; refresh(); }
      }, Math.min(2 * (performance.now() - begun), 10_000));
    }
  };

  const address = document.body.dataset.live;
  let stream = null;
  const listen = () => {
    if (!address || stream || document.hidden) return;
    stream = new EventSource(address);
    stream.addEventListener("open", () => { state.textContent = "live"; state.classList.add("on"); });
    stream.addEventListener("error", () => {
      state.textContent = "";
      state.classList.remove("on");
      warn("No answer: is aletheia ui still running? This page shows what was last read.");
      // A browser tries again by itself only if there was no answer at all.
      if (stream?.readyState === EventSource.CLOSED) { stream = null; setTimeout(listen, 3000); }
    });
    stream.addEventListener("open", refreshAfterOutage);
    stream.addEventListener("changed", refresh);
    stream.addEventListener("away", () => warn("The store is away: this page shows what was last read."));
    stream.addEventListener("back", () => warn(""));
  };
  const refreshAfterOutage = () => { if (banner && !banner.hidden) { warn(""); refresh(); } };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { stream?.close(); stream = null; } else if (address && !stream) { listen(); refresh(); }
  });
  // A page that is left must not hold one of the few connections a browser has.
  addEventListener("pagehide", () => { stream?.close(); stream = null; });
  addEventListener("pageshow", listen);
  listen();

  // How a file begins is asked for when its place comes into view.
  const fragments = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      fragments.unobserve(target);
      fetch(target.dataset.fragment)
        .then((answer) => (answer.ok ? answer.text() : "<p class=\"empty\">This cannot be shown.</p>"))
        .then((text) => { target.innerHTML = text; })
        .catch(() => {});
    }
  }, { rootMargin: "400px" });
  const watchFragments = () => document.querySelectorAll("[data-fragment]:empty").forEach((one) => fragments.observe(one));
  document.addEventListener("aletheia:refresh", watchFragments);
  watchFragments();

  if (document.querySelector("[data-retry]")) setTimeout(() => location.reload(), 5000);

  window.aletheia = { isDark, refresh };
})();
