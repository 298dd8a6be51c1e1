"""Invoices of Tryton 8.2, set up as its own scenarios do: the peer of bench/tryton.py.

Usage: python tryton_invoices.py <database URI> <database> <worker: yes or no>, in an environment
with trytond_account_invoice. Fills the empty database: currency, company, chart of accounts, fiscal
year, four services, a payment term and parties. Then reads a number of invoices from each line of
standard input, creates as many drafts of four lines and posts them, and answers with a line of
JSON: lines, seconds of drafting and of posting, and of CPU of this process for both.

What is measured is what the server does for a client's two calls, create and post, with the records
of the whole batch in each: no network, no client. With a worker the printed form of each invoice,
which Tryton makes when it posts, is left in the queue; without one, which is trytond's default, it
is made before the call returns.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from subprocess import run
from typing import Any

# What bench/tryton.py bills: by area, two fixed sums, by area again; the quantity is the area.
LINES = ((80.5, "2.35"), (1, "2.35"), (1, "2.35"), (80.5, "2.55"))
MODULES = "account_invoice"
PARTIES = 200


@dataclass(frozen=True)
class Known:
    """What invoices are made of: user, context, an invoice's values, parties with an address."""

    user: int
    context: dict[str, Any]
    values: dict[str, Any]
    addresses: list[tuple[int, int]]


def configure(home: Path, uri: str, worker: str) -> None:
    """Write trytond's configuration and let this process and its tools read it."""
    (home / "trytond.conf").write_text(
        f"[database]\nuri = {uri}\n[queue]\nworker = {worker == 'yes'}\n"
    )
    (home / "password").write_text("a-long-enough-password-for-a-bench\n")
    os.environ |= {
        "TRYTOND_CONFIG": str(home / "trytond.conf"),
        "TRYTONPASSFILE": str(home / "password"),
    }


def make_database(name: str) -> None:
    """Let trytond's own tool make the tables and activate the modules."""
    tool = Path(sys.executable).with_name("trytond-admin")
    words = ["-d", name, "--all", "--email", "bench@example.org"]
    run([tool, *words], check=True, stdout=sys.stderr)
    words = ["-d", name, "-u", MODULES, "--activate-dependencies"]
    run([tool, *words], check=True, stdout=sys.stderr)


def set_up(name: str) -> Known:
    """Make what invoices need through proteus, Tryton's client library, and read a form filled in.

    The values of the form are those that a client sends: defaults and what follows from party and
    product included, so that no call of the form is measured.
    """
    import proteus
    from trytond.modules.account.tests import tools as account
    from trytond.modules.account_invoice.tests import tools as invoicing
    from trytond.modules.company.tests import tools as company

    config = proteus.config.set_trytond(name)
    company.create_company(currency="cny")
    account.create_chart()
    year = invoicing.set_fiscalyear_invoice_sequences(account.create_fiscalyear())
    year.click("create_period")
    term = invoicing.create_payment_term()
    term.save()
    party_model = proteus.Model.get("party.party")
    parties = [party_model(name=f"Party {number}") for number in range(PARTIES)]
    party_model.save(parties)
    invoice = proteus.Model.get("account.invoice")(type="out")
    invoice.party, invoice.payment_term = parties[0], term
    for (quantity, price), product in zip(LINES, services(account.get_accounts()), strict=True):
        line = invoice.lines.new(product=product)
        line.quantity, line.unit_price = quantity, Decimal(price)
    values = invoice._get_values()
    addresses = [(party.id, party.addresses[0].id) for party in parties]
    return Known(config.user, dict(config.context), values, addresses)


def services(accounts: dict[str, Any]) -> list[Any]:
    """Make a service for each line of an invoice."""
    import proteus

    category = proteus.Model.get("product.category")(name="Fees", accounting=True)
    category.account_revenue, category.account_expense = accounts["revenue"], accounts["expense"]
    category.save()
    (unit,) = proteus.Model.get("product.uom").find([("name", "=", "Square meter")])
    found = []
    for number, (_, price) in enumerate(LINES):
        template = proteus.Model.get("product.template")(name=f"Fee {number}", type="service")
        template.default_uom, template.list_price = unit, Decimal(price)
        template.account_category = category
        template.save()
        found.append(template.products[0])
    return found


class Server:
    """Does in the server what the two calls of a client do, each in a transaction."""

    def __init__(self, name: str, known: Known) -> None:
        from trytond.pool import Pool

        self.name, self.known = name, known
        self.invoice = Pool(name).get("account.invoice")

    def call(self, work: Callable[[], Any]) -> Any:
        """Do a call in a transaction as trytond's dispatcher does, what it queued included.

        It begins again with the rows locked that the call asks for on its way.
        """
        from trytond.transaction import Transaction, TransactionError
        from trytond.worker import run_task

        more: dict[str, Any] = {"context": dict(self.known.context)}
        while True:
            with Transaction().start(self.name, self.known.user, **more) as transaction:
                try:
                    result = work()
                except TransactionError as error:
                    transaction.rollback()
                    error.fix(more)
                    continue
                transaction.commit()
            while transaction.tasks:
                run_task(self.name, transaction.tasks.pop())
            return result

    def bill(self, count: int) -> dict[str, float]:
        """Draft and post invoices; return their lines and what they took."""
        values = []
        for number in range(count):
            party, address = self.known.addresses[number % PARTIES]
            values.append({**self.known.values, "party": party, "invoice_address": address})
        cpu, began = time.process_time(), time.perf_counter()
        ids = self.call(lambda: [invoice.id for invoice in self.invoice.create(values)])
        drafted = time.perf_counter()
        self.call(lambda: self.invoice.post(self.invoice.browse(ids)))
        posted = time.perf_counter()
        spent = {"draft_s": drafted - began, "post_s": posted - drafted}
        spent["cpu_s"] = time.process_time() - cpu
        return {"lines": self.call(lambda: self.check(ids)), **spent}

    def check(self, ids: list[int]) -> int:
        """Return the lines of the invoices, all of which are posted and on a posted move."""
        invoices = self.invoice.browse(ids)
        assert {i.state for i in invoices} == {i.move.state for i in invoices} == {"posted"}
        return sum(len(invoice.lines) for invoice in invoices)


def main() -> None:
    uri, name, worker = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tryton-") as home:
        configure(Path(home), uri, worker)
        make_database(name)
        server = Server(name, set_up(name))
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(server.bill(int(line))), flush=True)


if __name__ == "__main__":
    main()
