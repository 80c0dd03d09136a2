"""`shop/checkout`: a workflow that orders, has paid and sends, and takes back what was done when a step fails.

    python -m taskrpc_executors.checkout http://127.0.0.1:8080

A shop in memory stands for the systems that a real one would call. Each of its operations is told the order that it is
about and does its work once for it, since a task can be carried out again when its executor is lost.
"""

import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

from taskrpc import Client, Executor, Task, TaskRpcError, Workflow

CHECKOUT: Final = "shop/checkout"
# A refused card stays refused: the workflow decides what follows, at once. Sending may be tried again.
DEFINITIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    CHECKOUT: {"kind": "workflow", "description": "Order, pay, send"},
    "shop/order": {"allowedRetryCount": 1},
    "shop/pay": {"allowedRetryCount": 1},
    "shop/send": {"allowedRetryCount": 3, "retryDelay": 100},
    "shop/refund": {"allowedRetryCount": 10, "retryDelay": 1000},
    "shop/restock": {"allowedRetryCount": 10, "retryDelay": 1000},
}


def checkout(workflow: Workflow) -> None:
    """Goes through its steps from the first on, whenever something has happened; what was done is not done again."""
    about = {"order": workflow.id}
    order = workflow.execute("shop/order", {**about, "goods": workflow.params["goods"]}, "order")
    if not order.done:
        return
    if not order.succeeded:
        workflow.fail({"step": "order", "error": order.error})
        return
    payment = workflow.execute("shop/pay", {**about, **order.result, "card": workflow.params["card"]}, "pay")
    if not payment.done:
        return
    if not payment.succeeded:
        _take_back(workflow, "pay", payment.error, {"restock": about})
        return
    parcel = workflow.execute("shop/send", {**about, "address": workflow.params["address"]}, "send")
    if not parcel.done:
        return
    if not parcel.succeeded:
        _take_back(workflow, "send", parcel.error, {"refund": about, "restock": about})
        return
    workflow.complete({**order.result, **payment.result, **parcel.result})


def _take_back(workflow: Workflow, step: str, error: Any, undoing: Mapping[str, Mapping[str, Any]]) -> None:
    """Undoes, side by side, what the steps before have done; then the workflow fails with the error of the step."""
    undone = [workflow.execute(f"shop/{name}", params, name) for name, params in undoing.items()]
    if all(activity.done for activity in undone):
        left = [activity.label for activity in undone if not activity.succeeded]
        workflow.fail({"step": step, "error": error} | ({"left": left} if left else {}))


class Shop:
    """Goods with their prices and how many are left, payments and parcels by order."""

    def __init__(self, prices: Mapping[str, int], stock: Mapping[str, int]) -> None:
        self.prices = dict(prices)
        self.stock = dict(stock)
        self.orders: dict[str, dict[str, int]] = {}
        self.payments: dict[str, int] = {}
        self.parcels: dict[str, str] = {}
        self._lock = threading.Lock()

    def register(self, executor: Executor, concurrency: int = 4) -> None:
        """Let `executor` decide about checkouts and do their steps."""
        executor.workflow(CHECKOUT, concurrency=concurrency)(checkout)
        for step in (self.order, self.pay, self.send, self.refund, self.restock):
            executor.task(f"shop/{step.__name__}", concurrency=concurrency)(step)

    def order(self, task: Task) -> dict[str, int]:
        """Sets goods aside: `{order, goods: {name: count}}`; the result is `{total}`."""
        goods: dict[str, int] = task.params["goods"]
        with self._lock:
            if task.params["order"] not in self.orders:
                missing = [name for name, count in goods.items() if self.stock.get(name, 0) < count]
                if missing:
                    raise TaskRpcError("sold-out", f"There is not enough of {', '.join(missing)}")
                for name, count in goods.items():
                    self.stock[name] -= count
                self.orders[task.params["order"]] = goods
        return {"total": sum(self.prices[name] * count for name, count in goods.items())}

    def pay(self, task: Task) -> dict[str, int]:
        """Takes money: `{order, total, card}`; the result is `{paid}`. A card that starts with 0 is refused."""
        if task.params["card"].startswith("0"):
            raise TaskRpcError("card-refused", "The bank refuses this card")
        with self._lock:
            self.payments[task.params["order"]] = task.params["total"]
        return {"paid": task.params["total"]}

    def send(self, task: Task) -> dict[str, str]:
        """Sends a parcel: `{order, address}`; the result is `{parcel}`. Nothing is sent to nowhere."""
        if not task.params["address"]:
            raise TaskRpcError("no-address", "There is nobody to send the parcel to")
        with self._lock:
            self.parcels[task.params["order"]] = task.params["address"]
        return {"parcel": f"parcel of {task.params['order']}"}

    def refund(self, task: Task) -> None:
        """Gives the money of an order back."""
        with self._lock:
            self.payments.pop(task.params["order"], None)

    def restock(self, task: Task) -> None:
        """Puts the goods of an order back."""
        with self._lock:
            for name, count in self.orders.pop(task.params["order"], {}).items():
                self.stock[name] += count


def define(client: Client) -> None:
    """Tell the service about retries of the checkout's steps."""
    for name, fields in DEFINITIONS.items():
        client.definition_put(name, fields)


def main(url: str) -> None:
    """Serve checkouts until SIGTERM or SIGINT."""
    with Client(url) as client:
        define(client)
    executor = Executor(url)
    Shop({"tea": 500, "pot": 2900}, {"tea": 100, "pot": 3}).register(executor)
    executor.run()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
