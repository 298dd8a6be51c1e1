import pytest
from hypothesis import given
from hypothesis import strategies as st

from dougong.i18n import use_locale
from dougong.plugins.manifest import Manifest
from dougong.plugins.solver import dependants, load_order, solve


def plugin(name, version="1.0", **fields):
    text = {"en": name, "zh_Hans_CN": name}
    return Manifest(id=name, version=version, package=f"dougong_{name}", name=text, **fields)


def solved(*manifests, kernel="0.1", preferred=()):
    candidates = {}
    for manifest in manifests:
        candidates.setdefault(manifest.id, []).append(manifest)
    with use_locale("en"):
        return solve(candidates, kernel, preferred)


def explained(solution, name):
    with use_locale("en"):
        return solution.explain(name)


def test_dependencies_come_first():
    solution = solved(
        plugin("bills", depends={"fees": ">=1"}),
        plugin("fees", depends={"books": ">=1"}),
        plugin("books"),
    )
    assert solution.order == ("books", "fees", "bills")
    assert not solution.refused


def test_an_optional_dependency_comes_first_when_it_is_there():
    assert solved(plugin("aa", optional={"zz": ">=1"}), plugin("zz")).order == ("zz", "aa")
    assert solved(plugin("aa", optional={"zz": ">=1"})).order == ("aa",)


@pytest.mark.parametrize(
    ("manifests", "refused", "sentence"),
    [
        ([plugin("aa", kernel=">=2")], "aa", "aa needs Dougong >=2, and this is 0.1"),
        (
            [plugin("aa", depends={"bb": ">=1"})],
            "aa",
            "aa needs bb >=1, which is not there",
        ),
        (
            [plugin("aa", depends={"bb": ">=2"}), plugin("bb")],
            "aa",
            "aa needs bb >=2, and 1.0 is there",
        ),
        (
            [plugin("aa", optional={"bb": ">=2"}), plugin("bb")],
            "aa",
            "aa needs bb >=2, and 1.0 is there",
        ),
        (
            [plugin("aa", depends={"bb": ">=1"}), plugin("bb", depends={"aa": ">=1"})],
            "aa",
            "the plugins need each other in a circle: aa → bb → aa",
        ),
        (
            [plugin("aa", depends={"bb": ">=1"}), plugin("bb", kernel=">=2")],
            "aa",
            "aa needs bb, which cannot be used",
        ),
    ],
    ids=["kernel", "missing", "version", "optional version", "circle", "spreads"],
)
def test_a_refusal_says_why_in_a_sentence(manifests, refused, sentence):
    solution = solved(*manifests)
    assert sentence in explained(solution, refused)
    assert refused not in solution.order


def test_of_two_that_exclude_each_other_the_installed_one_stays():
    one, two = plugin("aa", conflicts=("bb",)), plugin("bb")
    solution = solved(one, two, preferred=("bb",))
    assert solution.order == ("bb",)
    assert explained(solution, "aa") == "aa and bb exclude each other"


def test_an_exclusive_slot_is_never_taken_by_the_last():
    one = plugin("aa", exclusive_slots=("invoices",))
    two = plugin("bb", exclusive_slots=("invoices",))
    solution = solved(one, two, preferred=("aa",))
    assert solution.order == ("aa",)
    assert "both claim invoices" in explained(solution, "bb")


def test_an_older_version_is_chosen_when_only_that_fits():
    newer = plugin("bb", "2.0", depends={"cc": ">=9"})
    solution = solved(plugin("aa", depends={"bb": ">=1"}), newer, plugin("bb", "1.5"))
    assert solution.chosen["bb"].version == "1.5"
    assert not solution.refused


def test_a_refused_plugin_does_not_touch_the_others():
    solution = solved(plugin("aa", kernel=">=2"), plugin("bb"), plugin("cc", depends={"bb": ">0"}))
    assert solution.order == ("bb", "cc")


def test_reasons_are_told_in_chinese_too():
    solution = solved(plugin("aa", kernel=">=2"))
    with use_locale("zh_Hans_CN"):
        assert "需要" in solution.explain("aa")


def test_dependants_are_found_through_others():
    manifests = {
        m.id: m
        for m in (
            plugin("aa"),
            plugin("bb", depends={"aa": ">0"}),
            plugin("cc", depends={"bb": ">0"}),
        )
    }
    assert dependants(manifests, "aa") == {"bb", "cc"}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_any_graph_is_ordered_and_what_is_kept_has_all_it_needs(edges):
    needs = {f"p{n}": {f"p{b}": ">=0" for a, b in edges if a == n and b != n} for n in range(10)}
    solution = solved(*(plugin(name, depends=deps) for name, deps in needs.items()))
    for position, name in enumerate(solution.order):
        assert set(needs[name]) <= set(solution.order[:position])
    assert set(solution.order) | set(solution.refused) == set(needs)
    assert list(solution.order) == load_order(solution.chosen)
