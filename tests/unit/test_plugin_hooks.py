from types import ModuleType, SimpleNamespace

import pytest

from dougong.errors import Conflict
from dougong.hookspecs import hookimpl, hookspec
from dougong.plugins.hooks import Hooks


class Nothing:
    """A session in which nothing was changed; its connection is there."""

    new = ()

    def get_bind(self):
        return SimpleNamespace(invalidated=False)

    def flush(self):
        pass

    def _is_clean(self):
        return True


def scope(*enabled):
    return SimpleNamespace(enablement=dict.fromkeys(enabled), session=Nothing())


def module(**functions):
    made = ModuleType("made")
    for name, function in functions.items():
        function.__name__ = name
        setattr(made, name, hookimpl(function))
    return made


@pytest.fixture
def failures():
    return []


@pytest.fixture
def hooks(failures):
    return Hooks(lambda plugin, point, error: failures.append((plugin, point, str(error))))


def test_only_plugins_that_are_on_are_asked(hooks):
    hooks.register("aa", module(dashboard_cards=lambda scope: "a"))
    hooks.register("bb", module(dashboard_cards=lambda scope: "b"))
    assert hooks.ask(scope("bb"), "dashboard_cards") == ["b"]
    assert hooks.ask(scope("aa", "bb"), "dashboard_cards") == ["a", "b"]
    assert hooks.ask(scope(), "dashboard_cards") == []


def test_one_that_raises_loses_only_its_own_answer(hooks, failures):
    hooks.register("aa", module(dashboard_cards=lambda scope: 1 / 0))
    hooks.register("bb", module(dashboard_cards=lambda scope: "b"))
    assert hooks.ask(scope("aa", "bb"), "dashboard_cards") == ["b"]
    assert failures == [("aa", "hook dashboard_cards", "division by zero")]


def test_a_silenced_plugin_is_not_asked(hooks):
    hooks.register("aa", module(dashboard_cards=lambda scope: "a"))
    hooks.silenced.add("aa")
    assert hooks.ask(scope("aa"), "dashboard_cards") == []


def test_nothing_to_say_is_left_out(hooks):
    hooks.register("aa", module(dashboard_cards=lambda scope: None))
    assert hooks.ask(scope("aa"), "dashboard_cards") == []


def test_an_implementation_takes_the_arguments_that_it_names(hooks):
    hooks.register("aa", module(search_records=lambda limit, words: (words, limit)))
    assert hooks.ask(scope("aa"), "search_records", words="x", limit=3) == [("x", 3)]


def test_a_hook_that_nobody_asks_is_refused(hooks):
    with pytest.raises(Conflict, match="dashbord_cards"):
        hooks.register("aa", module(dashbord_cards=lambda scope: None))


def test_a_hook_of_a_plugin_that_may_be_absent_is_marked_optional(hooks):
    made = ModuleType("made")
    made.lift_stopped = hookimpl(optionalhook=True)(lambda scope: None)
    hooks.register("aa", made)
    assert "lift_stopped" not in hooks.names


def test_an_argument_that_the_hook_does_not_have_is_refused(hooks):
    with pytest.raises(Conflict, match="colour"):
        hooks.register("aa", module(dashboard_cards=lambda colour: None))
    assert hooks.ask(scope("aa"), "dashboard_cards") == []


def test_a_plugin_asks_questions_of_its_own_until_it_is_gone(hooks):
    declared = ModuleType("declared")
    declared.room_arrears = hookspec(lambda scope, room: None)
    declared.room_arrears.__name__ = "room_arrears"
    hooks.declare("fees", declared)
    hooks.register("aa", module(room_arrears=lambda room: room))
    assert hooks.ask(scope("aa"), "room_arrears", room=7) == [7]
    assert hooks.names["room_arrears"] == "fees"
    hooks.unregister("fees")
    with pytest.raises(LookupError):
        hooks.ask(scope("aa"), "room_arrears", room=7)


def test_two_cannot_declare_the_same_hook(hooks):
    declared = ModuleType("declared")
    declared.dashboard_cards = hookspec(lambda scope: None)
    with pytest.raises(Conflict, match="dashboard_cards"):
        hooks.declare("fees", declared)


def test_after_unregistering_a_plugin_is_not_asked(hooks):
    hooks.register("aa", module(dashboard_cards=lambda scope: "a"))
    hooks.unregister("aa")
    assert hooks.ask(scope("aa"), "dashboard_cards") == []


def test_a_fact_is_told_to_one_plugin_and_its_error_passes(hooks, failures):
    hooks.register("aa", module(plugin_enabled=lambda scope: 1 / 0))
    hooks.register("bb", module(plugin_enabled=lambda scope: failures.append("wrong")))
    with pytest.raises(ZeroDivisionError):
        hooks.tell(scope(), "aa", "plugin_enabled")
    assert [f[0] for f in failures] == ["aa"]


def test_answers_without_a_scope_are_collected_from_every_loaded_plugin(hooks):
    hooks.register("aa", module(health_checks=lambda installation: 1 / 0))
    hooks.register("bb", module(health_checks=lambda installation: ["well"]))
    assert list(hooks.collect("health_checks", installation=None)) == [("bb", ["well"])]
