// Today's maintenance and rounds. Everything is kept on the phone first (outbox.js) and sent in order.
(function () {
  "use strict";
  const root = document.getElementById("work");
  if (!root) return;
  const words = JSON.parse(root.dataset.words);
  const outbox = new Outbox({
    name: "equipment " + root.dataset.list,
    list: root.dataset.list,
    operation: root.dataset.operation,
    changed: draw,
    words: words,
  });
  outbox.shown = { tasks: [], rounds: [], shifts: [], csrf: "" };
  const written = {};
  const seen = {};
  let opened = null;
  let isDrawing = false;
  let wanted = null;

  async function keep(verb, subject, label, values, photo) {
    try {
      await outbox.keep({ verb: verb, subject: subject, label: label }, values, photo);
    } catch (error) {
      say(words.full);
    }
  }

  function make(tag, properties, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in made) made[name] = value; else made.setAttribute(name, value);
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
    const count = outbox.pending.length;
    if (outbox.isSignedOut) return words.sign_in;
    if (!navigator.onLine) return words.offline + (count ? " " + count + " " + words.waiting : "");
    return count ? count + " " + words.waiting : words.online;
  }

  // --- the page ------------------------------------------------------------------------------

  function draw() {
    say(status());
    const at = document.activeElement;
    if (root.contains(at) && /INPUT|TEXTAREA/.test(at.tagName) && !/radio|file/.test(at.type)) return;
    root.querySelector("[data-conflicts]").replaceChildren(...outbox.conflicts.map((conflict) =>
      make("div", { className: "note danger", role: "alert" },
        make("p", null, words.conflict + " · " + conflict.label + ": " + conflict.problem),
        button(words.dismiss, () => outbox.dismiss(conflict)))));
    const id = at && at.id;
    isDrawing = true;
    const list = root.querySelector("[data-list]");
    list.replaceChildren(...(outbox.shown.shifts || []).map(shift), ...outbox.shown.tasks.map(task), ...outbox.shown.rounds.map(round));
    if (!list.children.length) list.append(make("p", { className: "muted" }, words.none));
    if (id && document.getElementById(id)) document.getElementById(id).focus();
    isDrawing = false;
  }

  function waits(subject, verb, point) {
    return outbox.pending.filter((o) => o.subject === subject && o.verb === verb && (!point || o.values.point === point)).length;
  }

  function card(id, title, pills, kind, details) {
    const isOpen = opened === id;
    const head = make("button", { type: "button", className: "open", id: "o" + id, "aria-expanded": String(isOpen) }, make("h2", null, title),
      ...pills.filter(Boolean).map((text) => make("span", { className: "pill" }, text)));
    head.addEventListener("click", () => { opened = isOpen ? null : id; draw(); });
    return make("article", { className: "card job " + kind }, head, isOpen ? details() : "");
  }

  function task(each) {
    const isDone = waits(each.id, "finish") > 0;
    const pills = [isDone ? words.kept : each.state_words, each.due, each.statute, each.number];
    return card(each.id, each.equipment + " · " + each.name, pills, isDone ? "done" : each.is_late ? "late" : each.statute ? "legal" : "",
      () => isDone ? make("p", { className: "muted" }, words.kept) : make("div", null,
        make("p", { className: "muted small" }, each.place),
        each.state === "open" && !waits(each.id, "start") ? button(words.start, () => keep("start", each.id, each.name)) : "",
        ...each.items.map((item) => line(each.id, item)),
        ...photo(each.id, () => ["task_photo", each.id, each.name, {}], waits(each.id, "task_photo") + each.photos),
        each.needs_report ? field(each.id, "report", words.report) : "",
        field(each.id, "note", words.note),
        button(words.finish, () => finish(each), "button-primary"),
        field(each.id, "fault", words.fault),
        button(words.report_fault, () => fault(each))));
  }

  function shift(each) {
    const kept = waits(each.id, "shift_note");
    return card(each.id, each.post, [each.trade, words.on_duty + " " + each.since, kept ? kept + " " + words.waiting : ""], "", () => make("div", null,
      field(each.id, "entry", words.log_entry),
      button(words.write_down, () => entry(each), "button-primary")));
  }

  function entry(each) {
    const text = taken(each.id, "entry");
    if (text) keep("shift_note", each.id, each.post, { text: text });
  }

  function missing(items, subject) {
    return items.find((item) => item.is_required && item.kind !== "photo" && !(written[subject + item.id] || "").trim());
  }

  function finish(each) {
    const lacks = missing(each.items, each.id);
    if (lacks) { say(words.missing + " " + lacks.title); return; }
    keep("finish", each.id, each.name, { answers: answers(each.items, each.id), note: taken(each.id, "note"), report: taken(each.id, "report") });
  }

  function fault(each) {
    const text = taken(each.id, "fault");
    if (text) keep("report", each.equipment_id, each.equipment, { text: text });
  }

  function round(each) {
    const left = each.points.filter((point) => !point.is_visited && !waits(each.id, "visit", point.id)).length;
    const pills = [each.state_words, each.from + " – " + each.until, each.trade, (each.points.length - left) + " / " + each.points.length];
    return card(each.id, each.route, pills, left ? "" : "done", () => make("div", null, ...each.points.map((point) => stop(each, point))));
  }

  function stop(each, point) {
    const isKept = waits(each.id, "visit", point.id) > 0;
    const key = each.id + point.id;
    if (point.is_visited || isKept) {
      return make("div", { className: "stop" }, make("p", null, "✓ " + point.name + (isKept ? " · " + words.kept : "")));
    }
    const here = seen[key];
    const box = make("div", { className: "stop" }, make("p", null, make("strong", null, point.name), " ", point.place));
    if (!here) {
      box.append(button(words.scan_here, () => look(each, point), "button-primary"), button(words.no_code, () => arrive(key, "")));
      return box;
    }
    if (!here.proof) box.append(make("p", { className: "muted small" }, words.unproven));
    box.append(...point.items.map((item) => line(key, item)),
      ...(point.wants_photo || point.items.some((item) => item.kind === "photo")
        ? photo(key, () => ["visit_photo", each.id, point.name, { point: point.id }], waits(each.id, "visit_photo", point.id) + point.photos) : []),
      field(key, "note", words.note), button(words.done_here, () => leave(each, point, key, here), "button-primary"));
    return box;
  }

  function arrive(key, proof) { seen[key] = { at: new Date().toISOString(), proof: proof }; draw(); }

  function leave(each, point, key, here) {
    const lacks = missing(point.items, key);
    if (lacks) { say(words.missing + " " + lacks.title); return; }
    const stayed = (Date.now() - Date.parse(here.at)) / 1000;
    if (stayed < point.stay_s) { say(words.stay + " " + Math.ceil(point.stay_s - stayed) + " s"); return; }
    keep("visit", each.id, point.name, {
      point: point.id, arrived_at: here.at, left_at: new Date().toISOString(), proof: here.proof,
      answers: answers(point.items, key), note: taken(key, "note"),
    });
  }

  // The code is compared on the phone, too, so that a wrong door is noticed without network.
  async function digest(text) {
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return Array.from(new Uint8Array(bytes), (b) => (b + 256).toString(16).slice(1)).join("").slice(0, 16);
  }

  const finder = root.querySelector("[data-finder]");
  const scanner = new Scanner(finder, async (text) => {
    if (!wanted) return;
    const { each, point } = wanted;
    const code = text.slice(text.lastIndexOf("/") + 1);
    if (window.crypto.subtle && (await digest(code)) !== point.mark) { scanner.say("other"); return; }
    finder.hidden = true;
    arrive(each.id + point.id, text);
  });

  function look(each, point) {
    wanted = { each: each, point: point };
    finder.hidden = false;
    finder.scrollIntoView({ block: "nearest" });
    scanner.start();
    if (!window.NDEFReader) return;
    const reader = new NDEFReader();
    reader.onreading = (event) => {
      if (wanted && wanted.point === point) { scanner.stop(); finder.hidden = true; arrive(each.id + point.id, event.serialNumber); }
    };
    reader.scan().catch(() => {});
  }

  // --- fields --------------------------------------------------------------------------------

  function line(subject, item) {
    if (item.kind === "photo") return make("p", { className: "muted small" }, item.title + " · " + words.photo);
    if (item.kind !== "check") return field(subject, item.id, item.title + (item.uom ? " (" + item.uom + ")" : "") + (item.limits ? " " + item.limits : ""), item.kind === "number");
    const set = make("fieldset", { className: "either" }, make("legend", null, item.title));
    for (const [value, text] of [["ok", words.ok], ["wrong", words.wrong]]) {
      const input = make("input", { type: "radio", name: subject + item.id, value: value, id: subject + item.id + value, checked: written[subject + item.id] === value });
      input.addEventListener("change", () => { written[subject + item.id] = value; });
      set.append(make("label", { htmlFor: input.id }, input, text));
    }
    return set;
  }

  function field(subject, name, text, isNumber) {
    const made = make("input", { id: "f" + subject + name, value: written[subject + name] || "", maxLength: 500 });
    if (isNumber) made.inputMode = "decimal";
    made.addEventListener("input", () => { written[subject + name] = made.value; });
    return make("div", null, make("label", { htmlFor: made.id }, text), made);
  }

  function taken(subject, name) {
    const value = (written[subject + name] || "").trim();
    delete written[subject + name];
    return value;
  }

  function answers(items, subject) {
    const given = {};
    for (const item of items) if (item.kind !== "photo") given[item.id] = taken(subject, item.id);
    return given;
  }

  function photo(key, what, count) {
    const input = make("input", { id: "p" + key, type: "file", accept: "image/*", className: "photo-input" });
    input.setAttribute("capture", "environment");
    input.addEventListener("change", async () => {
      if (!input.files[0]) return;
      say("…");
      await keep(...what(), await Outbox.shrink(input.files[0]));
    });
    return [make("label", { className: "photo-button", htmlFor: input.id }, words.photo + (count ? " (" + count + ")" : "")), input];
  }

  document.addEventListener("focusout", (event) => {
    if (!isDrawing && /INPUT|TEXTAREA/.test(event.target.tagName)) setTimeout(draw, 0);
  });
  outbox.begin(root.dataset.worker);
})();
