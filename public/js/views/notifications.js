// What happened to orders lately: a list, and a word to those who cannot see it change.

import * as api from "../api.js";
import { h } from "../dom.js";
import { clock, count } from "../format.js";
import { poll } from "../poll.js";
import { nothing } from "./problem.js";

/** Seconds between two looks. */
const REFRESH = 3;

/** How many are kept on the page. */
const KEPT = 20;

/** More than this at once are announced as a number. */
const SPOKEN = 2;

export function notificationsBox(page) {
  let after = null; // The number of the last one seen; null before the first answer.
  let kept = [];

  poll(async () => {
    try {
      const { notifications, last } = await api.getNotifications(after, page.signal);
      // A number that fell is a store that was made anew: what we hold is about other orders.
      if (after !== null && last < after) {
        [after, kept] = [null, []];
        return 0;
      }
      kept = [...notifications.toReversed(), ...kept].slice(0, KEPT);
      if (after !== null) speak(notifications);
      after = last;
      page.redraw();
      return REFRESH;
    } catch {
      return REFRESH; // The page tells of the trouble already.
    }
  }, page.signal);

  function speak(fresh) {
    if (fresh.length > SPOKEN) page.announce(count(fresh.length, "new update"));
    else if (fresh.length) page.announce(fresh.map((one) => one.message).join(" "));
  }

  return {
    draw: () =>
      h("section", { class: "box", id: "updates", "aria-labelledby": "updates-title" },
        h("h2", { id: "updates-title" }, "Updates"),
        kept.length
          ? h("ol", { class: "updates", id: "notifications" }, kept.map(row))
          : nothing("Nothing has happened yet.")),
  };
}

function row(one) {
  return h("li", { key: one.seq, "data-seq": one.seq, "data-status": one.status },
    h("a", { href: `#/orders/${one.order_id}`, dir: "auto" }, one.message),
    h("time", { datetime: one.created_at }, clock(one.created_at)));
}
