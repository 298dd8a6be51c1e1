"""A package of the shelf from its source to a running product, asked over a real socket.

It is built, signed, listed, installed and switched on; then its server fails, and then it is gone.

``make gate-shelf``; not part of the suite, since building a package takes its time.
"""

import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.acceptance.conftest import ROOT
from tests.acceptance.test_repairs import community

SAID = {"category": "doors_windows", "urgency": "urgent", "reason": "门禁铰链脱落"}
PATIENCE_S = 180


@contextmanager
def language_model():
    """Serve an endpoint as OpenAI's; yield its address, what was asked, and what it answers."""
    asked, answer = [], {"status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            content = json.dumps(SAID, ensure_ascii=False)
            body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
            self.send_response(answer["status"])
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked, answer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.timeout(1800)
def test_llm_triage_is_built_installed_and_asked_and_reports_go_on_without_it(
    product, visit, tmp_path
):
    place = re.search(r"/c/([0-9a-f-]{36})", visit("owner").open("/").url).group(1)
    installed(product, place, tmp_path)
    with language_model() as (url, asked, answer):
        with community(product, place) as scope:
            from dougong_llm_triage.models import Endpoint

            from dougong.services import create

            create(scope, Endpoint, {"url": url, "model": "small", "api_key": "k"})
        judged = eventually(product, place, reported(product, place))
        assert judged[:2] == ("doors_windows", "urgent")
        assert SAID["reason"] in judged[2]
        assert "13800138000" not in json.dumps(asked, ensure_ascii=False)
        answer["status"], before = 500, len(asked)
        order = reported(product, place)
        until(lambda: len(asked) > before)
        assert seen(product, place, order)[:2] == own_judgement()
    order = reported(product, place)
    assert seen(product, place, order)[:2] == own_judgement()
    assert "llm_triage" not in product.run("plugin", "repairs")


def installed(product, place, folder):
    """Build, sign, list, install and switch on the package, as `make plugin-repo` begins it."""
    key = folder / "keys/maker.pem"
    product.run("plugin", "key", str(key), "--owner", "Dougong", "--role", "index")
    product.run("plugin", "trust", f"{key}.pub")
    for name in ("llm_triage", "lost_property"):
        source = str(ROOT / "plugin_repo" / name)
        product.run("plugin", "build", source, "--out", str(folder / "dist"), "--key", str(key))
    product.run("plugin", "index", "build", str(folder / "dist"), "--key", str(key))
    product.run("plugin", "index", "update", str(folder / "dist"))
    said = product.run("plugin", "install", "llm_triage", "--from", str(folder / "dist"))
    assert "llm_triage" in said
    product.run("plugin", "enable", "llm_triage", "--community", place)


def reported(product, place):
    """Report something that the product's own model calls plumbing; return the order's id."""
    from dougong_repairs.services import create_work_order

    with community(product, place) as scope:
        return create_work_order(scope, "厨房水龙头滴水，电话13800138000").id


def own_judgement():
    return ("plumbing", "normal")


def seen(product, place, order):
    from dougong_repairs.models import WorkOrder

    with community(product, place) as scope:
        found = scope.get(WorkOrder, order)
        return found.category.value, found.urgency.value, found.triage_reason or ""


def eventually(product, place, order):
    """Return what an order looks like once the second opinion is in."""
    until(lambda: SAID["reason"] in seen(product, place, order)[2])
    return seen(product, place, order)


def until(is_true):
    end = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.2)
