// The dispatcher's board: drag an order to a technician, or choose him on the card.
(function () {
  "use strict";
  const board = document.getElementById("board");
  if (!board) return;
  const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  let dragged = null;

  async function send(address, values) {
    const answer = await fetch(address, {
      method: "POST", headers: headers, body: new URLSearchParams(values),
    });
    const text = await answer.text();
    if (answer.status === 200 || answer.status === 409) board.innerHTML = text;
    else location.reload();
  }

  board.addEventListener("change", function (event) {
    if (!("choose" in event.target.dataset) || !event.target.value) return;
    const order = event.target.closest("[data-order]").dataset.order;
    const technician = event.target.value;
    event.target.blur();
    send(board.dataset.assign, { order, technician });
  });
  board.addEventListener("dragstart", function (event) {
    const card = event.target.closest("[data-order]");
    if (!card) return;
    dragged = card.dataset.order;
    board.setAttribute("data-dragging", "");
    event.dataTransfer.setData("text/plain", dragged);
    event.dataTransfer.effectAllowed = "move";
  });
  board.addEventListener("dragend", function () {
    dragged = null;
    board.removeAttribute("data-dragging");
    board.querySelectorAll(".over").forEach((worker) => worker.classList.remove("over"));
  });
  board.addEventListener("dragover", function (event) {
    const worker = event.target.closest("[data-technician]");
    board.querySelectorAll(".over").forEach((other) => other !== worker && other.classList.remove("over"));
    if (!worker || !worker.dataset.technician || !dragged) return;
    event.preventDefault();
    worker.classList.add("over");
  });
  board.addEventListener("drop", function (event) {
    const worker = event.target.closest("[data-technician]");
    if (!worker || !dragged) return;
    event.preventDefault();
    const order = dragged;
    board.removeAttribute("data-dragging");
    send(board.dataset.assign, { order, technician: worker.dataset.technician });
  });
  document.addEventListener("click", function (event) {
    const button = event.target.closest("[data-automatic]");
    if (button) send(button.dataset.automatic, {});
  });
})();
