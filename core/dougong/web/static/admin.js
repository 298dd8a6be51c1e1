// What the admin does in the browser beyond htmx: dialogs, keys, themes, picking rows.
(function () {
  "use strict";
  const one = (selector, root) => (root || document).querySelector(selector);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  // Light or dark: the server reads the cookie, so that no page flashes.
  function setTheme(theme) {
    document.documentElement.dataset.bsTheme = theme;
    document.cookie = "dougong_theme=" + theme + "; path=/; max-age=31536000; samesite=lax";
  }
  if (!/dougong_theme=/.test(document.cookie)) {
    setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }

  // Ask before what cannot be taken back. The form is sent only after a yes.
  let waiting = null;
  document.addEventListener("submit", function (event) {
    const button = event.submitter;
    const text = (button && button.dataset.confirm) || event.target.dataset.confirm;
    if (!text || event.target.dataset.confirmed) return;
    event.preventDefault();
    waiting = { form: event.target, button: button };
    one("#confirm-text").textContent = text;
    one("#confirm").showModal();
  });
  const confirmDialog = one("#confirm");
  if (confirmDialog) {
    confirmDialog.addEventListener("close", function () {
      if (confirmDialog.returnValue === "yes" && waiting) {
        waiting.form.dataset.confirmed = "1";
        waiting.form.requestSubmit(waiting.button || undefined);
      }
      waiting = null;
      confirmDialog.returnValue = "";
    });
  }

  function openPalette() {
    const palette = one("#palette");
    if (!palette || palette.open) return;
    palette.showModal();
    one("input", palette).select();
  }

  document.addEventListener("click", function (event) {
    const target = event.target.closest("[data-open],[data-toggle],[data-theme-toggle],[data-pick-all]");
    if (target && target.dataset.open === "palette") openPalette();
    if (target && target.dataset.toggle) {
      const open = one("#" + target.dataset.toggle).classList.toggle("open");
      target.setAttribute("aria-expanded", String(open));
    }
    if (target && "themeToggle" in target.dataset) {
      setTheme(document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark");
    }
    all("details.drop[open]").forEach(function (open) {
      if (!open.contains(event.target)) open.open = false;
    });
    if (event.target.tagName === "DIALOG") event.target.close();
  });

  document.addEventListener("keydown", function (event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.key === "Escape") all("details.drop[open]").forEach((open) => { open.open = false; });
    const palette = one("#palette");
    if (palette && palette.open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const links = all("a", palette);
      const at = links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      if (links.length) { event.preventDefault(); (links[at] || one("input", palette)).focus(); }
      return;
    }
    if (palette && palette.open && event.key === "Enter" && event.target.name === "q") {
      const first = one("#hits a");
      if (first) { event.preventDefault(); first.click(); }
      return;
    }
    if (event.target.closest("input,textarea,select,dialog,[contenteditable]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = { "/": "#q", n: "[data-key=new]", g: ".record-link" }[event.key];
    if (event.key === "?") one("#keys").showModal();
    else if (key && one(key)) {
      event.preventDefault();
      if (event.key === "n") one(key).click(); else one(key).focus();
    }
  });

  // Picking rows: the bar of actions appears with the first one.
  function countPicked() {
    const picked = all("input[name=ids]:checked").length;
    all("[data-picked]").forEach((bar) => { bar.hidden = picked === 0; });
    all("[data-picked-count]").forEach((out) => { out.textContent = String(picked); });
  }
  document.addEventListener("change", function (event) {
    if ("pickAll" in event.target.dataset) {
      all("input[name=ids]").forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches("input[name=ids],[data-pick-all]")) countPicked();
    tick(event.target);
    if ("submit" in event.target.dataset) event.target.form.requestSubmit();
  });
  // A bulk change: typing a value ticks its field.
  function tick(field) {
    const line = field.closest("[data-bulk]");
    if (line && field.name !== "set") one("[name=set]", line).checked = true;
  }
  document.addEventListener("input", function (event) { tick(event.target); });
  document.addEventListener("htmx:afterSwap", function (event) {
    const field = one("input,select", event.target);
    if (field && event.target.matches("td")) field.focus();
  });
  // A cell being edited: Enter saves, leaving it unchanged puts the text back.
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" || !("cell" in event.target.dataset)) return;
    event.preventDefault();
    event.target.blur();
  });
  document.addEventListener("focusout", function (event) {
    const field = event.target;
    if (!("cell" in field.dataset)) return;
    const before = field.options
      ? (Array.from(field.options).find((option) => option.defaultSelected) || {}).value
      : field.defaultValue;
    if (field.value === before) htmx.trigger(field, "restore");
  });
  // Show what the server said about a wrong value where it was typed.
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.xhr.status === 422 || event.detail.xhr.status === 409) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  window.addEventListener("pageshow", countPicked);

  // What chooses a related record weighs a quarter of a list: it comes when somebody turns to the filters.
  function loadChooser(event) {
    const filters = event.target.closest && event.target.closest("form[data-chooser]");
    if (!filters) return;
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = filters.dataset.chooserStyle;
    const script = document.createElement("script");
    script.src = filters.dataset.chooser;
    delete filters.dataset.chooser;
    // Who stands in a field that is made anew goes on standing there.
    script.addEventListener("load", function () {
      const field = document.activeElement;
      if (field && field.tomselect) field.tomselect.focus();
    });
    style.addEventListener("load", () => document.head.append(script));
    document.head.append(style);
  }
  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, loadChooser);
})();
