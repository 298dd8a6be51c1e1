"""Run with the interpreter of ``.peers/wechatpayv3``: does what the JSON on its input asks."""

import json
import sys

from wechatpayv3 import utils

told = json.load(sys.stdin)
key = utils.load_private_key(told["private"])
public = utils.load_public_key(told["public"])
json.dump(
    {
        "signature": utils.rsa_sign(key, told["message"]),
        "authorization": utils.build_authorization(
            told["path"], "POST", "1600000001", "ABCDEF", key, told["body"]
        ),
        "verified": [
            utils.rsa_verify(
                each["timestamp"], each["nonce"], each["body"], each["signature"], public
            )
            for each in told["sealed"]
        ],
        "decrypted": [
            utils.aes_decrypt(r["nonce"], r["ciphertext"], r["associated_data"], told["notice_key"])
            for r in told["resources"]
        ],
    },
    sys.stdout,
)
