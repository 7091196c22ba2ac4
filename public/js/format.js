// How values read on the page.

const CURRENCY = "EUR";

const moneyFormat = new Intl.NumberFormat("en", { style: "currency", currency: CURRENCY });
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const momentFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** A price in minor units, as people write it. */
export const money = (minor) => moneyFormat.format(minor / 100);

/** The time of day of a `Date` or of the API's timestamp. */
export const clock = (when) => clockFormat.format(new Date(when));

/** The day and the time of the API's timestamp. */
export const moment = (when) => momentFormat.format(new Date(when));

/** A count with its noun: "1 item", "2 items". */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
