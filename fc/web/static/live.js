// Keeps a page current. Everything works without this: it only saves reloading.
"use strict";
(() => {
  const body = document.body;
  const pulse = document.getElementById("pulse");
  const announce = document.getElementById("announce");
  const sources = [];
  let version = body.dataset.version;
  let fetching = false;
  let again = false;

  const say = (state, text) => {
    if (!pulse) return;
    pulse.hidden = false;
    pulse.dataset.state = state;
    pulse.textContent = text;
  };

  // Times -------------------------------------------------------------------------------------------------------

  const units = [[31536000, "y"], [2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  const coarse = (seconds) => {
    const [size, unit] = units.find(([size]) => seconds >= size) || [1, "s"];
    return `${Math.floor(seconds / size)} ${unit}`;
  };

  const exact = (seconds) => {
    if (seconds < 1) return "< 1 s";
    const steps = units.slice(2);
    const index = steps.findIndex(([size]) => seconds >= size);
    const [size, unit] = steps[index];
    const next = steps[index + 1];
    const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
    return `${Math.floor(seconds / size)} ${unit}` + (rest ? ` ${rest} ${next[1]}` : "");
  };

  const tick = () => {
    const now = Date.now();
    for (const element of document.querySelectorAll("time.elapsed")) {
      element.textContent = exact(Math.max(0, (now - Date.parse(element.dataset.since)) / 1000));
    }
    for (const element of document.querySelectorAll("time[datetime]")) {
      const seconds = (now - Date.parse(element.dateTime)) / 1000;
      const words = coarse(Math.abs(seconds));
      element.textContent = Math.abs(seconds) < 5 ? "just now" : seconds > 0 ? `${words} ago` : `in ${words}`;
    }
  };

  // The page ----------------------------------------------------------------------------------------------------

  // Swap every live part that differs. What was opened stays open, what had the focus keeps it.
  const swap = (fresh) => {
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = document.getElementById(part.id);
      if (!old || old.outerHTML === part.outerHTML) continue;
      for (const detail of old.querySelectorAll("details[id]")) {
        const twin = part.querySelector(`#${CSS.escape(detail.id)}`);
        if (twin) twin.open = detail.open;
      }
      const focused = old.contains(document.activeElement) ? document.activeElement : null;
      const place = focused && [...old.querySelectorAll("a, summary, input, button")].indexOf(focused);
      const mark = focused && focused.getAttribute("href");
      old.replaceWith(document.adoptNode(part));
      if (focused) {
        const candidates = [...part.querySelectorAll("a, summary, input, button")];
        const target = (mark && candidates.find((one) => one.getAttribute("href") === mark)) || candidates[place];
        if (target) target.focus({ preventScroll: true });
      }
    }
    if (fresh.title !== document.title) document.title = fresh.title;
    const state = fresh.body.dataset.state;
    if (state && state !== body.dataset.state) {
      body.dataset.state = state;
      if (announce) announce.textContent = state;
    }
    version = fresh.body.dataset.version || version;
    tick();
  };

  const refresh = async () => {
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    const began = performance.now();
    try {
      const response = await fetch(location.pathname + location.search, { cache: "no-cache", headers: { Accept: "text/html" } });
      if (response.ok) swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    } catch {
      // The next event, or the stream's own reconnection, tries again.
    }
    fetching = false;
    if (again) {
      again = false;
      // A page that is slow to make is asked for less often.
      setTimeout(refresh, Math.max(300, 3 * (performance.now() - began)));
    }
  };

  const follow = () => {
    const topic = body.dataset.topic;
    if (!topic) return null;
    const source = new EventSource(`/events?topic=${encodeURIComponent(topic)}&seen=${encodeURIComponent(version)}`);
    source.addEventListener("open", () => say("live", "Live"));
    source.addEventListener("error", () => say("away", "Reconnecting…"));
    source.addEventListener("error", () => comeBack(source));
    source.addEventListener("change", (event) => {
      if (JSON.parse(event.data) !== version) refresh();
    });
    return source;
  };

  // The log -----------------------------------------------------------------------------------------------------

  const most = 5000; // lines kept on the page; older ones are in the whole log

  const box = document.getElementById("log-lines");
  const bounded = box && !box.classList.contains("full");
  if (bounded && !location.hash) box.scrollTop = box.scrollHeight;

  const stream = () => {
    if (!box || !box.dataset.stream) return null;
    const toggle = document.getElementById("follow");
    if (toggle && !toggle.dataset.wired) {
      toggle.dataset.wired = "yes";
      toggle.parentElement.hidden = !box.childElementCount;
      box.addEventListener("scroll", () => {
        toggle.checked = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
      }, { passive: true });
      toggle.addEventListener("change", () => {
        if (toggle.checked) box.scrollTop = box.scrollHeight;
      });
    }
    const source = new EventSource(`${box.dataset.stream}${encodeURIComponent(box.dataset.cursor)}`);
    source.addEventListener("lines", (event) => {
      const stay = toggle && toggle.checked;
      const fragment = document.createDocumentFragment();
      for (const [number, html] of JSON.parse(event.data)) {
        const line = document.createElement("div");
        line.className = "l";
        line.id = `L${number}`;
        const link = document.createElement("a");
        link.href = `${box.dataset.link}${number}#L${number}`;
        link.dataset.n = number;
        link.setAttribute("aria-label", `Line ${number}`);
        const text = document.createElement("span");
        text.innerHTML = html; // escaped by the server, colours as classes
        line.append(link, text);
        fragment.append(line);
      }
      box.append(fragment);
      while (box.childElementCount > most) box.firstElementChild.remove();
      box.dataset.cursor = event.lastEventId;
      const empty = document.getElementById("log-empty");
      if (empty) empty.remove();
      if (toggle) toggle.parentElement.hidden = false;
      if (stay) box.scrollTop = box.scrollHeight;
    });
    source.addEventListener("error", () => comeBack(source));
    source.addEventListener("reset", () => box.replaceChildren());
    source.addEventListener("end", () => {
      source.close();
      delete box.dataset.stream;
      const empty = document.getElementById("log-empty");
      if (empty) empty.textContent = "There was no output.";
      refresh();
    });
    return source;
  };

  // A lost stream comes back by itself; one that was refused does not.
  let returning = 0;
  const comeBack = (source) => {
    if (source.readyState !== EventSource.CLOSED || returning) return;
    returning = setTimeout(() => {
      returning = 0;
      disconnect();
      if (!document.hidden) connect();
    }, 5000);
  };

  // A hidden page holds no connection: browsers allow only few to one host.
  const connect = () => {
    for (const start of [follow, stream]) {
      const source = start();
      if (source) sources.push(source);
    }
  };
  const disconnect = () => {
    for (const source of sources.splice(0)) source.close();
  };
  document.addEventListener("visibilitychange", () => {
    disconnect();
    if (!document.hidden) connect();
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => {
    if (event.persisted) connect();
  });
  tick();
  setInterval(tick, 1000);
  connect();
})();
