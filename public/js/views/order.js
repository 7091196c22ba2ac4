// One order, as it goes from step to step.

import * as api from "../api.js";
import { h } from "../dom.js";
import { clock, moment, money } from "../format.js";
import { poll } from "../poll.js";
import { problemBox, SOON, waiting } from "./problem.js";

/** Seconds between two looks. */
const REFRESH = 2;

const STEPS = ["placed", "accepted", "preparing", "ready", "delivered"];

/** What the kitchen may do next, and how its buttons say it. */
const NEXT = {
  placed: [["accepted", "Accept"], ["cancelled", "Cancel"]],
  accepted: [["preparing", "Start preparing"], ["cancelled", "Cancel"]],
  preparing: [["ready", "Ready"]],
  ready: [["delivered", "Delivered"]],
  delivered: [],
  cancelled: [],
};

export function orderView(page, id) {
  let order = null;
  let seen = null; // When the order was last read.
  let problem = null;
  let refusal = null; // Why the kitchen's last button did nothing.
  let stepping = false;

  const again = poll(async () => {
    try {
      show(await api.getOrder(id, page.signal));
      problem = null;
    } catch (caught) {
      problem = caught;
    }
    page.redraw();
    return order && NEXT[order.status].length === 0 ? null : problem ? SOON : REFRESH;
  }, page.signal);

  function show(latest) {
    if (page.signal.aborted) return;
    if (order && order.status !== latest.status) page.announce(`The order is ${latest.status}.`);
    order = latest;
    seen = new Date();
  }

  async function step(status) {
    if (stepping) return;
    stepping = true;
    try {
      show(await api.setStatus(id, status));
      refusal = null;
    } catch (caught) {
      refusal = caught;
      again();
    }
    stepping = false;
    // Its button goes with the step: the focus stays beside where the next one is.
    if (!refusal && !page.signal.aborted) page.focus("#kitchen-title");
    else page.redraw();
  }

  function body() {
    if (!order) return problem ? problemBox(problem, again) : waiting("the order");
    return [
      h("p", { class: "kind", key: "about" }, h("span", { dir: "auto" }, order.restaurant_name),
        ` · ${moment(order.created_at)}`),
      progress(),
      h("p", { class: "hint", id: "freshness", "data-live": `${problem === null}` }, freshness()),
      h("section", { class: "box", key: "items" },
        h("h2", null, "Items"),
        h("ul", { class: "lines", id: "order-lines" }, order.items.map((item) =>
          h("li", { key: item.item_id, "data-item": item.item_id },
            h("span", { class: "name", dir: "auto" }, item.name),
            h("span", { class: "quantity" }, `× ${item.quantity}`),
            h("span", { class: "price" }, money(item.price * item.quantity))))),
        h("p", { class: "total" }, "Total ", h("strong", { id: "order-total" }, money(order.total))),
        order.customer_name && h("p", { key: "name", dir: "auto" }, `For ${order.customer_name}`),
        order.note && h("p", { key: "note", dir: "auto" }, `Note: ${order.note}`)),
      kitchen(),
    ];
  }

  function freshness() {
    if (problem) return `Reconnecting. This was so at ${clock(seen)}.`;
    return NEXT[order.status].length ? `Live, seen at ${clock(seen)}.` : "Nothing more will happen to it.";
  }

  function progress() {
    if (order.status === "cancelled") {
      return h("p", { class: "notice", id: "status", "data-status": "cancelled" }, "This order is cancelled.");
    }
    const reached = STEPS.indexOf(order.status);
    return h("ol", { class: "progress-steps", id: "status", "data-status": order.status },
      STEPS.map((name, index) =>
        h("li", { key: name, class: index <= reached ? "done" : "", "aria-current": index === reached && "step" },
          name, h("span", { class: "unseen" }, index <= reached ? " (reached)" : " (to come)"))));
  }

  function kitchen() {
    const next = NEXT[order.status];
    return h("section", { class: "box", id: "kitchen", "aria-labelledby": "kitchen-title" },
      h("h2", { id: "kitchen-title", tabindex: -1 }, "Kitchen"),
      next.length
        ? h("p", { class: "actions" }, next.map(([status, label]) =>
          h("button", { type: "button", key: status, "data-status": status, onclick: () => step(status) }, label)))
        : h("p", null, "There is nothing left to do."),
      refusal && problemBox(refusal));
  }

  return {
    title: () => `Order ${id}`,
    draw: () => [
      h("p", { class: "back", key: "back" }, h("a", { href: "#/orders" }, "All orders")),
      h("h1", { id: "title", tabindex: -1 }, `Order ${id}`),
      body(),
    ],
  };
}
