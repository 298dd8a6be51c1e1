// Choosing a related record: the server looks up, so that no page carries a whole table.
(function () {
  "use strict";
  document.querySelectorAll("select[data-lookup]").forEach(function (select) {
    const label = document.querySelector("label[for='" + select.id + "']");
    if (label) select.setAttribute("aria-label", label.textContent.trim());
    new TomSelect(select, {
      valueField: "id", labelField: "label", searchField: [], maxOptions: 50, preload: "focus",
      placeholder: select.dataset.placeholder, allowEmptyOption: !select.required,
      load: function (words, done) {
        fetch(select.dataset.lookup + "?q=" + encodeURIComponent(words), { headers: { Accept: "application/json" } })
          .then((answer) => answer.json()).then(done).catch(() => done());
      },
      render: { no_results: () => '<div class="no-results">' + select.dataset.none + "</div>" },
    });
  });
  // Leaving with unsaved work asks first.
  document.querySelectorAll("form[data-keep]").forEach(function (form) {
    let isDirty = false;
    form.addEventListener("input", () => { isDirty = true; });
    form.addEventListener("submit", () => { isDirty = false; });
    window.addEventListener("beforeunload", (event) => { if (isDirty) event.preventDefault(); });
  });
})();
