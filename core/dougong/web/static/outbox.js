// What somebody does on a page that also works without network. Everything is written to the phone
// first and sent in order, each under an id of its own, so that the server does it once however
// often it is sent.
//
// new Outbox({ name, who, list, operation, changed, words }): name of the store on the phone, which
// is another for each login (who); list: the address of what the page shows, with a field `csrf`;
// operation: where to send what was done;
// changed: called whenever there is something to draw; words.conflict: said before a bare status;
// parts: addresses that the page loads later and needs without network, too. What is shown leaves
// out what is `pending`, and for a moment what was `delivered` since the list was asked for. Under
// `kept`, "orders" and "page" are only shown and go at sign-out (forget.js); all else is work.
(function () {
  "use strict";
  const MOST = 200 * 1024;

  function identity() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  // What somebody did is sent under his own login, or not at all: each has a store of his own, whose
  // name stands in a list for who tidies up at sign-out.
  function listed(name) {
    try {
      const names = JSON.parse(localStorage.getItem("dougong outboxes")) || [];
      if (names.indexOf(name) < 0) localStorage.setItem("dougong outboxes", JSON.stringify(names.concat(name)));
    } catch (error) { /* the store works without */ }
    return name;
  }

  class Outbox {
    constructor(options) {
      this.name = listed(options.name + " " + options.who);
      this.options = options;
      this.shown = null;
      this.pending = [];
      this.delivered = [];
      this.conflicts = [];
      this.isSignedOut = false;
      this.isSending = false;
      this.isStocked = false;
      this.patience = 1;
      this.store = new Promise((resolve, reject) => {
        const asked = indexedDB.open(this.name, 1);
        asked.onupgradeneeded = () => {
          asked.result.createObjectStore("outbox", { keyPath: "serial", autoIncrement: true });
          asked.result.createObjectStore("conflicts", { keyPath: "client_id" });
          asked.result.createObjectStore("kept");
        };
        asked.onsuccess = () => resolve(asked.result);
        asked.onerror = () => reject(asked.error);
      });
    }

    async within(name, mode, work) {
      const database = await this.store;
      return new Promise((resolve, reject) => {
        const transaction = database.transaction(name, mode, { durability: "strict" });
        const request = work(transaction.objectStore(name));
        transaction.oncomplete = () => resolve(request && request.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error);
      });
    }

    async load() {
      this.pending = await this.within("outbox", "readonly", (s) => s.getAll());
      this.conflicts = await this.within("conflicts", "readonly", (s) => s.getAll());
      this.conflicts.sort((one, other) => one.serial - other.serial);
      this.shown = (await this.within("kept", "readonly", (s) => s.get("orders"))) || this.shown;
    }

    // Keep one thing that was done, and send it when there is a network. Rejects when the phone is full.
    async keep(fields, values, photo) {
      const operation = Object.assign({ client_id: identity(), values: values || {}, photo: photo || null }, fields);
      await this.within("outbox", "readwrite", (s) => s.add(operation));
      await this.load();
      this.options.changed();
      this.send();
    }

    async dismiss(conflict) {
      await this.within("conflicts", "readwrite", (s) => s.delete(conflict.client_id));
      await this.load();
      this.options.changed();
    }

    async refresh() {
      const answer = await fetch(this.options.list, { headers: { Accept: "application/json" } });
      this.isSignedOut = answer.redirected || answer.status === 401 || answer.status === 403;
      if (this.isSignedOut || !answer.ok) return false;
      const fresh = await answer.json();
      await this.within("kept", "readwrite", (s) => s.put(fresh, "orders"));
      this.shown = fresh;
      this.delivered = [];
      return true;
    }

    async deliver(operation) {
      const data = new FormData();
      for (const [name, value] of Object.entries(operation)) {
        if (name === "values") data.set(name, JSON.stringify(value));
        else if (name === "photo") { if (value) data.set(name, value, "photo.jpg"); }
        else if (name !== "serial") data.set(name, value);
      }
      const answer = await fetch(this.options.operation, {
        method: "POST", body: data, headers: { "X-CSRF-Token": this.shown.csrf, Accept: "application/json" },
      });
      if (answer.redirected || answer.status === 401 || answer.status === 403) return null;
      if (answer.status >= 500 || answer.status === 429) return null;
      if (answer.ok) return answer.json();
      return { is_done: false, problem: this.options.words.conflict + " (" + answer.status + ")" };
    }

    // One tab sends at a time, where the browser can say so; the server would bear two.
    send() {
      const work = () => this.flush();
      if (navigator.locks) return navigator.locks.request(this.name, { ifAvailable: true }, (lock) => lock && work());
      return work();
    }

    async flush() {
      if (this.isSending) return;
      this.isSending = true;
      try {
        if (!(await this.refresh())) return;
        await this.load();
        while (this.pending.length) {
          const operation = this.pending[0];
          const outcome = await this.deliver(operation);
          if (outcome === null) break;
          if (outcome.is_done) this.delivered.push(operation);
          else {
            const told = Object.assign({}, operation, { problem: outcome.problem, photo: null });
            await this.within("conflicts", "readwrite", (s) => s.put(told));
          }
          await this.within("outbox", "readwrite", (s) => s.delete(operation.serial));
          await this.load();
          this.options.changed();
        }
        await this.refresh();
        await this.load();
      } catch (error) {
        // No network: everything stays where it is, and is sent when there is one.
      } finally {
        this.isSending = false;
        this.tryAgain();
        this.options.changed();
      }
    }

    // A line that broke once is tried again soon, then less and less often.
    tryAgain() {
      const isStuck = this.pending.length > 0 && navigator.onLine && !this.isSignedOut;
      this.patience = isStuck ? Math.min(30, this.patience * 2) : 1;
      if (isStuck) setTimeout(() => this.send(), this.patience * 1000);
    }

    // Put the page and all that it is made of where the worker finds it without network: what was
    // loaded before the worker stood there did not pass by it.
    async stock() {
      const worker = await navigator.serviceWorker.ready;
      const cache = await caches.open("page " + worker.scope);
      const made = document.querySelectorAll("script[src], link[rel=stylesheet], link[rel=icon]");
      const parts = [...made].map((part) => part.src || part.href).concat(this.options.parts || []);
      await Promise.all(parts.map(async (part) => (await cache.match(part)) || cache.add(part)));
      const page = await fetch(location.href);
      if (!page.ok || page.redirected) return;
      await cache.put(new URL("page", worker.scope), page);
      this.isStocked = true;
      this.options.changed();
    }

    // Draw what the phone kept, send, and go on doing so; worker: the address of the service worker.
    async begin(worker) {
      if (navigator.serviceWorker) {
        navigator.serviceWorker.register(worker).then(() => this.stock()).catch(() => {});
      }
      if (navigator.storage && navigator.storage.persist) navigator.storage.persist();
      await this.load();
      this.options.changed();
      window.addEventListener("online", () => this.send());
      window.addEventListener("offline", () => this.options.changed());
      document.addEventListener("visibilitychange", () => { if (!document.hidden) this.send(); });
      setInterval(() => this.send(), 30000);
      await this.send();
    }
  }

  // Draw a photo smaller, then with less quality, until it is small enough; what is no picture goes as it is.
  Outbox.shrink = function (file) {
    return new Promise((resolve) => {
      const image = new Image();
      image.onerror = () => resolve(file);
      image.onload = () => {
        const longest = Math.max(image.width, image.height);
        const attempt = (side, quality) => {
          const factor = Math.min(1, side / longest);
          const canvas = document.createElement("canvas");
          canvas.width = Math.max(1, Math.round(image.width * factor));
          canvas.height = Math.max(1, Math.round(image.height * factor));
          canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
          canvas.toBlob((blob) => {
            if (blob && blob.size > MOST && side > 400) {
              if (quality > 0.5) attempt(side, quality - 0.12); else attempt(side * 0.75, 0.72);
            } else {
              URL.revokeObjectURL(image.src);
              resolve(blob || file);
            }
          }, "image/jpeg", quality);
        };
        attempt(1280, 0.72);
      };
      image.src = URL.createObjectURL(file);
    });
  };

  window.Outbox = Outbox;
})();
