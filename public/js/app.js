// The page around the views: which view an address opens, and what stands beside all of them.

import { onTraffic, traffic } from "./api.js";
import * as cart from "./cart.js";
import { h, render } from "./dom.js";
import { checkoutView } from "./views/checkout.js";
import { cartBox } from "./views/lines.js";
import { menuView } from "./views/menu.js";
import { notificationsBox } from "./views/notifications.js";
import { orderView } from "./views/order.js";
import { ordersView } from "./views/orders.js";
import { restaurantsView } from "./views/restaurants.js";

/** The first that fits wins; its group is the view's second argument. */
const ROUTES = [
  [/^(?:#\/?)?$/, restaurantsView],
  [/^#\/restaurants\/([^/]+)$/, menuView],
  [/^#\/checkout$/, checkoutView],
  [/^#\/orders$/, ordersView],
  [/^#\/orders\/([^/]+)$/, orderView],
];

const NAV = [["#/", "Restaurants"], ["#/orders", "Orders"], ["#/checkout", "Cart"]];

const part = (id) => document.getElementById(id);
const always = new AbortController().signal;

let view = null;
let leaving = new AbortController();
let drawing = false;

/** What a view gets: ways to redraw, to move the focus, to speak and to go elsewhere; and its end. */
const pageUntil = (signal) => ({
  signal,
  redraw,
  focus,
  announce,
  go: (hash) => { if (!signal.aborted) location.hash = hash; },
});

const aside = pageUntil(always);
const notifications = notificationsBox(aside);

function open() {
  leaving.abort();
  leaving = new AbortController();
  const first = view === null;
  view = viewOf(location.hash, pageUntil(leaving.signal));
  draw();
  if (first) return;
  window.scrollTo(0, 0);
  part("title").focus({ preventScroll: true });
}

function viewOf(hash, page) {
  for (const [pattern, make] of ROUTES) {
    const found = pattern.exec(hash);
    if (!found) continue;
    try {
      return make(page, ...found.slice(1).map(decodeURIComponent));
    } catch (error) {
      if (error instanceof URIError) return lost();
      throw error;
    }
  }
  return lost();
}

function lost() {
  return {
    title: () => "Not found",
    draw: () => [
      h("h1", { id: "title", tabindex: -1 }, "There is no such page"),
      h("p", null, h("a", { href: "#/" }, "Go to the restaurants"), "."),
    ],
  };
}

/** Draw soon; many calls in a row draw once. */
function redraw() {
  if (drawing) return;
  drawing = true;
  queueMicrotask(draw);
}

function draw() {
  drawing = false;
  document.title = `${view.title()} · Shop`;
  const atCheckout = location.hash === "#/checkout";
  render(part("nav"), NAV.map(navLink));
  render(part("connection"), trouble());
  render(part("view"), view.draw());
  render(part("aside"), !atCheckout && cartBox(aside), notifications.draw());
  render(part("footer"), servedBy());
}

function navLink([hash, label]) {
  const here = location.hash === hash || (hash === "#/" && location.hash === "");
  const number = hash === "#/checkout" && cart.size() > 0 && ` (${cart.size()})`;
  return h("a", { key: hash, href: hash, "aria-current": here && "page" }, label, number);
}

function trouble() {
  if (!navigator.onLine) return "You are offline. The page goes on when the connection is back.";
  if (!traffic.problem) return "";
  return `${traffic.problem.title}. Trying again …`;
}

function servedBy() {
  const tally = [...traffic.tally].sort(([one], [other]) => one.localeCompare(other));
  const nobody = tally.length ? "No answer now" : "No answer yet";
  return [
    h("p", { id: "served-by", class: "badge", "data-backend": traffic.servedBy ?? "" },
      traffic.servedBy ? `Answered by ${traffic.servedBy}` : nobody),
    h("ul", { id: "tally", "aria-label": "Answers so far" },
      tally.map(([name, times]) => h("li", { key: name, "data-backend": name }, `${name} ${times}`))),
  ];
}

/** Move the focus to what the next drawing shows. */
function focus(selector) {
  redraw();
  queueMicrotask(() => document.querySelector(selector)?.focus());
}

function announce(text) {
  // The same words twice in a row are spoken only if the region was empty between.
  part("announcer").textContent = "";
  setTimeout(() => { part("announcer").textContent = text; });
}

onTraffic(redraw);
cart.onCart(redraw);
window.addEventListener("hashchange", open);
window.addEventListener("online", redraw);
window.addEventListener("offline", redraw);
part("skip").addEventListener("click", (event) => {
  event.preventDefault();
  part("view").focus();
});
open();
