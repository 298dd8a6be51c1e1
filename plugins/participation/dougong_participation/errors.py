"""What can be wrong with taking part."""

from dougong.errors import Conflict, NotAllowed


class WrongState(Conflict):
    """The complaint, notice or questionnaire does not stand where this could be done."""

    code = "wrong_state"


class NotYours(NotAllowed):
    """The actor is nobody of this community, or the record is another's."""

    code = "not_yours"
