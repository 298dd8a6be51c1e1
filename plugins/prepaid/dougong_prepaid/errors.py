"""What can be wrong with prepaid energy."""

from dougong.errors import Conflict, Invalid


class NoTariff(Conflict):
    """No price of the energy applies today."""

    code = "prepaid.no_tariff"


class Markup(Invalid):
    """Energy is resold for more than the supplier takes."""

    code = "prepaid.markup"


class WrongCard(Conflict):
    """The card on the reader is not the one that is written."""

    code = "prepaid.wrong_card"
