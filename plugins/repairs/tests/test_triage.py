"""The triage model: on sentences it has not seen, on words of danger, and as it learns."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dougong_repairs
from dougong.i18n import add_catalogues, use_locale
from dougong_repairs.domain.kinds import Category, Urgency
from dougong_repairs.domain.triage import judge, remember
from dougong_repairs.services.judging import coded_verdict, triage_words

TRAINING = Path(__file__).parents[1] / "training"
sys.path.insert(0, str(TRAINING))

from evaluate import report  # noqa: E402 - it lies beside the sentences, in no package
from generate import generated, sections  # noqa: E402


@pytest.mark.parametrize(("name", "count"), [("held_out", 150), ("wild", 300)])
def test_on_held_out_sentences_it_is_as_good_as_it_was(name, count):
    found = report(TRAINING / f"{name}.txt")
    assert found["sentences"] > count
    assert found["category_accuracy"] >= FLOOR["category_accuracy"]
    assert found["urgency_accuracy"] >= FLOOR["urgency_accuracy"]
    assert found["emergency_recall"] >= FLOOR["emergency_recall"]
    assert found["others_graded_emergency"] <= 0.15


FLOOR = {"category_accuracy": 0.9, "urgency_accuracy": 0.85, "emergency_recall": 1}


def test_the_held_out_sentences_are_not_trained_on():
    held = {
        text for name in ("held_out", "wild") for _, _, text in sections(TRAINING / f"{name}.txt")
    }
    trained = {
        t
        for n in ("sentences", "wordy", "dev", "hard", "odd")
        for _, _, t in sections(TRAINING / f"{n}.txt")
    }
    made = {text for _, _, text in generated(190)}
    assert len(made) > 5000
    assert held.isdisjoint(trained | made)


@pytest.mark.parametrize(
    "text",
    [
        "电梯困人了",
        "我被关在电梯里出不来",
        "闻到煤气味",
        "燃气泄漏",
        "楼道着火了",
        "插座冒火花",
        "被热水器电了一下",
        "水管爆了喷得到处都是",
        "家里被水淹了",
        "外墙瓷砖掉下来砸到人",
        "高空抛物",
        "老人摔倒流血了",
        "有人晕倒了",
        "孩子反锁在屋里",
        "井盖不见了",
        "电梯急坠",
        "独居的老人两天没开门，敲门没有回应",
        "电梯停在三楼和四楼之间",
        "不着急，就是电梯里好像困了个人",
        "電梯卡在七樓八樓中間，裡面有人",
        "瓦斯味好重",
        "没冒烟，就是插座冒火花",
        "电梯里有没有人被困不知道，有人敲门",
    ],
)
def test_words_of_danger_are_an_emergency(text):
    verdict = judge(text)
    assert verdict.urgency is Urgency.EMERGENCY
    assert verdict.danger


@pytest.mark.parametrize(
    "text",
    [
        "灭火器过期了",
        "漏电保护器要换新的，不急",
        "防火门关不上",
        "燃气灶打不着火",
        "楼道灯不亮，怕老人摔倒",
        "抽油烟机不吸烟",
        "水龙头滴水",
        "电梯里广告框歪了",
        "下次消防演习是什么时候",
        "没有漏电，就是灯不亮",
        "电梯没有困人，就是广告框歪了",
        "去年着过火以后楼道的墙一直没刷",
    ],
)
def test_what_only_sounds_like_danger_is_none(text):
    assert judge(text).urgency is not Urgency.EMERGENCY


def test_it_follows_a_correction_and_forgets_nothing():
    odd = "三号站房的浮筒探针又报了"
    memory = [remember(odd, Category.PLUMBING, Urgency.URGENT)]
    like = judge("三号站房浮筒探针又在报了", memory)
    assert (like.category, like.urgency) == (Category.PLUMBING, Urgency.URGENT)
    assert like.is_remembered
    rows = [r for n in ("held_out", "wild") for r in sections(TRAINING / f"{n}.txt")]
    changed = [t for _, _, t in rows if judge(t, memory) != judge(t)]
    assert changed == []


def test_no_correction_grades_danger_down():
    memory = [remember("电梯困人了", Category.OTHER, Urgency.LOW)]
    assert judge("电梯困人了", memory).urgency is Urgency.EMERGENCY


def test_a_text_takes_less_than_twenty_milliseconds_with_a_full_memory():
    texts = [text for _, _, text in sections(TRAINING / "held_out.txt")]
    memory = [
        remember(f"{n}{text}", Category.OTHER, Urgency.LOW) for n in range(3) for text in texts
    ]
    judge(texts[0], memory)
    begun = time.process_time()
    for text in texts:
        judge(text, memory[:500])
    assert (time.process_time() - begun) / len(texts) < 0.02


@given(st.text(max_size=700))
def test_any_text_is_judged(text):
    verdict = judge(text)
    assert 0 <= verdict.confidence <= 1


def test_a_reason_is_kept_without_a_language_and_said_in_the_readers():
    text = "配电箱着火了；电线=裸露，赶快来人"
    memory = [remember(text, Category.ELECTRICAL, Urgency.URGENT)]
    kept = coded_verdict(judge(text, memory))
    assert kept.startswith("danger=着火") and ";remembered;words=" in kept
    add_catalogues(Path(dougong_repairs.__file__).parent / "locale")
    with use_locale("zh_Hans_CN"):
        assert triage_words(kept).startswith("含安全词“着火”；与已更正的报修相似；依据：")
    with use_locale("en"):
        said = triage_words(kept)
        assert said.startswith("words of danger: “着火") and "put right; speaks of " in said
        assert triage_words(coded_verdict(judge("嗯"))) == "nothing in it speaks clearly"
    assert triage_words("业主说很急；请快来") == "业主说很急；请快来"
    assert triage_words(None) == ""


def test_the_command_judges_a_line_at_a_time(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("厨房水龙头一直滴水\n\n电梯困人了\r\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "dougong.cli", "repairs", "triage", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(t) for t in told] == [{"category", "urgency", "confidence", "reason"}] * 3
    assert (told[0]["category"], told[0]["urgency"]) == ("plumbing", "normal")
    assert (told[2]["category"], told[2]["urgency"]) == ("elevator", "emergency")
    assert "困人" in told[2]["reason"]
