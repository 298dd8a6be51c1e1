// Sums that a cashier wants to see before the server reckons them again. In fen, never in floats.
(function () {
  "use strict";
  const fen = (text) => {
    const found = /^\s*(\d{1,9})(?:\.(\d{1,2}))?\s*$/.exec(text || "");
    return found ? Number(found[1]) * 100 + Number((found[2] || "").padEnd(2, "0") || 0) : null;
  };
  const yuan = (amount) => (amount < 0 ? "-" : "") + Math.floor(Math.abs(amount) / 100) + "." +
    String(Math.abs(amount) % 100).padStart(2, "0");
  const received = document.querySelector("[data-received]");
  const total = document.querySelector("[data-total]");
  if (received && total) {
    const change = document.querySelector("[data-change]");
    const owed = () => [...document.querySelectorAll("input[name=due]:checked")]
      .reduce((sum, box) => sum + fen(box.dataset.amount), 0);
    const show = () => {
      const back = (fen(received.value) || 0) - owed();
      change.hidden = back <= 0;
      change.querySelector("output").textContent = yuan(back);
    };
    document.addEventListener("change", (event) => {
      if (event.target.name !== "due") return;
      total.textContent = received.value = yuan(owed());
      show();
    });
    received.addEventListener("input", show);
    received.select();
  }
  const counted = document.querySelector("[data-counted]");
  if (counted) {
    document.addEventListener("input", (event) => {
      if (!event.target.dataset.piece) return;
      const sum = [...document.querySelectorAll("[data-piece]")]
        .reduce((all, box) => all + fen(box.dataset.piece) * (Number(box.value) || 0), 0);
      const [first, second] = counted.querySelectorAll("output");
      first.textContent = yuan(sum);
      second.textContent = yuan(sum - fen(counted.dataset.expected));
      counted.hidden = false;
    });
  }
})();
