"""Run with the interpreter of ``.peers/alipay``: does what the JSON on its input asks."""

import json
import sys

from alipay import AliPay

told = json.load(sys.stdin)
client = AliPay("2026000000000001", None, told["private"], told["public"], "RSA2")
json.dump(
    {
        "request": client.client_api(
            "alipay.trade.precreate",
            told["content"],
            notify_url="https://a.example/n?x=1&y=2",
        ),
        "verified": [
            client.verify(dict(each["fields"]), each["signature"]) for each in told["notices"]
        ],
    },
    sys.stdout,
)
