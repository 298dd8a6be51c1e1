"""A meter that takes meter cards, for tests; the card itself is `card_desk.virtual_card`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from card_desk.virtual_card import VirtualCard
from dougong_prepaid.meter_card import read


@dataclass
class CardMeter:
    """A meter with a card slot: it adds what a card has more than it has taken so far.

    keys: of the cards that it lets in, by serial number.
    """

    account_id: UUID
    keys: Mapping[bytes, bytes]
    taken: Decimal = Decimal(0)

    def take(self, card: VirtualCard) -> Decimal:
        """Return the yuan that a card brings; nothing for one that is foreign, torn or old."""
        key = self.keys.get(bytes(card.serial))
        if key is None:
            return Decimal(0)
        found = read(key, self.account_id, bytes(card.content))
        if not found.has_head or found.slot is None or found.slot.total <= self.taken:
            return Decimal(0)
        more, self.taken = found.slot.total - self.taken, found.slot.total
        return more
