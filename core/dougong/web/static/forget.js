// Nobody is signed in on this device: what pages kept for who was goes. What he did and could not
// send, or has not finished, stays in his own store, is counted, and goes on when he is back.
(function () {
  "use strict";
  const LIST = "dougong outboxes";
  if (window.caches) caches.keys().then((names) => names.forEach((name) => caches.delete(name)));
  if (!window.indexedDB) return;

  // Take out of one store what was only shown; return how much is left in it.
  function sifted(name) {
    return new Promise((resolve) => {
      const asked = indexedDB.open(name);
      asked.onupgradeneeded = () => asked.transaction.abort();
      asked.onerror = (event) => { event.preventDefault(); resolve(0); };
      asked.onsuccess = () => {
        const store = asked.result;
        const work = store.transaction(["outbox", "conflicts", "kept"], "readwrite");
        const kept = work.objectStore("kept");
        ["orders", "page"].forEach((each) => kept.delete(each));
        const counts = ["outbox", "conflicts", "kept"].map((each) => work.objectStore(each).count());
        const end = (left) => { store.close(); resolve(left); };
        work.oncomplete = () => end(counts.reduce((sum, each) => sum + each.result, 0));
        work.onabort = () => end(1);
      };
    });
  }

  let names = [];
  try { names = JSON.parse(localStorage.getItem(LIST)) || []; } catch (error) { return; }
  Promise.all(names.map(sifted)).then((left) => {
    names.filter((name, at) => !left[at]).forEach((name) => indexedDB.deleteDatabase(name));
    localStorage.setItem(LIST, JSON.stringify(names.filter((name, at) => left[at])));
    const count = left.reduce((sum, each) => sum + each, 0);
    const told = document.querySelector("[data-unsent]");
    told.hidden = !count;
    told.querySelector("[data-count]").textContent = count;
  });
})();
