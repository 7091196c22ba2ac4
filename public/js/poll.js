// Asking again and again, but only while somebody can see the answer.

/**
 * Run `step` now and then repeatedly, until `signal` aborts.
 *
 * `step` resolves to the seconds until its next turn, or `null` to end. A hidden page rests; coming
 * back to it, or coming back online, ends the wait. Returns a function that ends the wait as well.
 */
export function poll(step, signal) {
  let wake = () => {};
  (async () => {
    while (!signal.aborted) {
      const seconds = document.hidden ? Infinity : await step();
      if (seconds === null || signal.aborted) return;
      await new Promise((resolve) => {
        wake = untilTurn(seconds, signal, resolve);
      });
    }
  })();
  return () => wake();
}

function untilTurn(seconds, signal, resolve) {
  const over = new AbortController();
  const end = () => {
    clearTimeout(timer);
    over.abort();
    resolve();
  };
  const timer = seconds === Infinity ? undefined : setTimeout(end, seconds * 1000);
  const options = { signal: over.signal };
  document.addEventListener("visibilitychange", () => document.hidden || end(), options);
  window.addEventListener("online", end, options);
  signal.addEventListener("abort", end, options);
  return end;
}

/** Wait, in seconds. */
export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
