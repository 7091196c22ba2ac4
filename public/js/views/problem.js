// How a problem document and a wait read on the page.

import { h } from "../dom.js";

/** Seconds until a view that has a problem asks again. */
export const SOON = 3;

/** A `problem` in words; `again`, if given, is what its button does. */
export function problemBox(problem, again) {
  const reference = [
    problem.status ? `Status ${problem.status}` : null,
    problem.requestId ? `request ${problem.requestId}` : null,
  ].filter(Boolean);
  // The reference stands outside the alert: it differs each time, which is not worth reading aloud.
  return h("section", { class: "problem", key: "problem", "data-status": problem.status },
    h("div", { role: "alert" },
      h("h2", null, problem.title),
      problem.detail && h("p", null, problem.detail),
      problem.errors.length > 0 &&
        h("ul", null, problem.errors.map((error) => h("li", null, error.detail))),
    ),
    reference.length > 0 && h("p", { class: "reference" }, reference.join(", ")),
    again && h("button", { type: "button", id: "again", onclick: again }, "Try again"),
    again && problem.passing && h("p", { class: "hint" }, "The page also tries by itself."),
  );
}

/** What stands where something is being fetched. */
export const waiting = (what) => h("p", { class: "waiting", key: "waiting" }, `Loading ${what} …`);

/** What stands where there is nothing. */
export const nothing = (...words) => h("p", { class: "nothing", key: "nothing" }, ...words);
