"""The errors that Dougong raises on purpose.

A message is an English msgid with ``%(name)s`` parameters; whoever shows it translates it
(`dougong.i18n.translate_error`). Callers match classes, never texts.
"""

from collections.abc import Mapping
from typing import Any


class Sayable(Exception):
    """What a person can be told: a message with parameters, a code, an HTTP status."""

    status = 500
    code = "error"

    def __init__(self, message: str, /, **parameters: Any) -> None:
        self.message = message
        self.parameters = parameters
        super().__init__(message)

    def __str__(self) -> str:
        try:
            return self.message % self.parameters if self.parameters else self.message
        except (KeyError, ValueError):
            return self.message


class DougongError(Sayable):
    """Something went otherwise than asked: what happened, in words of the trade."""


class StepUpRequired(Sayable):
    """The actor may do it, once he has shown again that it is he.

    No DougongError: a page that shows errors in place must not catch it, for the answer is another
    page, which asks for the proof and repeats the request.
    """

    status = 403
    code = "step_up_required"


class NotFound(DougongError):
    """The thing is not there, or not visible from here; both look the same on purpose."""

    status = 404
    code = "not_found"


class NotAllowed(DougongError):
    """The actor may see it and may not do it."""

    status = 403
    code = "not_allowed"


class OwnRequest(NotAllowed):
    """Nobody decides what he asked for himself."""

    code = "own_request"


class Invalid(DougongError):
    """The input is wrong. ``fields`` maps a field's name to the message about it."""

    status = 422
    code = "invalid"

    def __init__(
        self, message: str, /, *, fields: Mapping[str, str] | None = None, **parameters: Any
    ) -> None:
        super().__init__(message, **parameters)
        self.fields = dict(fields or {})


class Conflict(DougongError):
    """The state of things does not allow it now; nothing was changed."""

    status = 409
    code = "conflict"


class DeviceError(DougongError):
    """A device did not do what was asked, or nobody can tell whether it did."""

    status = 503
    code = "device"
