// Pages of views: a search that filters as one types, and sliders that show another step.
(() => {
  "use strict";
  const part = (root, name) => root.querySelector(`[data-part="${CSS.escape(name)}"]`);
  const asPage = async (address) => {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  };

  const search = document.querySelector("[data-search]");
  let waiting = 0;
  search?.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const address = new URL(location.href);
      address.searchParams.delete("page");
      if (search.value.trim()) address.searchParams.set("q", search.value);
      else address.searchParams.delete("q");
      history.replaceState(null, "", address);
      await window.aletheia.refresh();
    }, 150);
  });

  // Of the places a slider passes while an answer is under way only the last is asked for.
  const wanted = new Map();
  const show = async (form) => {
    const number = form.dataset.slider;
    const range = form.querySelector("input[type=range]");
    const address = new URL(location.href);
    if (range.value === range.max) address.searchParams.delete(range.name);
    else address.searchParams.set(range.name, range.value);
    history.replaceState(null, "", address);
    const busy = wanted.has(number);
    wanted.set(number, address);
    if (busy) return;
    while (wanted.get(number)) {
      const asked = wanted.get(number);
      const one = new URL(asked);
      one.searchParams.set("panel", number);
      const fresh = await asPage(one).catch(() => null);
      if (fresh) {
        const content = part(document, `content-${number}`), now = part(fresh, `content-${number}`);
        content.replaceChildren(...now.childNodes);
        delete content.seen;
        const told = part(fresh, `slider-${number}`).querySelector("output").textContent;
        const output = document.querySelector(`[data-slider="${number}"] output`);
        output.textContent = told;
        document.querySelector(`[data-slider="${number}"] input[type=range]`).setAttribute("aria-valuetext", told);
        const figure = document.querySelector(`#panel-${number} [data-figure]`), next = fresh.querySelector("[data-figure]");
        if (figure && next) { figure.dataset.figure = next.dataset.figure; document.dispatchEvent(new Event("aletheia:refresh")); }
      }
      if (wanted.get(number) === asked) wanted.delete(number);
    }
  };
  document.addEventListener("input", (event) => {
    const form = event.target.closest("[data-slider]");
    if (form) show(form);
  });

  // A panel that was empty has something to show now.
  const listed = document.querySelector("[data-listed]");
  const first = listed?.textContent;
  document.addEventListener("aletheia:refresh", () => {
    if (listed && listed.textContent !== first) location.reload();
  });
})();
