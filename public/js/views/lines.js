// The cart's lines, as the side of each page and the checkout show them.

import * as cart from "../cart.js";
import { h } from "../dom.js";
import { count, money } from "../format.js";
import { nothing } from "./problem.js";

/** What is in the cart, with buttons to change it unless an order of it is under way. */
export function cartLines(page) {
  const fixed = cart.unsettled() !== null;
  return [
    h("p", { class: "from", key: "from", dir: "auto" }, `From ${cart.restaurant().name}`),
    h("ul", { class: "lines", id: "cart-lines" }, cart.lines().map((line) => row(page, line, fixed))),
    h("p", { class: "total", key: "total" }, "Total ", h("strong", { id: "cart-total" }, money(cart.total()))),
  ];
}

function row(page, line, fixed) {
  const step = (by) => () => {
    cart.setQuantity(line.item_id, line.quantity + by);
    const left = cart.lines().find((one) => one.item_id === line.item_id);
    page.announce(left ? `${line.name}: ${left.quantity}.` : `${line.name} is removed.`);
    // The button that had the focus is gone with its line.
    if (!left) page.focus("#cart-title");
  };
  const button = (by, sign, label) =>
    h("button", { type: "button", class: "step", "data-step": by, "aria-label": label, "aria-disabled": fixed && "true",
      onclick: fixed ? null : step(by) }, sign);
  return h("li", { key: line.item_id, "data-line": line.item_id },
    h("span", { class: "name", dir: "auto" }, line.name, !line.available && h("em", null, " (sold out)")),
    h("span", { class: "steps" },
      button(-1, "−", line.quantity > 1 ? `One ${line.name} less` : `Remove ${line.name}`),
      h("span", { class: "quantity" }, line.quantity),
      button(1, "+", `One ${line.name} more`)),
    h("span", { class: "price" }, money(line.price * line.quantity)),
  );
}

/** The cart beside a page. */
export function cartBox(page) {
  return h("section", { class: "box", id: "cart", "aria-labelledby": "cart-title" },
    h("h2", { id: "cart-title", tabindex: -1 }, "Cart"),
    cart.size() === 0
      ? nothing("Nothing in it yet.")
      : [
        cartLines(page),
        h("p", { class: "actions", key: "actions" },
          h("a", { class: "button primary", id: "to-checkout", href: "#/checkout" },
            cart.unsettled() ? "Settle the order" : `Check out ${count(cart.size(), "item")}`)),
      ]);
}
