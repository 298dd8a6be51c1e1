// Reporting: photos are shrunk on the phone, and a report that did not get through is not sent
// twice. Written for old phone browsers: no modules, no promises.
(function () {
  var LONGEST = 1280;
  var form = document.querySelector("form[data-report]");
  if (!form) return;
  var input = form.querySelector("[data-shrink]");
  var limit = Number(input.getAttribute("data-shrink")) * 1024;
  var shrunk = [];
  var working = 0;

  var identity = form.querySelector("[name=client_id]");
  if (!identity.value && window.crypto) {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    var hex = "";
    for (var i = 0; i < 16; i++) hex += (bytes[i] + 256).toString(16).slice(1);
    identity.value = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  // Draw smaller, then with less quality, until it is small enough; the rest goes as it is.
  function shrink(file, done) {
    var image = new Image();
    image.onload = function () {
      var longest = Math.max(image.width, image.height);
      function attempt(side, quality) {
        var factor = Math.min(1, side / longest);
        var canvas = document.createElement("canvas");
        canvas.width = Math.max(1, Math.round(image.width * factor));
        canvas.height = Math.max(1, Math.round(image.height * factor));
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        canvas.toBlob(function (blob) {
          if (blob && blob.size > limit && side > 400) {
            if (quality > 0.5) attempt(side, quality - 0.12); else attempt(side * 0.75, 0.72);
            return;
          }
          URL.revokeObjectURL(image.src);
          done(blob || file);
        }, "image/jpeg", quality);
      }
      attempt(LONGEST, 0.72);
    };
    image.onerror = function () { done(file); };
    image.src = URL.createObjectURL(file);
  }

  input.addEventListener("change", function () {
    var box = form.querySelector("[data-previews]");
    var files = Array.prototype.slice.call(input.files, 0, 6);
    box.textContent = "";
    shrunk = [];
    files.forEach(function (file, at) {
      working++;
      shrink(file, function (blob) {
        working--;
        shrunk[at] = blob;
        var picture = document.createElement("img");
        picture.src = URL.createObjectURL(blob);
        picture.alt = file.name + " (" + Math.round(blob.size / 1024) + " KB)";
        picture.setAttribute("data-bytes", blob.size);
        box.appendChild(picture);
      });
    });
  });

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    event.stopPropagation();
    var button = form.querySelector("button.button-primary");
    var fault = form.querySelector("[data-fault]");
    if (button.disabled) return;
    if (working) { setTimeout(function () { button.click(); }, 150); return; }
    var words = button.textContent;
    var data = new FormData(form);
    data.delete("photos");
    shrunk.forEach(function (blob, at) { data.append("photos", blob, (at + 1) + ".jpg"); });
    button.disabled = true;
    button.textContent = form.getAttribute("data-wait");
    fault.textContent = "";
    var request = new XMLHttpRequest();
    request.open("POST", location.href);
    request.onload = function () {
      if (request.status < 400 && request.responseURL !== location.href) {
        location.href = request.responseURL;
        return;
      }
      // The same page again: with its thanks, or with what is missing.
      var answer = new DOMParser().parseFromString(request.responseText, "text/html");
      var main = answer.querySelector("main");
      if (request.status < 400 && main) {
        document.querySelector("main").replaceWith(document.adoptNode(main));
        return;
      }
      var said = answer.querySelector("[role=alert], .message");
      failed(said ? said.textContent.trim() : "");
    };
    request.onerror = function () { failed(""); };
    function failed(said) {
      button.disabled = false;
      button.textContent = words;
      fault.textContent = said || form.getAttribute("data-failed");
    }
    request.send(data);
  }, true);
})();
