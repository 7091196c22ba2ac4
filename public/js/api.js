// The shop's API: requests, problem documents, and a record of which backend answered.

import { pause } from "./poll.js";

/** Seconds without an answer after which a request counts as lost. */
const PATIENCE = 20;

/** Seconds before each repeat of an order whose outcome is unknown. */
const REPEATS = [0.5, 1, 2, 4];

/** The longest `Retry-After` that is obeyed, in seconds. */
const LONGEST_WAIT = 10;

/** A request that did not succeed: a problem document (RFC 9457), or the lack of any answer. */
export class Problem extends Error {
  constructor({ status, title, detail = "", errors = [], requestId = "", retryAfter = null }) {
    super(title);
    Object.assign(this, { status, title, detail, errors, requestId, retryAfter });
  }

  /** Whether the same request may well succeed a little later. */
  get passing() {
    const toldToWait = [409, 425, 429].includes(this.status) && this.retryAfter !== null;
    return [0, 408, 502, 503, 504].includes(this.status) || toldToWait;
  }

  /** Whether the server has decided: then a repeat of this request would be told the same. */
  get final() {
    return this.status >= 400 && this.status < 500 && !this.passing;
  }
}

/** What the footer tells: who answered last, how often each did, and the trouble there is now. */
export const traffic = { servedBy: null, tally: new Map(), problem: null };

const listeners = new Set();

/** Call `listener` after each answer. */
export const onTraffic = (listener) => listeners.add(listener);

function record(servedBy, problem) {
  traffic.servedBy = servedBy;
  traffic.problem = problem;
  if (servedBy) traffic.tally.set(servedBy, (traffic.tally.get(servedBy) ?? 0) + 1);
  for (const listener of listeners) listener();
}

async function request(method, path, { body, key, signal } = {}) {
  const headers = { Accept: "application/json, application/problem+json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const limit = AbortSignal.timeout(PATIENCE * 1000);
  let response, content;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    content = await read(response);
  } catch (error) {
    // The view that asked is gone: nobody wants the answer, and nothing was wrong.
    if (signal?.aborted) throw error;
    const problem = new Problem({
      status: 0,
      title: "The shop cannot be reached",
      detail: "There was no answer. The connection or the server is down.",
    });
    record(null, problem);
    throw problem;
  }
  const problem = response.ok ? null : problemOf(response, content);
  record(response.headers.get("X-Served-By") ?? "the balancer", problem?.passing ? problem : null);
  if (problem) throw problem;
  return content;
}

/** The body as a value; null if it is not JSON, which only an error's may be. */
async function read(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    if (response.ok) throw error;
    return null;
  }
}

function problemOf(response, document) {
  const wait = Number.parseFloat(response.headers.get("Retry-After"));
  return new Problem({
    status: response.status,
    title: document?.title ?? `The server answered ${response.status}`,
    detail: document?.detail ?? undefined,
    errors: document?.errors ?? undefined,
    requestId: document?.requestId ?? response.headers.get("X-Request-Id") ?? undefined,
    retryAfter: Number.isNaN(wait) ? null : Math.min(wait, LONGEST_WAIT),
  });
}

const one = (path, id) => `${path}/${encodeURIComponent(id)}`;

export const getRestaurants = async (signal) =>
  (await request("GET", "/api/restaurants", { signal })).restaurants;

export const getRestaurant = (id, signal) => request("GET", one("/api/restaurants", id), { signal });

export const getMenu = async (id, signal) =>
  (await request("GET", `${one("/api/restaurants", id)}/menu`, { signal })).items;

/** The newest orders, and `next` if there are older ones. */
export const getOrders = (signal) => request("GET", "/api/orders", { signal });

export const getOrder = (id, signal) => request("GET", one("/api/orders", id), { signal });

export const setStatus = (id, status) =>
  request("PATCH", `${one("/api/orders", id)}/status`, { body: { status } });

/** What follows the number `after`; if that is null, the newest there are. */
export const getNotifications = (after, signal) =>
  request("GET", after === null ? "/api/notifications" : `/api/notifications?after=${after}`, { signal });

/**
 * Place an order, and repeat it with the same key while its outcome is unknown.
 *
 * `onRepeat(problem, turn, turns)` hears of each repeat before its wait. Throws the last `Problem`.
 */
export async function placeOrder(order, key, onRepeat) {
  for (let turn = 0; ; turn += 1) {
    try {
      return await request("POST", "/api/orders", { body: order, key });
    } catch (problem) {
      if (!problem.passing || turn === REPEATS.length) throw problem;
      onRepeat(problem, turn + 1, REPEATS.length);
      await pause(Math.max(REPEATS[turn], problem.retryAfter ?? 0));
    }
  }
}
