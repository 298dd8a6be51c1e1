// The dispatcher's board: drag an order to a technician, on the columns or on the map, or choose him.
(function () {
  "use strict";
  const board = document.getElementById("board");
  if (!board) return;
  const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  const BEGINS_AFTER = 6;
  let dragged = null;
  let picked = null;
  let focused = null;
  let wasDragged = false;
  let view = localStorage.getItem("repairs board") || "columns";

  async function send(address, values) {
    const answer = await fetch(address, {
      method: "POST", headers: headers, body: new URLSearchParams(values),
    });
    const text = await answer.text();
    if (answer.status === 200 || answer.status === 409) { board.innerHTML = text; renewed(); }
    else location.reload();
  }

  function assign(order, technician) {
    picked = null;
    send(board.dataset.assign, { order, technician });
  }

  // What the page remembers of itself when its content was written anew.
  function renewed() {
    board.classList.toggle("shows-map", view === "map");
    for (const button of board.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    pick(picked);
    const lost = document.activeElement === document.body && focused && board.querySelector(focused);
    if (lost) lost.focus();
  }

  // Show the card of an order beside the map, with its list of technicians.
  function pick(id) {
    const card = id && board.querySelector(`.kanban [data-order="${id}"]`);
    const box = board.querySelector("[data-picked]");
    picked = card ? id : null;
    for (const pin of board.querySelectorAll("[data-pin]")) {
      pin.setAttribute("aria-pressed", String(pin.dataset.pin === picked));
    }
    if (!box) return null;
    const shown = card ? card.cloneNode(true) : "";
    box.replaceChildren(shown);
    return card && (shown.querySelector("select") || shown.querySelector("a"));
  }

  board.addEventListener("renewed", renewed);
  board.addEventListener("focusin", function (event) {
    const at = event.target.closest("[data-pin], .kanban [data-order]");
    focused = !at ? null : at.dataset.pin ? `[data-pin="${at.dataset.pin}"]` : `.kanban [data-order="${at.dataset.order}"]`;
  });
  board.addEventListener("change", function (event) {
    if (!("choose" in event.target.dataset) || !event.target.value) return;
    const order = event.target.closest("[data-order]").dataset.order;
    const technician = event.target.value;
    event.target.blur();
    assign(order, technician);
  });
  board.addEventListener("keydown", function (event) {
    const pin = event.target.closest("[data-pin]");
    if (!pin || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    const next = pick(pin.dataset.pin);
    if (next) next.focus();
  });

  // --- dragging: cards as the browser does it, pins by pointer, which touch knows as well --------

  function over(technician) {
    for (const other of board.querySelectorAll(".over")) if (other !== technician) other.classList.remove("over");
    if (technician) technician.classList.add("over");
  }

  function technicianAt(element) {
    const found = element && element.closest("[data-technician]");
    return found && board.contains(found) && found.dataset.technician ? found : null;
  }

  function begin(order) {
    dragged = order;
    board.setAttribute("data-dragging", "");
  }

  function end() {
    dragged = null;
    board.removeAttribute("data-dragging");
    over(null);
  }

  board.addEventListener("dragstart", function (event) {
    const card = event.target.closest("[data-order]");
    if (!card) return;
    begin(card.dataset.order);
    event.dataTransfer.setData("text/plain", dragged);
    event.dataTransfer.effectAllowed = "move";
  });
  board.addEventListener("dragend", end);
  board.addEventListener("dragover", function (event) {
    const technician = technicianAt(event.target);
    over(technician);
    if (technician && dragged) event.preventDefault();
  });
  board.addEventListener("drop", function (event) {
    const technician = technicianAt(event.target);
    if (!technician || !dragged) return;
    event.preventDefault();
    const order = dragged;
    end();
    assign(order, technician.dataset.technician);
  });

  board.addEventListener("pointerdown", function (event) {
    const pin = event.target.closest("[data-pin]");
    if (!pin || event.button) return;
    event.preventDefault();
    pin.focus();
    let ghost = null;
    const move = function (now) {
      const far = Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > BEGINS_AFTER;
      if (!ghost && far) {
        begin(pin.dataset.pin);
        ghost = document.body.appendChild(document.createElement("div"));
        ghost.className = "ghost";
        ghost.textContent = pin.textContent.trim();
      }
      if (!ghost) return;
      ghost.style.left = now.clientX + "px";
      ghost.style.top = now.clientY + "px";
      over(technicianAt(document.elementFromPoint(now.clientX, now.clientY)));
    };
    const done = function (now) {
      for (const name of ["pointermove", "pointerup", "pointercancel"]) document.removeEventListener(name, name === "pointermove" ? move : done);
      const technician = ghost && now.type === "pointerup" && technicianAt(document.elementFromPoint(now.clientX, now.clientY));
      if (ghost) ghost.remove();
      wasDragged = Boolean(ghost);
      end();
      if (technician) assign(pin.dataset.pin, technician.dataset.technician);
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", done);
    document.addEventListener("pointercancel", done);
  });

  board.addEventListener("click", function (event) {
    const pin = event.target.closest("[data-pin]");
    if (pin && !wasDragged) pick(pin.dataset.pin);
    wasDragged = false;
  });
  document.addEventListener("click", function (event) {
    const button = event.target.closest("[data-send]");
    if (button) send(button.dataset.send, {});
    const chosen = event.target.closest("[data-view]");
    if (!chosen) return;
    view = chosen.dataset.view;
    localStorage.setItem("repairs board", view);
    renewed();
  });
  renewed();
})();
