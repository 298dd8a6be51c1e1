"""Run with the interpreter of ``.peers/dlt645``: the package's server, or its client once.

Usage: devices_dlt645_peer.py serve | read <port> <address>
"""

import sys
import time


def serve():
    from dlt645 import MeterServerService

    server = MeterServerService.new_tcp_server("127.0.0.1", 0, 3000)
    # The package puts an address on the wire in display order: give it the bytes reversed.
    server.set_address(bytes.fromhex("202600000161")[::-1])
    server.set_00(0x00010000, 123456.78)
    server.set_02(0x02010100, 220.4)
    if not server.start():
        sys.exit(2)
    print(server.server.port, flush=True)
    time.sleep(60)


def read(port, address):
    from dlt645 import MeterClientService

    client = MeterClientService.new_tcp_client("127.0.0.1", port, 5)
    # The package reverses nothing: the same trick as above.
    client.set_address("".join(reversed([address[i : i + 2] for i in range(0, 12, 2)])))
    client.connect()
    for item in (client.read_00(0x00010000), client.read_02(0x02010100)):
        print(item.value, flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else read(int(sys.argv[2]), sys.argv[3])
