// An open page that moves by itself: told by the live stream, else by asking now and then.
(function () {
  var box = document.querySelector("[data-repairs-live]");
  if (!box) return;
  var prefix = box.getAttribute("data-prefix");
  var asking = false;
  var again = false;
  var state = current();
  var shown = box.innerHTML;

  function current() {
    var found = box.querySelector("[data-state]");
    return found ? found.getAttribute("data-state") : "";
  }

  function isBusy() {
    var at = document.activeElement;
    return box.hasAttribute("data-dragging") || (at && box.contains(at) && /SELECT|INPUT|TEXTAREA/.test(at.tagName));
  }

  // Forms beside the story follow its state; what somebody is writing is never taken away.
  function isWriting() {
    var fields = document.querySelectorAll("main textarea, main input:not([type=hidden])");
    for (var i = 0; i < fields.length; i++) {
      if (fields[i].type === "radio" ? fields[i].checked : fields[i].value) return true;
    }
    return false;
  }

  // What is there already stays: nothing is read out or redrawn a second time.
  function show(text) {
    var made = document.createElement("div");
    made.innerHTML = text;
    if (made.innerHTML === shown) return;
    shown = made.innerHTML;
    box.innerHTML = text;
    box.dispatchEvent(new CustomEvent("renewed"));
  }

  function read() {
    if (asking) { again = true; return; }
    if (isBusy()) { setTimeout(read, 1000); return; }
    asking = true;
    var request = new XMLHttpRequest();
    request.open("GET", box.getAttribute("data-fragment"));
    request.onloadend = function () {
      asking = false;
      if (request.status === 200 && request.responseURL.indexOf("sign-in") < 0) {
        if (!isBusy()) show(request.responseText);
        if (current() !== state && !isWriting() && !document.getElementById("board")) location.reload();
        state = current();
      }
      if (again) { again = false; read(); }
    };
    request.send();
  }

  var every = null;
  function poll(seconds) {
    clearInterval(every);
    every = setInterval(read, seconds * 1000);
  }

  if (!window.EventSource) { poll(5); return; }
  var source = new EventSource(box.getAttribute("data-repairs-live"));
  // Between the page and its stream something may have happened, too: who waits for one step is not
  // to miss it. The board hears of so much that it is read anew soon anyway.
  source.onopen = function () { poll(60); if (!document.getElementById("board")) read(); };
  source.onerror = function () { poll(5); };
  source.onmessage = function (event) {
    var told = JSON.parse(event.data);
    if (told.name === "again" || told.name.indexOf(prefix) === 0) read();
  };
  poll(5);
})();
