"""Webhooks: systems outside are told of past facts by signed requests.

`note` is called with every fact that is written to the outbox, `deliver` by the worker.
"""

from dougong.webhooks import services  # noqa: F401 - declares them
from dougong.webhooks.delivery import TASK, deliver, note
from dougong.webhooks.signing import is_signed, sign

__all__ = ["TASK", "deliver", "is_signed", "note", "sign"]
