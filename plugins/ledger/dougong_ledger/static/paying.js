// A payer waits for what the gateway says. Written for old phone browsers, so no modules.
(function () {
  var onward = document.querySelector("a[data-go]");
  if (onward) {
    // Who comes back with the phone's own key must not be sent away again.
    history.replaceState(null, "", location.pathname);
    location.href = onward.href;
  }
  var status = document.querySelector("[data-watch]");
  if (!status) return;
  var known = status.getAttribute("data-known"), address = status.getAttribute("data-watch");
  function look() {
    var request = new XMLHttpRequest();
    request.onload = function () {
      if (request.status === 200 && JSON.parse(request.responseText).state !== known) {
        location.replace(location.pathname);
        return;
      }
      setTimeout(look, 3000);
    };
    request.onerror = function () { setTimeout(look, 6000); };
    request.open("GET", address);
    request.send();
  }
  setTimeout(look, 2000);
})();
