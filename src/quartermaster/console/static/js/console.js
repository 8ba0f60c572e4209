// What the console's pages do beyond HTML: keys, the dialog of keys, pausing the live panel, and
// telling screen readers about it. Everything works without this file except those.
(function () {
  "use strict";

  document.documentElement.classList.add("js");

  var SEQUENCE_MS = 1200; // time between the two keys of "g o"
  var ANNOUNCE_MS = 15000; // a screen reader must not be interrupted every two seconds
  var body = document.body;
  var paused = false;
  var announcedAt = 0;

  function keysDialog() {
    return document.getElementById("keys");
  }

  function openKeys() {
    var dialog = keysDialog();
    if (dialog && !dialog.open) dialog.showModal();
  }

  function setPaused(value) {
    var button = document.querySelector("[data-pause]");
    if (!button) return;
    paused = value;
    // The label says what pressing does next; a pressed state beside it would say it twice.
    button.toggleAttribute("data-paused", paused);
    button.textContent = paused ? button.dataset.pausedLabel : button.dataset.runningLabel;
  }

  document.addEventListener("click", function (event) {
    var target = event.target.closest("[data-open], [data-close], [data-pause]");
    if (!target) return;
    if (target.hasAttribute("data-open")) openKeys();
    if (target.hasAttribute("data-close")) keysDialog().close();
    if (target.hasAttribute("data-pause")) setPaused(!paused);
  });

  // A paused panel, and a page that nobody looks at, ask for nothing.
  document.addEventListener("htmx:before:request", function (event) {
    if (event.target.id === "live" && (paused || document.hidden)) event.preventDefault();
  });

  document.addEventListener("htmx:after:swap", function () {
    var sentence = document.querySelector("[data-sentence]");
    var region = document.querySelector("[data-announce]");
    if (!sentence || !region || Date.now() - announcedAt < ANNOUNCE_MS) return;
    if (region.textContent !== sentence.dataset.sentence) {
      region.textContent = sentence.dataset.sentence;
      announcedAt = Date.now();
    }
  });

  // On a phone the places are one line that scrolls: the page that is open stands in the middle.
  var here = document.querySelector(".places [aria-current]");
  if (here) {
    var line = here.parentElement;
    line.scrollLeft = here.offsetLeft - line.offsetLeft - (line.clientWidth - here.offsetWidth) / 2;
  }

  var PLACES = { o: "/", e: "/exposure", i: "/what-if", w: "/warning", c: "/capacity", r: "/report", l: "/traffic", b: "/budgets", s: "/standing", k: "/cases", h: "/help" };
  var goUntil = 0;

  function typing(element) {
    return element.closest("input, textarea, select, [contenteditable]") !== null;
  }

  document.addEventListener("keydown", function (event) {
    if (!body.hasAttribute("data-keys")) return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    var going = event.timeStamp < goUntil;
    goUntil = 0;
    if (going && PLACES[event.key]) {
      window.location.assign(PLACES[event.key]);
    } else if (event.key === "g") {
      goUntil = event.timeStamp + SEQUENCE_MS;
    } else if (event.key === "?") {
      openKeys();
    } else if (event.key === ".") {
      setPaused(!paused);
    } else if (event.key === "p") {
      window.print();
    } else {
      return;
    }
    event.preventDefault();
  });
})();
