// The dispatcher's board: drag an order to a technician, on the columns or on the map, or choose him.
(function () {
  "use strict";
  const board = document.getElementById("board");
  if (!board) return;
  const headers = JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  const BEGINS_AFTER = 6;
  const HOLD_MS = 300;
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

  // --- dragging: cards by mouse as the browser does it; pins, and cards by finger, by pointer -----

  function over(technician) {
    for (const other of board.querySelectorAll(".over")) if (other !== technician) other.classList.remove("over");
    if (technician) technician.classList.add("over");
  }

  function technicianAt(element) {
    const found = element && element.closest("[data-technician]");
    return found && board.contains(found) && found.dataset.technician ? found : null;
  }

  // at: where the pointer is; a list that comes up for a finger does so away from it.
  function begin(order, at) {
    dragged = order;
    board.setAttribute("data-dragging", at && at.clientY < innerHeight / 2 ? "below" : "above");
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

  // Carry an order from where a pointer is until it is let go over a technician, or nowhere. isMoved:
  // whether it has been moved on purpose; who only rests on a card gives it to nobody.
  function carry(order, words, from, isMoved) {
    begin(order, from);
    const ghost = document.body.appendChild(document.createElement("div"));
    ghost.className = "ghost";
    ghost.textContent = words;
    const below = (now) => isMoved && technicianAt(document.elementFromPoint(now.clientX, now.clientY));
    const move = function (now) {
      ghost.style.left = now.clientX + "px";
      ghost.style.top = now.clientY + "px";
      isMoved = isMoved || Math.hypot(now.clientX - from.clientX, now.clientY - from.clientY) > BEGINS_AFTER;
      over(below(now));
    };
    const done = function (now) {
      document.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) document.removeEventListener(name, done);
      const technician = now.type === "pointerup" && below(now);
      ghost.remove();
      wasDragged = true;
      end();
      if (technician) assign(order, technician.dataset.technician);
    };
    document.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, done);
    move(from);
  }

  // Wait until a pointer that is down has done enough to carry; whatever ends it first calls it off.
  function awaitCarry(event, isEnough, order, words, holdMs) {
    let last = event;
    let timer = null;
    const stop = function () {
      clearTimeout(timer);
      document.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) document.removeEventListener(name, stop);
    };
    const go = function () { stop(); carry(order, words, last, isEnough); };
    const move = function (now) {
      last = now;
      const isFar = Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) > BEGINS_AFTER;
      if (isFar) { if (isEnough) go(); else stop(); }
    };
    if (holdMs) timer = setTimeout(go, holdMs);
    document.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, stop);
  }

  board.addEventListener("pointerdown", function (event) {
    wasDragged = false;
    if (event.button) return;
    const pin = event.target.closest("[data-pin]");
    if (pin) {
      event.preventDefault();
      pin.focus();
      awaitCarry(event, true, pin.dataset.pin, pin.textContent.trim());
      return;
    }
    // A finger that moves at once scrolls; one that rests on a card first takes it along.
    const card = event.target.closest(".order[draggable=true]");
    if (!card || event.pointerType === "mouse" || event.target.closest("a, select")) return;
    card.draggable = false;
    setTimeout(() => { card.draggable = true; }, HOLD_MS * 2);
    awaitCarry(event, false, card.dataset.order, card.getAttribute("aria-label"), HOLD_MS);
  });
  board.addEventListener("touchmove", function (event) {
    if (dragged && event.cancelable) event.preventDefault();
  }, { passive: false });
  board.addEventListener("contextmenu", function (event) { if (dragged) event.preventDefault(); });

  board.addEventListener("click", function (event) {
    const pin = event.target.closest("[data-pin]");
    if (pin && !wasDragged) pick(pin.dataset.pin);
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
