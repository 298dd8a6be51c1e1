// Notices: opening one is a read mark, which waits on the phone while there is no network.
(function () {
  "use strict";
  var list = document.querySelector("[data-notices]");
  if (!list) return;
  // A mark is its reader's: who signs in after him on this phone does not send it.
  var STORE = "participation read " + list.getAttribute("data-notices") + " " + list.getAttribute("data-who");

  function waiting() {
    try { return JSON.parse(localStorage.getItem(STORE)) || []; } catch (error) { return []; }
  }

  function keep(ids) {
    try { localStorage.setItem(STORE, JSON.stringify(ids)); } catch (error) { /* no store: only sent */ }
  }

  function send(id) {
    var request = new XMLHttpRequest();
    request.open("POST", list.getAttribute("data-notices") + id + "/read");
    request.setRequestHeader("X-CSRF-Token", list.getAttribute("data-csrf"));
    request.onload = function () {
      // Marked, or withdrawn meanwhile; whoever has to sign in again sends it later.
      var isOver = request.status === 204 || request.status === 404;
      if (isOver) keep(waiting().filter(function (other) { return other !== id; }));
    };
    request.send();
  }

  function flush() { waiting().forEach(send); }

  function seen(notice) {
    var pill = notice.querySelector("[data-new]");
    if (pill) pill.remove();
    notice.removeAttribute("data-unread");
  }

  waiting().forEach(function (id) {
    var notice = list.querySelector('[data-notice="' + id + '"]');
    if (notice) seen(notice);
  });
  Array.prototype.forEach.call(list.querySelectorAll("[data-notice]"), function (notice) {
    notice.addEventListener("toggle", function () {
      if (!notice.open || !notice.hasAttribute("data-unread")) return;
      var id = notice.getAttribute("data-notice");
      seen(notice);
      keep(waiting().concat([id]));
      send(id);
    });
  });
  window.addEventListener("online", flush);
  flush();
  if (navigator.serviceWorker) {
    navigator.serviceWorker.register(list.getAttribute("data-worker")).catch(function () { /* no network */ });
  }
})();
