// Refreshes the page's main part when the server says that something on it has changed.
"use strict";
(() => {
  const main = () => document.getElementById("main");
  let stale = false;
  // Since when it is being fetched, and whether it has to be fetched again then: htmx takes no trigger until what it has
  // fetched is settled. It tells of each end; a page must not wait for ever for one that was not told.
  let since = -Infinity, again = false;
  const LONGEST = 10_000;
  document.addEventListener("htmx:beforeRequest", () => since = performance.now());
  const done = () => {
    since = -Infinity;
    if (again) refresh();
  };
  document.addEventListener("htmx:afterSettle", done);
  document.addEventListener("htmx:afterRequest", ({ detail }) => detail.successful || done());
  const refresh = () => {
    // A page with a form for changes stays as it is.
    if (!main().dataset.live) return;
    again = performance.now() - since < LONGEST;
    if (again) return;
    // What is typed, and where a key's user is, stays until it is left.
    const active = document.activeElement;
    stale = active !== main() && main().contains(active);
    if (!stale) htmx.trigger(main(), "strand:changed");
  };
  document.addEventListener("focusout", () => stale && setTimeout(refresh, 0));
  // Services come and go without a change in etcd, and times go on.
  setInterval(() => document.visibilityState === "visible" && refresh(), 15_000);
  // After a connection that was lost, what happened meanwhile is not known.
  let opened = false;
  const listen = () => {
    const events = new EventSource("/events");
    events.addEventListener("changed", (event) => {
      const topics = JSON.parse(event.data), wanted = JSON.parse(main().dataset.live ?? "[]");
      if (
        topics.includes("all") || wanted.includes("all") || topics.some((topic) => wanted.includes(topic))
      ) refresh();
    });
    events.addEventListener("open", () => {
      if (opened) refresh();
      opened = true;
    });
    // A browser tries again by itself, unless it was refused because too many pages are open.
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 30_000);
    });
  };
  listen();
})();
