// A restaurant's menu by category; items go from here into the cart.

import * as api from "../api.js";
import * as cart from "../cart.js";
import { h } from "../dom.js";
import { money } from "../format.js";
import { poll } from "../poll.js";
import { nothing, problemBox, SOON, waiting } from "./problem.js";

/** Seconds between two looks at what is sold out. */
const REFRESH = 15;

export function menuView(page, id) {
  let restaurant = null;
  let items = null;
  let problem = null;
  let replacing = null; // The item for which the cart of another restaurant would have to go.

  const again = poll(async () => {
    try {
      [restaurant, items] = await Promise.all([
        api.getRestaurant(id, page.signal),
        api.getMenu(id, page.signal),
      ]);
      problem = null;
      if (cart.restaurant()?.id === restaurant.id && !cart.unsettled()) {
        const told = cart.reconcile(items);
        if (told.length) page.announce(told.join(" "));
      }
    } catch (caught) {
      problem = caught;
    }
    page.redraw();
    return problem ? SOON : REFRESH;
  }, page.signal);

  function choose(item) {
    if (cart.unsettled()) {
      page.announce("The last order is not settled yet. Settle it in the cart first.");
    } else if (cart.belongsTo(restaurant)) {
      put(item);
    } else {
      replacing = item;
      page.redraw();
      document.getElementById("replace").showModal();
    }
  }

  function put(item) {
    cart.add(restaurant, item);
    page.announce(`${item.name} is in the cart.`);
  }

  function replaced(event) {
    if (event.target.returnValue === "replace") put(replacing);
  }

  function body() {
    if (!items) return problem ? problemBox(problem, again) : waiting("the menu");
    return [
      h("p", { class: "kind", key: "kind", dir: "auto" },
        [restaurant.cuisine, restaurant.address].filter(Boolean).join(" · ")),
      !restaurant.open &&
        h("p", { class: "notice", id: "closed", key: "closed" },
          "This restaurant is closed now. You can read the menu, but not order."),
      items.length === 0 && nothing("The menu is empty."),
      [...byCategory(items)].map(([name, group]) =>
        h("section", { key: `category ${name}`, class: "category" },
          h("h2", { dir: "auto" }, name || "Other"),
          h("ul", { class: "menu" }, group.map(row)),
        )),
      h("dialog", { id: "replace", "aria-labelledby": "replace-title", onclose: replaced },
        h("form", { method: "dialog" },
          h("h2", { id: "replace-title" }, "Start a new cart?"),
          h("p", null, `Your cart holds items of ${cart.restaurant()?.name ?? "another restaurant"}. `,
            "A cart belongs to one restaurant."),
          h("p", { class: "actions" },
            h("button", { value: "replace", id: "replace-yes", class: "primary" }, "Empty it and add"),
            h("button", { value: "keep", id: "replace-no" }, "Keep my cart")),
        ),
      ),
    ];
  }

  function row(item) {
    const possible = item.available && restaurant.open;
    return h("li", { class: "item", key: item.id, "data-item": item.id, "data-available": `${item.available}` },
      h("div", { class: "words" },
        h("h3", { dir: "auto" }, item.name),
        item.description && h("p", { dir: "auto" }, item.description)),
      h("p", { class: "price" }, money(item.price)),
      item.available
        ? h("button", { type: "button", class: "add", "data-add": item.id, disabled: !possible,
          "aria-label": `Add ${item.name} to the cart`, onclick: () => choose(item) }, "Add")
        : h("p", { class: "badge" }, "Sold out"),
    );
  }

  return {
    title: () => restaurant?.name ?? "Menu",
    draw: () => [
      h("p", { class: "back", key: "back" }, h("a", { href: "#/" }, "All restaurants")),
      h("h1", { id: "title", tabindex: -1, dir: "auto" }, restaurant?.name ?? "Menu"),
      body(),
    ],
  };
}

function byCategory(items) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(item.category)) groups.set(item.category, []);
    groups.get(item.category).push(item);
  }
  return groups;
}
