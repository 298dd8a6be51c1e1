// Serves pages without network: those below the worker's address that were opened before, and what
// they are made of. What was done there is kept by the page in its own store, never here. Each
// worker has a cache of its own.
"use strict";
const CACHE = "page " + self.registration.scope;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

async function fresh(request, path) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    // A redirect leads to the sign-in page: never keep that as the page; nor a photo.
    const isPage = (answer.headers.get("content-type") || "").startsWith("text/html");
    if (answer.ok && !answer.redirected && isPage) {
      await cache.put("page", answer.clone());
      await cache.put(path, answer.clone());
    } else if (answer.status === 403 || answer.status === 404) {
      await cache.delete(path);
    }
    return answer;
  } catch (error) {
    const kept = await cache.match(path) || await cache.match("page");
    if (kept) return kept;
    throw error;
  }
}

async function kept(request) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(request);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (event.request.mode === "navigate") event.respondWith(fresh(event.request, url.pathname + url.search));
  else if (/^\/([a-z_]+\/)?static\//.test(url.pathname)) event.respondWith(kept(event.request));
});
