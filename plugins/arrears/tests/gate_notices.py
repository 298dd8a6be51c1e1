"""The gate for notices: 500 demands in under three minutes on two cores, none over 50 KB.

Run it with ``make gate-notices``; too long for every run of the suite, so its name hides it there.
"""

import io
import json
import sys
import time
import zipfile
from datetime import timedelta

from dougong.db.scope import Actor
from dougong.testing.factories import make_place
from dougong_arrears import services
from dougong_arrears.domain import NoticeKind
from dougong_arrears.services import notices

from .conftest import publish

COUNT, MOST_S, MOST_KB = 500, 180, 50


def test_five_hundred_demands_are_printed_in_three_minutes(installation):
    place = make_place(installation, rooms=COUNT)
    with installation.scope(Actor.system(), community=place.community_id) as scope:
        for months in range(1, 10):
            publish(scope, place, f"{months} 个月前", scope.today - timedelta(days=30 * months))
        pay_by_on = scope.today + timedelta(days=15)
        run = services.start_notices(scope, NoticeKind.DEMANDS, pay_by_on)
        begun = time.monotonic()
        services.print_notices(scope, run)
        taken = time.monotonic() - begun
        content = b"".join(notices.file_of(scope, run))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = [entry.file_size for entry in archive.infolist()]
    figures = {"demands": len(sizes), "seconds": round(taken, 1), "largest_kb": max(sizes) / 1024}
    sys.stdout.write(json.dumps(figures) + "\n")
    assert len(sizes) == COUNT
    assert max(sizes) <= MOST_KB * 1024
    assert taken <= MOST_S
