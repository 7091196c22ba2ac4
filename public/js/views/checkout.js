// The checkout: a name, a note, and one order, however often it has to be sent.

import * as api from "../api.js";
import * as cart from "../cart.js";
import { h } from "../dom.js";
import { money } from "../format.js";
import { cartLines } from "./lines.js";
import { nothing, problemBox } from "./problem.js";

const FIELDS = [
  { name: "customer_name", label: "Your name", autocomplete: "name", tag: "input", maxlength: 200 },
  { name: "note", label: "Note for the kitchen", autocomplete: "off", tag: "textarea", maxlength: 2000 },
];

export function checkoutView(page) {
  const draft = { customer_name: "", note: "", ...cart.unsettled() };
  let changes = []; // What is different from when the items were put in.
  let progress = "";
  let problem = null;
  let sending = false;

  if (cart.size() > 0 && !cart.unsettled()) {
    cart.openAttempt();
    compare();
  }

  async function compare() {
    try {
      const items = await api.getMenu(cart.restaurant().id, page.signal);
      if (cart.unsettled()) return;
      changes = cart.reconcile(items);
      page.redraw();
    } catch {
      // Only a courtesy: the server compares again when the order comes.
    }
  }

  function written() {
    const order = {
      restaurant_id: cart.restaurant().id,
      items: cart.lines().map(({ item_id, quantity }) => ({ item_id, quantity })),
    };
    for (const { name } of FIELDS) if (draft[name].trim()) order[name] = draft[name].trim();
    return order;
  }

  async function submit(event) {
    event.preventDefault();
    if (sending) return;
    sending = true;
    problem = null;
    progress = "Placing the order …";
    const order = cart.unsettled() ?? written();
    const key = cart.send(order);
    try {
      const placed = await api.placeOrder(order, key, repeat);
      cart.empty();
      page.announce("The order is placed.");
      page.go(`#/orders/${placed.id}`);
    } catch (caught) {
      problem = caught;
      if (problem.final) cart.settle();
    }
    sending = false;
    progress = "";
    if (problem && !page.signal.aborted) page.focus("[aria-invalid], #trouble");
    else page.redraw();
  }

  function repeat(trouble, turn, turns) {
    progress = `${trouble.title}. Trying again (${turn} of ${turns}); it will not be ordered twice.`;
    page.redraw();
  }

  function giveUp() {
    cart.settle();
    problem = null;
    page.focus("#title");
  }

  function field({ name, label, autocomplete, tag, maxlength }) {
    const error = problem?.errors.find((one) => one.pointer?.endsWith(`/${name}`));
    return h("p", { class: "field", key: name },
      h("label", { for: name }, label, h("span", { class: "optional" }, " (optional)")),
      h(tag, {
        id: name, name, autocomplete, maxlength, value: draft[name], readonly: cart.unsettled() !== null,
        "aria-invalid": error && "true", "aria-describedby": error && `${name}-error`,
        oninput: (input) => { draft[name] = input.target.value; },
      }),
      error && h("span", { class: "error", id: `${name}-error` }, error.detail),
    );
  }

  function trouble() {
    if (!problem) return null;
    return h("div", { id: "trouble", tabindex: -1 },
      problemBox(problem),
      !problem.final &&
        h("p", { key: "unknown" },
          "It is not known whether the order arrived. Placing it again is safe: it is the same order, ",
          "and will not be made twice."));
  }

  function body() {
    if (cart.size() === 0) {
      return nothing("Your cart is empty. ", h("a", { href: "#/" }, "Choose a restaurant"), ".");
    }
    const open = cart.unsettled() !== null && !sending;
    return [
      changes.length > 0 &&
        h("ul", { class: "notice", id: "changes", role: "status" }, changes.map((text) => h("li", null, text))),
      open && !problem &&
        h("p", { class: "notice", key: "open", id: "unsettled" },
          "This order was sent, and its answer never came. Place it again to learn what became of it: ",
          "it will not be made twice."),
      h("section", { class: "box", key: "lines", "aria-labelledby": "cart-title" },
        h("h2", { id: "cart-title", tabindex: -1 }, "Items"), cartLines(page)),
      h("form", { id: "checkout", novalidate: true, onsubmit: submit },
        FIELDS.map(field),
        trouble(),
        h("p", { class: "progress", id: "progress", role: "status" }, progress),
        h("p", { class: "actions", key: "actions" },
          h("button", { id: "place", class: "primary", "aria-disabled": sending && "true" },
            open ? "Place it again" : `Place order · ${money(cart.total())}`),
          open && h("button", { type: "button", id: "give-up", onclick: giveUp }, "Change it instead")),
        open &&
          h("p", { class: "hint", key: "hint" }, "If you change it, look at ",
            h("a", { href: "#/orders" }, "the orders"), " first: the one sent may have arrived."),
      ),
    ];
  }

  return {
    title: () => "Checkout",
    draw: () => [h("h1", { id: "title", tabindex: -1 }, "Checkout"), body()],
  };
}
