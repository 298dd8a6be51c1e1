"""Makes training sentences from the grammars: the same ones every time.

Usage: python generate.py [count per class] — prints category, urgency and sentence, tab-separated.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
SEED = 20261128
CHOICE = re.compile(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)")
BEFORE = (
    *("" for _ in range(10)),
    *(
        "你好，",
        "您好，",
        "师傅，",
        "物业你好，",
        "喂，",
        "请问",
        "麻烦一下，",
        "我家",
        "我们家",
        "物业，",
    ),
    *("我是{b}栋{r}的，", "{b}-{u}-{r}，", "{b}号楼{u}单元{r}，", "刚才", "今天早上", "昨天晚上"),
    *("最近", "这两天", "反映一下，", "报修：", "业主报修，", "急！"),
)
AFTER = (
    *("" for _ in range(10)),
    *("，麻烦派人看看", "，请尽快处理", "，谢谢", "，什么时候能来修", "，帮忙修一下", "，辛苦了"),
    *("，请安排师傅上门", "，已经两天了", "！", "。", "，能来看看吗", "，我在家", "，下午有人在家"),
)
RUSHED = (
    "",
    "！！",
    "，快点",
    "，快派人来",
    "，救急",
    "，马上来人",
    "，赶紧的",
    "！！！",
    "，急急急",
)
EASY = (
    *(
        "，不急",
        "，不着急",
        "，有空来看看就行",
        "，方便的时候再来",
        "，先登记一下",
        "，什么时候都行",
    ),
    *("，不影响使用", "，有时间再弄", "，排到哪天都可以", "，周末也行", "，顺便弄一下"),
)


def sections(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield category, urgency and line of a file with headings."""
    category = urgency = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        heading = re.fullmatch(r"\[(\w+) (\w+)\]", line)
        if heading:
            category, urgency = heading.groups()
        elif line and not line.startswith("#"):
            yield category, urgency, line


def expand(template: str, chance: Random) -> str:
    """Return one sentence of a template."""
    text = template
    while found := CHOICE.search(text):
        options = (found[1] if found[1] is not None else found[2]).split("|")
        text = text[: found.start()] + chance.choice(options) + text[found.end() :]
    while "?" in text:
        at = text.index("?")
        keep = chance.random() < 0.5
        text = text[: at - (0 if keep else 1)] + text[at + 1 :]
    return text


def dressed(text: str, urgency: str, chance: Random) -> str:
    """Return a sentence as somebody types it: greeted, hurried, with words and marks lost."""
    place = {
        "b": chance.randrange(1, 30),
        "u": chance.randrange(1, 4),
        "r": f"{chance.randrange(1, 30)}0{chance.randrange(1, 5)}",
    }
    endings = {"emergency": RUSHED + AFTER[:16], "low": EASY + AFTER[:3]}.get(urgency, AFTER)
    said = chance.choice(BEFORE).format(**place) + text + chance.choice(endings)
    if chance.random() < 0.3:
        said = said.replace("，", chance.choice((" ", "", "。")))
    if chance.random() < 0.15 and len(said) > 8:
        at = chance.randrange(len(said))
        said = said[:at] + said[at + 1 :]
    return said


FILLERS = ("那个", "呃", "嗯", "然后", "就是", "这个", "哎", "你看")
ENDS = ("啊", "呀", "嘛", "哦", "呗", "哈", "咯", "😭", "🙏", "……", "！", "？", "~")
OTHERS = ("帮我妈报一下，", "我邻居说", "替楼下大爷反映，", "刚听保安讲", "我老公说")
ASIDES = ("这不是第一次了", "上个月修过一次", "群里没人理", "我不太懂", "我在上班")
NOISE = "的了是在一不有这那就个上来去到里"


def messed(text: str, chance: Random) -> str:
    """Return a sentence as it comes from a hurried thumb or a phone that listens."""
    said = text
    if chance.random() < 0.3:
        at = chance.randrange(len(said) + 1)
        said = said[:at] + chance.choice(FILLERS) + said[at:]
    if chance.random() < 0.25 and len(said) > 5:
        at = chance.randrange(len(said))
        said = said[:at] + chance.choice(NOISE) + said[at + 1 :]
    if chance.random() < 0.2:
        said = chance.choice(OTHERS) + said
    if chance.random() < 0.2:
        said = f"{said}，{chance.choice(ASIDES)}"
    if chance.random() < 0.3:
        said = re.sub("[，。！、]", chance.choice(("", " ")), said)
    return said + (chance.choice(ENDS) if chance.random() < 0.4 else "")


def generated(count: int) -> Iterator[tuple[str, str, str]]:
    """Yield ``count`` different sentences of each class, as far as its grammar goes."""
    chance = Random(SEED)
    templates: dict[tuple[str, str], list[str]] = {}
    for category, urgency, line in sections(HERE / "grammar.txt"):
        templates.setdefault((category, urgency), []).append(line)
    for (category, urgency), lines in templates.items():
        seen: set[str] = set()
        for _ in range(count * 4):
            if len(seen) == count:
                break
            source = lines
            if urgency == "low" and chance.random() < 0.3:
                source = templates[category, "normal"]
            said = dressed(expand(chance.choice(source), chance), urgency, chance)
            if source is not lines:
                said = said.rstrip("！。") + chance.choice(EASY)
            if said not in seen:
                seen.add(said)
                yield category, urgency, said


if __name__ == "__main__":
    for row in generated(int(sys.argv[1]) if len(sys.argv) > 1 else 190):
        print("\t".join(row))
