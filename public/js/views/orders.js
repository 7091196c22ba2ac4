// All orders, the newest first.

import * as api from "../api.js";
import { h } from "../dom.js";
import { moment, money } from "../format.js";
import { poll } from "../poll.js";
import { nothing, problemBox, SOON, waiting } from "./problem.js";

/** Seconds between two looks. */
const REFRESH = 5;

export function ordersView(page) {
  let orders = null;
  let older = false; // Whether there are more than these.
  let problem = null;

  const again = poll(async () => {
    try {
      const answer = await api.getOrders(page.signal);
      orders = answer.orders;
      older = answer.next !== null;
      problem = null;
    } catch (caught) {
      problem = caught;
    }
    page.redraw();
    return problem ? SOON : REFRESH;
  }, page.signal);

  function body() {
    if (!orders) return problem ? problemBox(problem, again) : waiting("the orders");
    if (!orders.length) return nothing("No order yet. ", h("a", { href: "#/" }, "Choose a restaurant"), ".");
    return [
      h("ul", { class: "cards", id: "orders" }, orders.map(card)),
      older && h("p", { class: "hint", key: "older" }, `These are the newest ${orders.length}.`),
    ];
  }

  return {
    title: () => "Orders",
    draw: () => [h("h1", { id: "title", tabindex: -1 }, "Orders"), body()],
  };
}

function card(order) {
  return h("li", { class: "card", key: order.id, "data-order": order.id, "data-status": order.status },
    h("h2", null, h("a", { href: `#/orders/${order.id}`, dir: "auto" }, order.restaurant_name)),
    h("p", null, `${moment(order.created_at)} · ${money(order.total)}`),
    order.customer_name && h("p", { dir: "auto" }, `For ${order.customer_name}`),
    h("p", { class: `badge ${order.status}` }, order.status),
  );
}
