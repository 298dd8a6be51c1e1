"""What can be wrong with a renovation."""

from dougong.errors import Conflict, NotAllowed


class WrongState(Conflict):
    """The renovation does not stand where this could be done."""

    code = "wrong_state"


class NotYours(NotAllowed):
    """The actor has no part in this renovation."""

    code = "not_yours"


class Objected(Conflict):
    """Another plugin objects to the step."""

    code = "objected"
