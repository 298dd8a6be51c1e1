// Today's maintenance and rounds. Everything is kept on the phone first (outbox.js) and sent in order.
(function () {
  "use strict";
  const root = document.getElementById("work");
  if (!root) return;
  const words = JSON.parse(root.dataset.words);
  const outbox = new Outbox({
    name: "equipment " + root.dataset.list,
    who: root.dataset.who,
    list: root.dataset.list,
    operation: root.dataset.operation,
    parts: ["scanner", "reader", "wasm"].map((part) => root.dataset[part]),
    changed: draw,
    words: words,
  });
  outbox.shown = { tasks: [], rounds: [], shifts: [], csrf: "" };
  // What is written and not done yet: a reload or an empty battery loses none of it.
  const written = {};
  const seen = {};
  const shot = {};
  let opened = null;
  let saving = null;
  let isDrawing = false;
  let isPressed = false;
  let isStale = false;
  let notice = "";
  let wanted = null;

  async function keep(verb, subject, label, values, photo, said) {
    notice = "";
    try {
      const at = new Date().toISOString();
      await outbox.keep({ verb: verb, subject: subject, label: label, said: said || values.text || "" }, Object.assign({ at: at }, values), photo);
      await remember();
      return true;
    } catch (error) {
      warn(words.full);
      return false;
    }
  }

  function remember() {
    clearTimeout(saving);
    saving = null;
    const shown = outbox.shown;
    const known = new Set([...shown.tasks, ...shown.rounds, ...(shown.shifts || [])].map((each) => each.id));
    for (const store of [written, seen, shot])
      for (const key of Object.keys(store)) if (!known.has(key.slice(0, 36))) delete store[key];
    const isBegun = [written, seen, shot].some((store) => Object.keys(store).length);
    return outbox.within("kept", "readwrite", (s) => {
      s.put(opened, "page");
      return isBegun ? s.put({ written: written, seen: seen, shot: shot }, "draft") : s.delete("draft");
    }).catch(() => {});
  }

  function rememberSoon() { if (saving === null) saving = setTimeout(remember, 200); }

  async function recall() {
    opened = (await outbox.within("kept", "readonly", (s) => s.get("page"))) || null;
    const draft = await outbox.within("kept", "readonly", (s) => s.get("draft"));
    if (!draft) return;
    Object.assign(written, draft.written);
    Object.assign(seen, draft.seen);
    Object.assign(shot, draft.shot);
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

  // What somebody must read: it stands until he does something else.
  function warn(text) { notice = text; say(text); }

  function status() {
    if (notice) return notice;
    const count = outbox.pending.length;
    if (outbox.isSignedOut) return words.sign_in;
    if (!navigator.onLine) return words.offline + (count ? " " + count + " " + words.waiting : "");
    return (count ? count + " " + words.waiting : words.online) + (outbox.isStocked ? " " + words.ready : "");
  }

  // --- the page ------------------------------------------------------------------------------

  function draw() {
    say(status());
    const at = document.activeElement;
    const isWriting = root.contains(at) && /INPUT|TEXTAREA/.test(at.tagName) && !/radio|file/.test(at.type);
    // Nothing is exchanged below a finger that is about to tap it.
    isStale = isWriting || isPressed;
    if (isStale) return;
    root.querySelector("[data-conflicts]").replaceChildren(...outbox.conflicts.map((conflict) =>
      make("div", { className: "note danger", role: "alert" },
        make("p", null, words.conflict + " · " + conflict.label + ": " + conflict.problem),
        conflict.said ? make("p", { className: "small" }, conflict.said) : "",
        standing(conflict) ? button(words.again, () => again(conflict), "button-primary") : "",
        button(words.dismiss, () => outbox.dismiss(conflict)))));
    const id = at && at.id;
    isDrawing = true;
    const list = root.querySelector("[data-list]");
    list.replaceChildren(...(outbox.shown.shifts || []).map(shift), ...outbox.shown.rounds.map(round), ...outbox.shown.tasks.map(task));
    if (!list.children.length) list.append(make("p", { className: "muted" }, words.none));
    if (id && document.getElementById(id)) document.getElementById(id).focus();
    isDrawing = false;
  }

  // What could not be done and is still to be done: the answers are not to be typed a second time.
  function standing(conflict) {
    if (conflict.verb === "finish") return outbox.shown.tasks.some((each) => each.id === conflict.subject);
    if (conflict.verb !== "visit") return false;
    const each = outbox.shown.rounds.find((one) => one.id === conflict.subject);
    return Boolean(each) && each.points.some((point) => point.id === conflict.values.point && !point.is_visited);
  }

  function again(conflict) {
    const given = conflict.values;
    const key = conflict.subject + (given.point || "");
    for (const [item, value] of Object.entries(given.answers || {})) written[key + item] = value;
    for (const name of ["note", "report"]) if (given[name]) written[key + name] = given[name];
    if (given.point) seen[key] = { at: given.arrived_at, proof: given.proof };
    opened = conflict.subject;
    remember();
    outbox.dismiss(conflict);
  }

  function waits(subject, verb, point) {
    return [...outbox.pending, ...outbox.delivered].filter((o) => o.subject === subject && o.verb === verb && (!point || o.values.point === point)).length;
  }

  function card(id, title, pills, kind, details) {
    const isOpen = opened === id;
    const head = make("button", { type: "button", className: "open", id: "o" + id, "aria-expanded": String(isOpen) }, make("h2", null, title),
      ...pills.filter(Boolean).map((text) => make("span", { className: "pill" }, text)));
    head.addEventListener("click", () => { opened = isOpen ? null : id; notice = ""; rememberSoon(); draw(); });
    return make("article", { className: "card job " + kind }, head, isOpen ? details() : "");
  }

  function task(each) {
    const isDone = waits(each.id, "finish") > 0;
    const pills = [isDone ? words.kept : each.state_words, each.due, each.statute, each.number];
    return card(each.id, each.equipment + " · " + each.name, pills, isDone ? "done" : each.is_late ? "late" : each.statute ? "legal" : "",
      () => isDone ? make("p", { className: "muted" }, words.kept) : make("div", null,
        make("p", { className: "muted small" }, each.place),
        each.state === "open" && !waits(each.id, "start") ? button(words.start, () => keep("start", each.id, each.name, {})) : "",
        ...each.items.map((item) => line(each.id, item)),
        ...photo(each.id, () => ["task_photo", each.id, each.name, {}], each.photos),
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

  // The name of what is still missing; photos: how many there are.
  function missing(items, subject, photos) {
    const lacks = items.find((item) => item.is_required && (item.kind === "photo" ? !photos : !(written[subject + item.id] || "").trim()));
    return lacks ? lacks.title : "";
  }

  function isMissing(what) {
    if (what) warn(words.missing + " " + what);
    return Boolean(what);
  }

  function finish(each) {
    const report = each.needs_report && !(written[each.id + "report"] || "").trim() ? words.report : "";
    if (isMissing(missing(each.items, each.id, photos(each.id, each.photos)) || report)) return;
    hand("finish", each, each.name, each.items, each.id, { report: taken(each.id, "report") });
  }

  // Keep what was answered; a phone without room gives it back to its fields.
  async function hand(verb, each, label, items, key, more) {
    const before = Object.assign({}, written, more.report ? { [key + "report"]: more.report } : {});
    const said = told(items, key);
    const values = Object.assign({ answers: answers(items, key), note: taken(key, "note") }, more);
    if (!(await keep(verb, each.id, label, values, null, said))) { Object.assign(written, before); draw(); }
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
      return make("div", { className: "stop", "data-point": point.id }, make("p", null, "✓ " + point.name + (isKept ? " · " + words.kept : "")));
    }
    const here = seen[key];
    const box = make("div", { className: "stop", "data-point": point.id }, make("p", null, make("strong", null, point.name), " ", point.place));
    if (!here) {
      box.append(button(point.tag_mark ? words.touch_here : words.scan_here, () => look(each, point), "button-primary"), button(words.no_code, () => arrive(key, "")));
      return box;
    }
    if (!here.proof) box.append(make("p", { className: "muted small" }, words.unproven));
    box.append(...point.items.map((item) => line(key, item)),
      ...(point.wants_photo || point.items.some((item) => item.kind === "photo")
        ? photo(key, () => ["visit_photo", each.id, point.name, { point: point.id }], point.photos) : []),
      field(key, "note", words.note), button(words.done_here, () => leave(each, point, key, here), "button-primary"));
    return box;
  }

  function arrive(key, proof) { seen[key] = { at: new Date().toISOString(), proof: proof }; remember(); draw(); }

  function leave(each, point, key, here) {
    const count = photos(key, point.photos);
    if (isMissing(missing(point.items, key, count) || (point.needs_photo && !count ? words.photo : ""))) return;
    const stayed = (Date.now() - Date.parse(here.at)) / 1000;
    if (stayed < point.stay_s) { warn(words.stay + " " + Math.ceil(point.stay_s - stayed) + " s"); return; }
    hand("visit", each, point.name, point.items, key, {
      point: point.id, arrived_at: here.at, left_at: new Date().toISOString(), proof: here.proof,
    });
  }

  // The code is compared on the phone, too, so that a wrong door is noticed without network.
  async function digest(text) {
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
    return Array.from(new Uint8Array(bytes), (b) => (b + 256).toString(16).slice(1)).join("").slice(0, 16);
  }

  const finder = root.querySelector("[data-finder]");
  let scanner = null;

  // The scanner comes when somebody wants to scan; the phone has it by then, without network as well.
  function scanning() {
    if (!scanner) scanner = new Promise((done, failed) => {
      const made = document.createElement("script");
      for (const part of ["reader", "wasm"]) made.dataset[part] = root.dataset[part];
      made.addEventListener("load", () => done(new Scanner(finder, found)));
      made.addEventListener("error", () => { scanner = null; failed(new Error(made.src)); });
      made.src = root.dataset.scanner;
      document.head.append(made);
    });
    return scanner;
  }

  async function found(text, number) {
    if (!wanted) return;
    const { each, point } = wanted;
    const isTag = Boolean(number) && (await digest(number.replace(/:/g, "").toLowerCase())) === point.tag_mark;
    const code = text.slice(text.lastIndexOf("/") + 1);
    if (!isTag && window.crypto.subtle && (await digest(code)) !== point.mark) { (await scanner).say("other"); return; }
    finder.hidden = true;
    arrive(each.id + point.id, isTag ? number : text);
  }

  async function look(each, point) {
    wanted = { each: each, point: point };
    const ready = await scanning().catch(() => warn(words.offline));
    if (!ready) return;
    finder.hidden = false;
    finder.scrollIntoView({ block: "nearest" });
    if (point.tag_mark) ready.listen(); else ready.start();
  }

  // --- fields --------------------------------------------------------------------------------

  function line(subject, item) {
    if (item.kind === "photo") return make("p", { className: "muted small" }, item.title + " · " + words.photo);
    if (item.kind !== "check") return field(subject, item.id, item.title + (item.uom ? " (" + item.uom + ")" : "") + (item.limits ? " " + item.limits : ""), item.kind === "number");
    const set = make("fieldset", { className: "either" }, make("legend", null, item.title));
    for (const [value, text] of [["ok", words.ok], ["wrong", words.wrong]]) {
      const input = make("input", { type: "radio", name: subject + item.id, value: value, id: subject + item.id + value, checked: written[subject + item.id] === value });
      input.addEventListener("change", () => { written[subject + item.id] = value; remember(); });
      set.append(make("label", { htmlFor: input.id }, input, text));
    }
    return set;
  }

  function field(subject, name, text, isNumber) {
    const made = make("input", { id: "f" + subject + name, value: written[subject + name] || "", maxLength: 500 });
    if (isNumber) made.inputMode = "decimal";
    made.addEventListener("input", () => { written[subject + name] = made.value; rememberSoon(); });
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

  function told(items, subject) {
    const given = (item) => ({ ok: words.ok, wrong: words.wrong })[written[subject + item.id]] || written[subject + item.id];
    const said = items.filter((item) => (written[subject + item.id] || "").trim()).map((item) => item.title + " " + given(item) + " " + item.uom);
    return [...said, written[subject + "note"] || ""].map((text) => text.trim()).filter(Boolean).join(" · ");
  }

  // How many photos there are, those on their way to the server among them.
  function photos(key, sent) { return Math.max(shot[key] || 0, sent); }

  function photo(key, what, sent) {
    const count = photos(key, sent);
    const input = make("input", { id: "p" + key, type: "file", accept: "image/*", className: "photo-input" });
    input.setAttribute("capture", "environment");
    input.addEventListener("change", async () => {
      if (!input.files[0]) return;
      say("…");
      const small = await Outbox.shrink(input.files[0]);
      shot[key] = count + 1;
      if (!(await keep(...what(), small))) { shot[key] = count; await remember(); }
      draw();
    });
    return [make("label", { className: "photo-button", htmlFor: input.id }, words.photo + (count ? " (" + count + ")" : "")), input];
  }

  function settle() { if (isStale) draw(); }
  document.addEventListener("focusout", () => { if (!isDrawing) setTimeout(settle, 0); });
  document.addEventListener("pointerdown", () => { isPressed = true; });
  for (const name of ["pointerup", "pointercancel"])
    document.addEventListener(name, () => { isPressed = false; setTimeout(settle, 0); });
  document.addEventListener("visibilitychange", () => { if (document.hidden && saving !== null) remember(); });
  recall().catch(() => {}).then(() => outbox.begin(root.dataset.worker));
})();
