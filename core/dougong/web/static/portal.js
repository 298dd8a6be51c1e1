// The owners' pages: larger type on a tap. Written for old phone browsers, so no modules.
(function () {
  var root = document.documentElement;
  document.addEventListener("click", function (event) {
    var button = event.target;
    if (!button.hasAttribute || !button.hasAttribute("data-large")) return;
    var isLarge = root.className.indexOf("large") < 0;
    root.className = isLarge ? "large" : "";
    button.textContent = button.getAttribute(isLarge ? "data-normal" : "data-large");
    document.cookie = "dougong_large=" + (isLarge ? "1" : "0") + "; path=/; max-age=31536000; samesite=lax";
  });
  document.addEventListener("submit", function (event) {
    // A second tap must not send a second payment form; the server refuses it as well.
    if (event.target.getAttribute("data-sent")) event.preventDefault();
    event.target.setAttribute("data-sent", "1");
  });
  window.addEventListener("pageshow", function () {
    var forms = document.querySelectorAll("form[data-sent]");
    for (var i = 0; i < forms.length; i++) forms[i].removeAttribute("data-sent");
  });
})();
