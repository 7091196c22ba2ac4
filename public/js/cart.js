// The cart: what is chosen at one restaurant, and the attempt to order it. Both outlive a reload.

import { money } from "./format.js";

const STORED_AS = "shop.cart";

const EMPTY = { restaurant: null, lines: [], attempt: null };

/** The most of one item that a line holds. */
const MOST = 99;

const listeners = new Set();
let state = stored();

/** Call `listener` after each change, in this tab or in another one. */
export const onCart = (listener) => listeners.add(listener);

window.addEventListener("storage", (event) => {
  if (event.key !== STORED_AS && event.key !== null) return;
  state = stored();
  for (const listener of listeners) listener();
});

function stored() {
  try {
    return { ...EMPTY, ...JSON.parse(localStorage.getItem(STORED_AS)) };
  } catch {
    return EMPTY; // Storage is forbidden or spoilt: the cart then lives as long as the page.
  }
}

function change(changes) {
  state = { ...state, ...changes };
  try {
    localStorage.setItem(STORED_AS, JSON.stringify(state));
  } catch {
    // As above.
  }
  for (const listener of listeners) listener();
}

/** The restaurant that the cart belongs to, `{id, name}`, or null. */
export const restaurant = () => state.restaurant;

/** The chosen items: `{item_id, name, price, quantity, available}`. */
export const lines = () => state.lines;

export const total = () => state.lines.reduce((sum, line) => sum + line.price * line.quantity, 0);

export const size = () => state.lines.reduce((sum, line) => sum + line.quantity, 0);

/** The order that was sent and whose outcome is unknown, or null. The cart must not change meanwhile. */
export const unsettled = () => state.attempt?.order ?? null;

/** Whether an item of `other` may go in beside what is there. */
export const belongsTo = (other) => !state.lines.length || state.restaurant.id === other.id;

/** Put one `item` of `owner` in; the cart is emptied first if it belongs to another restaurant. */
export function add(owner, item) {
  const kept = belongsTo(owner) ? state.lines : [];
  const found = kept.find((line) => line.item_id === item.id);
  const lines = found
    ? kept.map((line) => (line === found ? { ...line, quantity: bounded(line.quantity + 1) } : line))
    : [...kept, { item_id: item.id, name: item.name, price: item.price, quantity: 1, available: true }];
  change({ restaurant: { id: owner.id, name: owner.name }, lines });
}

/** Set how many of an item are wanted; none removes it. */
export function setQuantity(item_id, quantity) {
  const lines = state.lines
    .map((line) => (line.item_id === item_id ? { ...line, quantity: bounded(quantity) } : line))
    .filter((line) => line.quantity > 0);
  change(lines.length ? { lines } : EMPTY);
}

const bounded = (quantity) => Math.max(0, Math.min(MOST, quantity));

/** Compare with the restaurant's menu of now; returns a sentence for each difference. */
export function reconcile(items) {
  const told = [];
  const lines = state.lines.map((line) => {
    const item = items.find((candidate) => candidate.id === line.item_id);
    const available = item?.available ?? false;
    const price = item?.price ?? line.price;
    if (line.available && !available) told.push(`${line.name} is sold out.`);
    if (price !== line.price) told.push(`${line.name} now costs ${money(price)}.`);
    return { ...line, price, available };
  });
  if (JSON.stringify(lines) !== JSON.stringify(state.lines)) change({ lines });
  return told;
}

/** Make the key under which the next order goes, unless there is one. Done when the checkout opens. */
export function openAttempt() {
  if (!state.attempt) change({ attempt: { key: randomKey(), order: null } });
}

/** Remember `order` as sent, for as long as its outcome is unknown; returns its key. */
export function send(order) {
  openAttempt();
  change({ attempt: { ...state.attempt, order } });
  return state.attempt.key;
}

/** The order was refused, or is given up: the next one gets a key of its own. */
export const settle = () => change({ attempt: null });

/** The order is placed, or not wanted any more. */
export const empty = () => change(EMPTY);

/** A random UUID; `crypto.randomUUID` is missing where a page comes without TLS from afar. */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
