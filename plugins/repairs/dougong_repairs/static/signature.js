// A pad to sign on with a finger, a pen or a mouse: SignaturePad(words, keep) returns its element;
// keep is handed the picture as a JPEG on white.
(function () {
  "use strict";
  const WIDTH = 600, HEIGHT = 220;

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  window.SignaturePad = function (words, keep) {
    const canvas = element("canvas", { className: "signature", width: WIDTH, height: HEIGHT });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", words.sign_here);
    const pen = canvas.getContext("2d");
    let isDown = false, isSigned = false;

    function clear() {
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, WIDTH, HEIGHT);
      pen.strokeStyle = "#111";
      pen.lineWidth = 4;
      pen.lineCap = pen.lineJoin = "round";
      isSigned = false;
    }

    function at(event) {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * WIDTH / box.width, (event.clientY - box.top) * HEIGHT / box.height];
    }

    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      canvas.setPointerCapture(event.pointerId);
      isDown = true;
      pen.beginPath();
      pen.moveTo(...at(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!isDown) return;
      pen.lineTo(...at(event));
      pen.stroke();
      isSigned = true;
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { isDown = false; });
    clear();
    const again = element("button", { type: "button", className: "button", textContent: words.sign_again });
    again.addEventListener("click", clear);
    const done = element("button", { type: "button", className: "button button-primary", textContent: words.sign_keep });
    done.addEventListener("click", () => {
      if (isSigned) canvas.toBlob((picture) => { keep(picture); clear(); }, "image/jpeg", 0.8);
    });
    return element("div", { className: "signing" }, canvas, element("div", { className: "pair" }, again, done));
  };
})();
