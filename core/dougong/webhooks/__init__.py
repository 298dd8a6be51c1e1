"""Webhooks: systems outside are told of past facts by signed requests.

`note` hears of every fact that is written to the outbox, `deliver` is called by the worker.
"""

from dougong import events
from dougong.events.queue import ROUNDS
from dougong.webhooks import services  # noqa: F401 - declares them
from dougong.webhooks.delivery import TASK, deliver, note
from dougong.webhooks.signing import is_signed, sign

if note not in events.LISTENERS:
    events.LISTENERS.append(note)
ROUNDS[TASK] = deliver
ROUNDS[TASK] = deliver

__all__ = ["TASK", "deliver", "is_signed", "note", "sign"]
