// Runs before anything is drawn, so that a chosen theme does not flicker.
(() => {
  const chosen = localStorage.getItem("aletheia-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
