"""How all tests run, and how one run deals them to its workers.

A slow machine is no failure, and no property test measures time. Tests of one file stay together,
for they share what the file sets up. Files that take longest begin first, so that no worker ends
with a long one while another has nothing left to do.
"""

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dougong", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dougong")

ROOT = Path(__file__).parent
# Longest first; all other files take less than a minute and follow as they are collected.
LONGEST = (
    "tests/acceptance",
    "tests/integration/test_supervisor.py",
    "tests/integration/test_api_contract.py",
    "tests/integration/test_privacy_gate.py",
    "tests/integration/test_plugin_conformance.py",
    "tests/integration/test_jobs.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Before xdist reads its marks.
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(group_of(item), len(ranks)))


def pytest_collection_finish() -> None:
    # What is imported stays: to look through it for garbage again and again takes its time.
    gc.freeze()


def group_of(item: pytest.Item) -> str:
    """Return the item's file; all of ``tests/acceptance``, which shares one product, is one."""
    path = item.path.relative_to(ROOT).as_posix()
    return LONGEST[0] if path.startswith(f"{LONGEST[0]}/") else path
