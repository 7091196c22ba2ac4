"""Place an order in a real browser while a backend is killed; prints what was seen.

A program of its own, because playwright's loop and pytest-twisted's reactor each want the main
greenlet. It tells the test what it may do next, one line each: `alone` when the killed backend may
come back, `together` when all of them may be killed. What it saw goes out as the last line: `seen`,
and a JSON object (`Seen`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import Any

import attrs
from playwright.sync_api import (
    ConsoleMessage,
    Page,
    Request,
    Route,
    expect,
    sync_playwright,
)

PATIENCE = 25_000.0
"""Milliseconds that the browser waits for what should come."""

PROVOKED = "Failed to load resource"
"""How the browser logs an answer that failed, as answers do here: the page has to bear it."""

FLAGS = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@attrs.define
class Seen:
    """What happened, in the words of the page and of the API.

    Attributes:
        killed: The backend that had the order, and died before the answer reached the page.
        keys: The idempotency key of each POST that the page sent.
        posted: The order's id in the answer that was lost.
        shown: The order's id that the page shows.
        statuses: What the page showed as the order's status, step by step.
        repeating: What the page said while it tried again.
        badge: Which backend the page named once the order was there.
        notified: The statuses of that order in the page's list of notifications, the newest first.
        orders: The ids of all orders afterwards.
        orders_from: Which backend told them.
        outage: What the page showed once no backend was left, and the status in it.
        errors: What the page logged as an error, but for answers that failed.
    """

    killed: str = ""
    keys: list[str] = attrs.Factory(list)
    posted: str = ""
    shown: str = ""
    statuses: list[str] = attrs.Factory(list)
    repeating: str = ""
    badge: str = ""
    notified: list[str] = attrs.Factory(list)
    orders: list[str] = attrs.Factory(list)
    orders_from: str = ""
    outage: tuple[str, str] = ("", "")
    errors: list[str] = attrs.Factory(list)


@attrs.define(slots=False)  # Playwright keeps a note on the owner of each method it calls.
class Shopper:
    """Somebody at the page, whom the answer to an order is not going to reach.

    Attributes:
        pids: The process of each backend, by the backend's name.
    """

    page: Page
    base: str
    pids: dict[str, int]
    seen: Seen = attrs.Factory(Seen)

    def watch(self) -> None:
        """Note errors and keys from here on."""
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.seen.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(PROVOKED):
            self.seen.errors.append(message.text)

    def _request(self, request: Request) -> None:
        if request.method == "POST":
            self.seen.keys.append(request.header_value("idempotency-key") or "")

    def fill_cart(self) -> None:
        """Choose two of one item and one of another, at the first restaurant that is open."""
        page = self.page
        page.goto(self.base)
        page.locator("[data-restaurant][data-open=true] a").first.click()
        add = page.locator("[data-add]:enabled")
        add.nth(0).click()
        add.nth(0).click()
        add.nth(1).click()
        expect(page.locator("#cart-lines .quantity")).to_have_text(["2", "1"])
        total = page.locator("#cart-total").inner_text()
        page.reload()
        expect(page.locator("#cart-total")).to_have_text(total)

    def order(self) -> None:
        """Place it; the backend that makes the order is killed before its answer arrives."""
        page, seen = self.page, self.seen
        page.locator("#to-checkout").click()
        page.locator("#customer_name").fill("Zoë")
        total = page.locator("#cart-total").inner_text()
        page.route("**/api/orders", self._lose_answer, times=1)
        page.locator("#place").click()
        progress = page.locator("#progress")
        expect(progress).to_contain_text("Trying again")
        seen.repeating = progress.inner_text()
        page.wait_for_url("**/#/orders/*")
        seen.shown = page.url.rpartition("/")[2]
        expect(page.locator("#order-total")).to_have_text(total)
        expect(page.locator("#cart")).to_contain_text("Nothing in it yet")

    def _lose_answer(self, route: Route) -> None:
        answer = route.fetch()
        self.seen.posted = str(answer.json()["id"])
        self.seen.killed = answer.headers["x-served-by"]
        os.kill(self.pids[self.seen.killed], signal.SIGKILL)
        route.abort("connectionreset")

    def follow(self) -> None:
        """See the order's first steps, in its own view and among the notifications."""
        page, seen = self.page, self.seen
        status = page.locator("#status")
        seen.statuses.append(status.get_attribute("data-status") or "")
        page.locator("#kitchen [data-status=accepted]").click()
        expect(status).to_have_attribute("data-status", "accepted")
        seen.statuses.append("accepted")
        link = f"a[href='#/orders/{seen.shown}']"
        mine = page.locator("#notifications li", has=page.locator(link))
        expect(mine).to_have_count(2)
        seen.notified = [one.get_attribute("data-status") or "" for one in mine.all()]
        seen.badge = page.locator("#served-by").inner_text()

    def count_orders(self) -> None:
        """Ask who is left for all orders."""
        answer = self.page.request.get(f"{self.base}api/orders")
        self.seen.orders = [str(order["id"]) for order in answer.json()["orders"]]
        self.seen.orders_from = answer.headers["x-served-by"]

    def see_return(self) -> None:
        """Wait until the page is answered by the backend that was dead."""
        tell("alone", self.seen.killed)
        badge = self.page.locator("#served-by")
        expect(badge).to_have_attribute("data-backend", self.seen.killed)

    def see_outage(self) -> None:
        """Wait until no backend is left: the page, served by the balancer itself, tells of it."""
        page = self.page
        tell("together")
        expect(page.locator("#connection")).to_contain_text("Trying again")
        page.goto(self.base)
        page.reload()
        problem = page.locator("main .problem")
        title = problem.locator("h2").inner_text()
        self.seen.outage = (title, problem.get_attribute("data-status") or "")


def tell(*words: str) -> None:
    """Say it to the test."""
    print(*words, flush=True)


def run(arguments: list[str]) -> Seen:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chromium", required=True, help="the browser's program")
    parser.add_argument("--base", required=True, help="the shop's address")
    parser.add_argument("--backend", action="append", required=True, metavar="NAME=PID")
    options: Any = parser.parse_args(arguments)
    pids = {name: int(pid) for name, _, pid in (one.partition("=") for one in options.backend)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=FLAGS, chromium_sandbox=os.geteuid() != 0
        )
        expect.set_options(timeout=PATIENCE)
        shopper = Shopper(browser.new_page(), options.base, pids)
        shopper.watch()
        for act in (
            shopper.fill_cart,
            shopper.order,
            shopper.follow,
            shopper.count_orders,
            shopper.see_return,
            shopper.see_outage,
        ):
            tell("now", act.__name__)  # Whoever waits for a line sees that it goes on.
            act()
        browser.close()
    return shopper.seen


if __name__ == "__main__":
    tell("seen", json.dumps(attrs.asdict(run(sys.argv[1:]))))
