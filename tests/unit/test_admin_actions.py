"""Buttons of a record's page: offered in the states that the view names."""

from types import SimpleNamespace

import pytest

from dougong.jobs import cancel_job, retry_job
from dougong.jobs.models import Job, JobState
from dougong.web.admin import RecordView, action


def test_an_action_is_offered_in_its_states_only():
    offered = action(retry_job, states=("failed", "cancelled"))
    assert offered.is_offered(SimpleNamespace(state=JobState.FAILED))
    assert not offered.is_offered(SimpleNamespace(state=JobState.DONE))


def test_an_action_without_states_is_always_offered():
    assert action(cancel_job).is_offered(SimpleNamespace())


def test_a_view_whose_action_names_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="no state finished"):

        class Refused(RecordView, model=Job):
            actions = (action(cancel_job, states=("waiting", "finished")),)
