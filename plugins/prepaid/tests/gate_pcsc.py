"""The same desk over PC/SC: pcscd, its virtual reader (vpcd) and pyscard; as root on Debian with
``pcscd``, ``vsmartcard-vpcd`` and ``python3-pyscard``. Run by ``make gate-cards``."""

import shutil
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from card_desk.readers import CardError, PcscReader
from dougong_prepaid import meter_card as layout

from .test_meter_cards import card, desk, held, sell, states

__all__ = ["card", "desk"]
VPCD_PORT, PATIENCE_S = 35963, 20
DEBIAN = Path("/usr/lib/python3/dist-packages/smartcard")


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """A pcscd of our own; pyscard as Debian has it, where it is not installed beside us."""
    if shutil.which("pcscd") is None or not (DEBIAN.exists() or "smartcard" in sys.modules):
        pytest.skip("needs pcscd, vsmartcard-vpcd and python3-pyscard")
    (tmp_path / "smartcard").symlink_to(DEBIAN)
    monkeypatch.syspath_prepend(str(tmp_path))
    with subprocess.Popen(["pcscd", "--foreground"]) as process:
        yield
        process.terminate()


def patiently(act):
    """Return what an act returns once it no longer raises CardError."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except (CardError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def test_a_card_is_topped_up_through_pcsc(installation, dormitory, desk, card, daemon):
    sell(installation, dormitory, "50", "card-key-1")
    patiently(lambda: card.put_on(VPCD_PORT))
    reader = patiently(PcscReader)
    patiently(reader.insert)
    assert desk[0].serve(reader)
    reader.remove()
    patiently(reader.insert)
    assert desk[0].serve(reader)
    assert (card.updates, held(dormitory, card)) == (2, layout.Slot(1, Decimal(50)))
    assert states(installation, dormitory) == [(Decimal(50), "written")]
