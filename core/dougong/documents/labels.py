"""Sheets of labels: a QR code with its readable code, 24 to an A4 page."""

from collections.abc import Sequence
from dataclasses import dataclass

from dougong.documents.codes import qr_image


@dataclass(frozen=True)
class Label:
    """One label. url: what the code opens; code: the same for human eyes, with check digit."""

    url: str
    code: str
    title: str
    note: str = ""


@dataclass(frozen=True)
class Sheet:
    """The geometry of a label sheet in millimetres; the default is 3 × 8 labels of 70 × 36."""

    columns: int = 3
    rows: int = 8
    width_mm: float = 70
    height_mm: float = 36
    left_mm: float = 0
    top_mm: float = 4.5

    @property
    def per_page(self) -> int:
        return self.columns * self.rows

    def position(self, number: int) -> tuple[float, float]:
        """Return how far the label with this number on its page lies from left and top, in mm."""
        row, column = divmod(number, self.columns)
        return self.left_mm + column * self.width_mm, self.top_mm + row * self.height_mm


@dataclass(frozen=True)
class PlacedLabel:
    """A label with its place on the page and its code as an image."""

    label: Label
    left_mm: float
    top_mm: float
    image: str


def label_pages(labels: Sequence[Label], sheet: Sheet | None = None) -> list[list[PlacedLabel]]:
    """Return the labels page by page, each at its absolute position.

    Absolute positions, because a wrapping grid takes five times as long and cuts a label at the
    foot of the page.
    """
    sheet = sheet or Sheet()
    pages: list[list[PlacedLabel]] = []
    for number, label in enumerate(labels):
        place = number % sheet.per_page
        if place == 0:
            pages.append([])
        left, top = sheet.position(place)
        pages[-1].append(PlacedLabel(label, left, top, qr_image(label.url)))
    return pages
