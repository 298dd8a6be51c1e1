// The technician's orders. Everything he does is written to the phone first and sent in order,
// each under an id of its own, so that the server does it once however often it is sent.
(function () {
  "use strict";
  const root = document.getElementById("work");
  if (!root) return;
  const words = JSON.parse(root.dataset.words);
  const reasons = root.dataset.reasons.split(";").map((pair) => pair.split("="));
  const outbox = new Outbox({
    name: "repairs " + root.dataset.orders,
    who: root.dataset.who,
    list: root.dataset.orders,
    operation: root.dataset.operation,
    changed: () => { draw(); keepSounds(); },
    words: words,
  });
  outbox.shown = { orders: [], csrf: "" };
  const voice = new Voice();
  let opened = null;

  async function keep(order, verb, values, photo) {
    try {
      await outbox.keep({ verb: verb, order: order.id, number: order.number }, values, photo);
      guide(AFTER[verb]);
    } catch (error) {
      say(words.full);
    }
  }

  // --- the page ------------------------------------------------------------------------------

  const AFTER = { grab: "accepted", accept: "accepted", start: "in_progress", pause: "paused", resume: "in_progress", finish: "done", give_back: "returned" };
  const VERBS = { accepted: ["start", "finish", "pause", "give_back"], in_progress: ["finish", "pause", "give_back"], paused: ["resume", "give_back"], done: [], returned: [] };

  // What the phone knows: the server's answer, and on top of it what still waits to be sent.
  function expected(order) {
    const seen = Object.assign({}, order, { waiting: 0 });
    for (const operation of outbox.pending) {
      if (operation.order !== order.id) continue;
      seen.waiting += 1;
      const state = AFTER[operation.verb];
      if (state) { seen.state = state; seen.verbs = VERBS[state]; seen.rank %= 10; }
      if (operation.verb === "add_part") seen.parts = seen.parts.concat(operation.values.name + " × " + operation.values.quantity);
    }
    return seen;
  }

  function make(tag, properties, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in made && name !== "list") made[name] = value; else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  }

  function button(text, action, kind) {
    const made = make("button", { type: "button", className: "button" + (kind ? " " + kind : "") }, text);
    made.addEventListener("click", action);
    return made;
  }

  function say(text) { root.querySelector("[data-status]").textContent = text; }

  function status() {
    if (outbox.isSignedOut) return words.sign_in;
    if (!navigator.onLine) return words.offline + (outbox.pending.length ? " " + outbox.pending.length + " " + words.waiting : "");
    return outbox.pending.length ? outbox.pending.length + " " + words.waiting : words.online;
  }

  let written = {};

  let isDrawing = false;

  function draw() {
    say(status());
    if (root.contains(document.activeElement) && /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName) && document.activeElement.type !== "file") {
      return;
    }
    root.querySelector("[data-conflicts]").replaceChildren(...outbox.conflicts.map((conflict) => make("div", { className: "note danger", role: "alert" },
      make("p", null, words.conflict + " · " + conflict.number + " · " + (words[conflict.verb] || conflict.verb) + ": " + conflict.problem),
      button(words.dismiss, () => outbox.dismiss(conflict)))));
    const orders = outbox.shown.orders.map(expected);
    const list = root.querySelector("[data-list]");
    const focused = document.activeElement && document.activeElement.id;
    isDrawing = true;
    list.replaceChildren(...orders.map(card));
    if (!orders.length) list.append(make("p", { className: "muted" }, words.none));
    if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
    isDrawing = false;
  }

  function card(order) {
    const isOpen = opened === order.id;
    const head = make("button", { type: "button", className: "open", id: "o" + order.number, "aria-expanded": String(isOpen) },
      make("h2", null, [order.number, order.place].filter(Boolean).join(" · ")),
      make("span", { className: "pill " + (order.urgency === "emergency" ? "danger" : order.urgency === "urgent" ? "warning" : "") }, order.urgency_words), " ",
      make("span", { className: "pill" }, order.rank >= 10 ? words.to_take : stateWords(order)), " ",
      make("span", { className: "small " + order.clock.tone }, order.clock.words),
      order.waiting ? make("span", { className: "pill warning" }, order.waiting + " " + words.waiting) : "",
      make("p", null, order.text));
    head.addEventListener("click", () => { opened = isOpen ? null : order.id; draw(); });
    return make("article", { className: "card job " + order.urgency }, head, isOpen ? details(order) : "");
  }

  function stateWords(order) {
    const original = outbox.shown.orders.find((other) => other.id === order.id);
    if (order.state === original.state) return original.state_words;
    return { accepted: words.accept, in_progress: words.start, paused: words.pause, done: words.finish, returned: words.give_back }[order.state] || order.state;
  }

  function details(order) {
    const box = make("div", null,
      make("p", { className: "muted small" }, [order.category, order.visit_wanted].filter(Boolean).join(" · ")),
      order.way ? make("p", { className: "way" }, "➤ " + order.way) : "",
      order.needs_help ? make("p", { className: "warning" }, words.help_waits) : "");
    const next = order.rank < 10 && (outbox.shown.steps_said || {})[order.state];
    if (next) box.append(make("p", { className: "next" }, next.text));
    if (order.photos.length) {
      box.append(make("div", { className: "previews" }, ...order.photos.map((address, at) =>
        make("a", { href: address }, make("img", { src: address, alt: words.photos + " " + (at + 1), loading: "lazy" })))));
    }
    if (order.parts.length) box.append(make("ul", null, ...order.parts.map((part) => make("li", null, part))));
    if (order.rank >= 10) {
      box.append(button(words.grab, () => keep(order, "grab"), "button-primary"));
      return box;
    }
    if (order.state !== "done" && order.state !== "returned") {
      box.append(make("div", { className: "pair" }, picture(order, "photo_before", words.before), picture(order, "photo_after", words.after)));
    }
    for (const verb of ["accept", "start", "resume"]) {
      if (order.verbs.includes(verb)) box.append(button(words[verb], () => keep(order, verb), "button-primary"));
    }
    if (order.verbs.includes("finish")) box.append(finish(order));
    if (order.verbs.includes("pause")) box.append(pause(order));
    if (order.state !== "done" && order.state !== "returned") box.append(part(order), quotation(order), signing(order));
    if (order.verbs.includes("give_back")) box.append(giveBack(order));
    box.append(reading(order), help(order));
    return box;
  }

  function picture(order, verb, text) {
    const id = verb + order.number;
    const input = make("input", { id: id, type: "file", accept: "image/*", className: "photo-input" });
    input.setAttribute("capture", "environment");
    input.addEventListener("change", async () => {
      if (!input.files[0]) return;
      say("…");
      await keep(order, verb, {}, await Outbox.shrink(input.files[0]));
    });
    return make("div", null, make("label", { className: "photo-button", htmlFor: id }, text), input);
  }

  function field(order, name, text) {
    const key = order.id + name;
    const made = make("input", { id: name + order.number, value: written[key] || "", maxLength: 500 });
    made.addEventListener("input", () => { written[key] = made.value; });
    return [make("label", { htmlFor: made.id }, text), made];
  }

  function taken(order, name) {
    const key = order.id + name;
    const value = (written[key] || "").trim();
    delete written[key];
    return value;
  }

  function finish(order) {
    return make("div", null, button(words.finish, () => keep(order, "finish", { solution: taken(order, "solution") }), "button-primary"),
      make("details", null, make("summary", null, words.solution), ...field(order, "solution", words.solution)));
  }

  function pause(order) {
    return make("details", null, make("summary", null, words.pause),
      ...reasons.map(([value, text]) => button(text, () => keep(order, "pause", { pause_reason: value }))));
  }

  function part(order) {
    return make("details", null, make("summary", null, words.add_part), ...field(order, "part", words.part), ...field(order, "quantity", words.quantity),
      button(words.add_part, () => {
        const name = taken(order, "part");
        if (name) keep(order, "add_part", { name: name, quantity: taken(order, "quantity") || "1" });
      }));
  }

  function signing(order) {
    return make("details", null, make("summary", null, words.signature), make("p", { className: "muted small" }, words.sign_here),
      new SignaturePad(words, (picture) => keep(order, "signature", {}, picture).then(() => say(words.kept))));
  }

  function quotation(order) {
    if (!order.may_quote) return order.quoted ? make("p", { className: "muted" }, words.quote + ": " + order.quoted) : "";
    const box = make("details", null, make("summary", null, words.quote), ...field(order, "item", words.item), ...field(order, "price", words.price), ...field(order, "count", words.quantity),
      button(words.quote_add, () => {
        const name = taken(order, "item"), price = taken(order, "price");
        if (name && price) keep(order, "quote", { name: name, unit_price: price, quantity: taken(order, "count") || "1" });
      }),
      make("p", { className: "muted small" }, order.quoted),
      ...(order.warranty ? [make("p", { className: "warning" }, order.warranty), ...field(order, "outside", words.outside)] : []),
      button(words.quote_send, () => keep(order, "offer", { outside_warranty: taken(order, "outside") }), "button-primary"));
    return box;
  }

  function giveBack(order) {
    return make("details", null, make("summary", null, words.give_back), ...field(order, "reason", words.reason),
      button(words.give_back, () => {
        const reason = taken(order, "reason");
        if (reason) keep(order, "give_back", { reason: reason });
      }));
  }

  // Spoken where the phone has a voice, else the sound that was kept, else in the largest type.
  function reading(order) {
    return button(voice.isMute && !order.sound ? words.read_large : words.read, () => readOut(order));
  }

  async function readOut(order) {
    say(words.reading);
    const text = voice.isMute ? order.said : [order.said, order.way].filter(Boolean).join("。");
    if (await voice.say(text, order.sound)) say(status());
    else large([order.said, order.way].filter(Boolean).join("。"));
  }

  // What to do next, said after each step where he wants that.
  function guide(state) {
    const next = (outbox.shown.steps_said || {})[state];
    if (next && voice.isOn) voice.say(next.text, next.sound);
  }

  function help(order) {
    const made = outbox.shown.desk_phone
      ? make("a", { className: "button button-danger", href: "tel:" + outbox.shown.desk_phone.replace(/[^0-9+]/g, "") }, words.help)
      : make("button", { type: "button", className: "button button-danger" }, words.help);
    made.addEventListener("click", () => { keep(order, "help").then(() => say(words.help_sent)); });
    return made;
  }

  const aloud = root.querySelector("[data-aloud]");
  function pressed() { aloud.setAttribute("aria-pressed", String(voice.isOn)); }
  aloud.addEventListener("click", () => { voice.isOn = !voice.isOn; pressed(); });
  voice.changed = () => { draw(); keepSounds(); };
  pressed();

  function keepSounds() {
    const mine = outbox.shown.orders.filter((order) => order.rank < 10);
    voice.keep(mine.concat(Object.values(outbox.shown.steps_said || {})).map((each) => each.sound));
  }

  // --- beginning -----------------------------------------------------------------------------

  outbox.begin(root.dataset.worker).then(() => {
    if (!window.EventSource) return;
    const source = new EventSource(root.dataset.live);
    source.onmessage = (event) => {
      const told = JSON.parse(event.data);
      if (told.name === "again" || told.name.startsWith("repairs.")) outbox.send();
    };
  });
  // Drawing waits while somebody types; drawing itself takes the focus away, which is not that.
  document.addEventListener("focusout", (event) => {
    if (!isDrawing && /INPUT|TEXTAREA/.test(event.target.tagName)) setTimeout(draw, 0);
  });
})();
