"""What runs beside a card reader: it carries APDUs between the card and the server.

A browser does not reach PC/SC, so this does. It shows the card to the server, sends the card what
comes back, and shows it again until there is nothing left. It decides nothing, knows no key of a
card, listens on no port, and keeps nothing but the token that it was given.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click
import httpx

from card_desk.readers import CardError, PcscReader, Reader, SocketReader, ask

# ISO 7816-4: the application by its name, the two files below it, a number for the server to sign.
SELECT = bytes.fromhex("00A4040008") + b"DOUGONG1"
SERIAL, CONTENT = bytes.fromhex("00B0810008"), bytes.fromhex("00B0820048")
CHALLENGE = bytes.fromhex("0084000008")
ROUNDS = 4
PAUSE_S = 1.0
SERVER_WAIT_S = 20


@dataclass
class Desk:
    """One reader and the server that it works for. client: knows server and token already."""

    client: httpx.Client
    say: Callable[[str], None] = field(default=print)

    def serve(self, reader: Reader) -> bool:
        """Bring the card on the reader up to date; return whether it was read back as it should.

        Raises CardError when the card goes away meanwhile: put on again, it is brought to the end.
        """
        ask(reader, SELECT)
        serial = ask(reader, SERIAL).hex()
        for _ in range(ROUNDS):
            told = self._show(reader, serial)
            if told is None:
                return False
            if not told["apdus"]:
                self.say(f"{serial}: {told['says']}")
                return True
            for apdu in told["apdus"]:
                ask(reader, bytes.fromhex(apdu))
        self.say(f"{serial}: the card does not keep what is written")
        return False

    def _show(self, reader: Reader, serial: str) -> dict[str, Any] | None:
        """Return the server's orders for the card as it is now, None when it refuses the card."""
        card = {"serial": serial, "content": ask(reader, CONTENT).hex()}
        card["challenge"] = ask(reader, CHALLENGE).hex()
        answer = self.client.post("meter_card.present", json=card)
        told = answer.json()
        if answer.status_code >= 400:
            self.say(f"{serial}: {told.get('message') or told}")
            return None
        return dict(told["result"])


@click.command()
@click.option("--server", required=True, help="https://…/c/<community>/api/v1/prepaid/")
@click.option("--reader", default="pcsc", show_default=True, help="pcsc, or socket:PORT.")
def main(server: str, reader: str) -> None:
    """Serve a card reader. The environment variable DOUGONG_TOKEN holds the API token."""
    token = os.environ.get("DOUGONG_TOKEN", "")
    if not token:
        raise click.ClickException("DOUGONG_TOKEN is not set: dougong token issue …")
    kind, _, port = reader.partition(":")
    found = SocketReader(int(port or 0)) if kind == "socket" else PcscReader()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server, headers=headers, timeout=SERVER_WAIT_S) as client:
        desk = Desk(client, click.echo)
        while True:
            try:
                found.insert()
                desk.serve(found)
            except (CardError, httpx.HTTPError) as error:
                click.echo(str(error), err=True)
            time.sleep(PAUSE_S)
