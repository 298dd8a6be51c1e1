"""What `make gate-plugins` prints: one line of JSON, nothing of what its planted plugins raise."""

import logging

import pytest
import structlog

from dougong.plugins.gate import silence


@pytest.fixture
def logging_restored():
    """The settings of both loggers, put back afterwards."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("logging_restored")
def test_faults_of_planted_plugins_are_not_printed(capsys):
    silence()
    structlog.get_logger("dougong.plugins").error("a planted fault")
    logging.getLogger("dougong.plugins").error("a planted fault")
    assert capsys.readouterr() == ("", "")
