// The round of reading: says at once what a value means. Written for old phone browsers.
(function () {
  var input = document.querySelector("[data-previous]");
  if (!input) return;
  var previous = parseFloat(input.getAttribute("data-previous"));
  var high = parseFloat(input.getAttribute("data-high"));
  var hint = document.getElementById("hint");
  var usage = document.getElementById("usage");
  function look() {
    var value = parseFloat(input.value.replace(/,/g, ""));
    var moved = Math.round((value - previous) * 10000) / 10000;
    var text = "";
    if (value < previous) text = hint.getAttribute("data-backwards");
    else if (value > high) text = hint.getAttribute("data-high");
    else if (value === previous) text = hint.getAttribute("data-zero");
    usage.textContent = isNaN(moved) ? "—" : String(moved);
    hint.textContent = text;
    hint.hidden = !text;
  }
  input.addEventListener("input", look);
  input.focus();
  look();
})();
