// The list of restaurants, with a search.

import * as api from "../api.js";
import { h } from "../dom.js";
import { poll } from "../poll.js";
import { nothing, problemBox, SOON, waiting } from "./problem.js";

/** Seconds between two looks at who is open. */
const REFRESH = 10;

export function restaurantsView(page) {
  let restaurants = null;
  let problem = null;
  let words = "";

  const again = poll(async () => {
    try {
      restaurants = await api.getRestaurants(page.signal);
      problem = null;
    } catch (caught) {
      problem = caught;
    }
    page.redraw();
    return problem ? SOON : REFRESH;
  }, page.signal);

  function body() {
    if (!restaurants) return problem ? problemBox(problem, again) : waiting("the restaurants");
    if (!restaurants.length) return nothing("There is no restaurant yet.");
    const found = restaurants.filter((one) =>
      `${one.name} ${one.cuisine}`.toLowerCase().includes(words.trim().toLowerCase()));
    return [
      h("p", { class: "field", key: "search" },
        h("label", { for: "search" }, "Search by name or cuisine"),
        h("input", { id: "search", type: "search", autocomplete: "off", value: words, oninput: search }),
      ),
      found.length
        ? h("ul", { class: "cards", id: "restaurants" }, found.map(card))
        : nothing(`No restaurant fits “${words.trim()}”.`),
    ];
  }

  function search(event) {
    words = event.target.value;
    page.redraw();
  }

  return {
    title: () => "Restaurants",
    draw: () => [h("h1", { id: "title", tabindex: -1 }, "Restaurants"), body()],
  };
}

function card(one) {
  return h("li", { class: "card restaurant", key: one.id, "data-restaurant": one.id, "data-open": `${one.open}` },
    h("h2", null, h("a", { href: `#/restaurants/${one.id}`, dir: "auto" }, one.name)),
    one.cuisine && h("p", { key: "kind", class: "kind", dir: "auto" }, one.cuisine),
    one.address && h("p", { key: "address", class: "address", dir: "auto" }, one.address),
    h("p", { class: one.open ? "badge good" : "badge" }, one.open ? "Open" : "Closed"),
  );
}
