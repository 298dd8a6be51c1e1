// Parts of a page that follow what happens: a part names what it waits for (data-live) and where
// it is read again (data-live-from). The stream only says that something happened; without it
// the parts are read every few seconds. data-live-while: only as long as the part holds this.
(function () {
  "use strict";
  const address = document.body.dataset.stream;
  if (!address) return;
  const POLL_MS = 3000, PAUSE_MS = 600, START_MS = 800, GIVE_UP_MS = 5000;
  const AGAIN = "again";
  let source = null, polling = 0, wasOpen = false;

  const parts = () => Array.from(document.querySelectorAll("[data-live]"));
  const isWaiting = (part) => !part.dataset.liveWhile || part.querySelector(part.dataset.liveWhile);
  const wants = (part, name) => isWaiting(part) &&
    (name === AGAIN || part.dataset.live.split(" ").includes(name));

  function show(part, html) {
    if (part.liveShown === html) return;
    part.liveShown = html;
    const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    part.innerHTML = html;
    if (window.htmx) window.htmx.process(part);
    if (focused) {
      const again = part.querySelector('[aria-label="' + CSS.escape(focused) + '"]');
      if (again) again.focus();
    }
  }

  // data-live-query: the part depends on the page's own query.
  function addressOf(part) {
    const from = new URL(part.dataset.liveFrom, location.href);
    if ("liveQuery" in part.dataset) {
      new URLSearchParams(location.search).forEach((value, key) => from.searchParams.append(key, value));
    }
    return from;
  }

  // A part is read once at a time, and never under an open dialog: its form must stay.
  function refresh(part) {
    if (part.liveBusy) { part.liveAgain = true; return; }
    part.liveBusy = true;
    const done = function () {
      part.liveBusy = false;
      if (part.liveAgain) { part.liveAgain = false; refresh(part); }
    };
    if (document.querySelector("dialog[open]")) {
      part.liveAgain = true;
      setTimeout(done, PAUSE_MS);
      return;
    }
    fetch(addressOf(part), { credentials: "same-origin", redirect: "error" })
      .then((answer) => (answer.ok ? answer.text() : null))
      .then((html) => { if (html !== null && part.isConnected) show(part, html); })
      .catch(() => {})
      .finally(() => setTimeout(done, PAUSE_MS));
  }
  const refreshAll = (name) => parts().filter((part) => wants(part, name)).forEach(refresh);

  function poll() {
    if (!polling) polling = setInterval(() => { if (!document.hidden) refreshAll(AGAIN); }, POLL_MS);
  }
  function stopPolling() { clearInterval(polling); polling = 0; }

  function listen() {
    if (source || document.hidden) return;
    if (!window.EventSource) { poll(); return; }
    source = new EventSource(address);
    const late = setTimeout(poll, GIVE_UP_MS);
    source.onopen = function () {
      clearTimeout(late);
      stopPolling();
      // The first time, a list is as fresh as the page; what waits or counts may have moved on.
      const isLate = (part) => part.dataset.liveWhile || "liveNow" in part.dataset;
      parts().filter((part) => (wasOpen || isLate(part)) && wants(part, AGAIN)).forEach(refresh);
      wasOpen = true;
    };
    source.onmessage = (event) => refreshAll(JSON.parse(event.data).name);
    source.onerror = poll;
  }
  function close() { if (source) { source.close(); source = null; } }

  // A hidden page holds no connection: browsers have only six for a site.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : listen()));
  window.addEventListener("pagehide", close);
  // What was changed on this very page is no news for it.
  document.addEventListener("htmx:afterRequest", function (event) {
    const at = event.detail.xhr && event.detail.xhr.getResponseHeader("Date");
    if (event.detail.requestConfig.verb === "get" || !at) return;
    parts().filter((part) => part.dataset.liveFrom.includes("since=")).forEach(function (part) {
      const from = new URL(part.dataset.liveFrom, location.href);
      from.searchParams.set("since", new Date(Date.parse(at) + 1000).toISOString());
      part.dataset.liveFrom = from.pathname + from.search;
    });
  });
  setTimeout(listen, START_MS);
})();
