"""Words and grammar of formulas, in English and Chinese, and the tree that they become.

formula  = choice | either
choice   = "if" either "then" formula "else" formula
either   = both ("or" both)*            both = truth ("and" truth)*
truth    = "not" truth | sum (("=" | "!=" | "<" | "<=" | ">" | ">=") sum)?
sum      = product (("+" | "-") product)*
product  = signed (("*" | "/") signed)*
signed   = "-" signed | atom
atom     = number unit? | name unit? | text | function "(" formula ("," formula)* ")"
         | "(" formula ")"              unit = "[" word (("/" | "*") word)* "]"
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

LONGEST, DEEPEST = 500, 12
TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d{1,12})?)|(?P<unit>\[[^\[\]]{1,40}\])|(?P<text>\"[\w -]{0,40}\")"
    r"|(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|!=|[-+*/()=<>,]))"
)
# What people type on a Chinese keyboard, and the signs of school books.
SAME = str.maketrans("（），＋－×÷＝＞＜［］≤≥≠“”【】＊／", '(),+-*/=><[]\x01\x02\x03""[]*/')
WORDS = {
    "如果": "if",
    "则": "then",
    "否则": "else",
    "并且": "and",
    "或者": "or",
    "非": "not",
    "最小": "min",
    "最大": "max",
    "四舍五入": "round",
    "向上取整": "ceil",
    "向下取整": "floor_of",
    "建筑面积": "area",
    "套内面积": "inner_area",
    "楼层": "floor",
    "人数": "persons",
    "用量": "usage",
    "单价": "price",
    "用途": "kind",
}
KEYWORDS = {"if", "then", "else", "and", "or", "not"}
# Functions with the fewest and the most arguments that they take.
FUNCTIONS = {"min": (2, 6), "max": (2, 6), "round": (1, 2), "ceil": (1, 1), "floor_of": (1, 1)}
COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}


class FormulaError(ValueError):
    """A formula that cannot be used. code says why; at is the character that it was noticed at."""

    def __init__(self, code: str, at: int = 0, **about: object) -> None:
        super().__init__(code)
        self.code, self.at, self.about = code, at, about


@dataclass(frozen=True)
class Number:
    """A decimal; without a unit it takes that of what it is added to or compared with."""

    value: Decimal
    unit: str | None
    at: int


@dataclass(frozen=True)
class Name:
    """A fact of the room, by its English name."""

    name: str
    unit: str | None
    at: int


@dataclass(frozen=True)
class Text:
    """A word that a fact is compared with, such as ``"shop"``."""

    value: str
    at: int


@dataclass(frozen=True)
class Call:
    """A function or operator with its arguments; ``if`` has condition, then and else."""

    function: str
    arguments: tuple["Node", ...]
    at: int


Node = Number | Name | Text | Call


@dataclass(frozen=True)
class Formula:
    """A formula as it was written, and its tree."""

    text: str
    root: Node

    def names(self) -> set[str]:
        """Return the facts that the formula looks at."""
        return {node.name for node in walk(self.root) if isinstance(node, Name)}


@dataclass(frozen=True)
class Token:
    """A word of a formula: its kind, its text in the language's own spelling, where it stands."""

    kind: str
    text: str
    at: int


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    yield node
    if isinstance(node, Call):
        for argument in node.arguments:
            yield from walk(argument)


def parse(text: str) -> Formula:
    """Return the formula of a text. Raises FormulaError that says what is wrong and where."""
    if len(text) > LONGEST:
        raise FormulaError("too_long", LONGEST)
    reader = _Reader(_tokens(text))
    root = reader.formula(0)
    if reader.here.kind != "end":
        raise FormulaError("unexpected", reader.here.at, word=reader.here.text)
    return Formula(text, root)


def _tokens(text: str) -> list[Token]:
    plain = text.translate(SAME)
    for mark, sign in (("\x01", "<="), ("\x02", ">="), ("\x03", "!=")):
        plain = plain.replace(mark, sign)
    found, at = [], 0
    end = len(plain.rstrip())
    while at < end:
        match = TOKEN.match(plain, at)
        if match is None:
            raise FormulaError("unexpected", at, word=plain[at:].strip()[:1])
        kind = match.lastgroup or "sign"
        word = match.group(kind)
        if kind == "word":
            word = WORDS.get(word, word)
            kind = "keyword" if word in KEYWORDS else kind
        found.append(Token(kind, word, match.start(match.lastgroup or 0)))
        at = match.end()
    return [*found, Token("end", "", end)]


class _Reader:
    """Reads tokens from left to right, one rule of the grammar per method."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def take(self, *words: str) -> Token | None:
        """Return the token here and step over it when it is one of ``words``."""
        token = self.here
        if token.kind not in ("keyword", "sign") or token.text not in words:
            return None
        self._at += 1
        return token

    def need(self, word: str) -> Token:
        """Step over ``word``; raises FormulaError when it is not here."""
        token = self.take(word)
        if token is None:
            raise FormulaError("missing", self.here.at, word=word)
        return token

    def formula(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise FormulaError("too_deep", self.here.at)
        start = self.take("if")
        if start is None:
            return self._chain(("or",), lambda: self._chain(("and",), lambda: self.truth(depth)))
        condition = self._chain(("or",), lambda: self._chain(("and",), lambda: self.truth(depth)))
        self.need("then")
        yes = self.formula(depth + 1)
        self.need("else")
        return Call("if", (condition, yes, self.formula(depth + 1)), start.at)

    def _chain(self, signs, part) -> Node:
        left = part()
        while sign := self.take(*signs):
            left = Call(sign.text, (left, part()), sign.at)
        return left

    def truth(self, depth: int) -> Node:
        if sign := self.take("not"):
            if depth > DEEPEST:
                raise FormulaError("too_deep", sign.at)
            return Call("not", (self.truth(depth + 1),), sign.at)
        left = self.sum(depth)
        if sign := self.take(*COMPARISONS):
            return Call(sign.text, (left, self.sum(depth)), sign.at)
        return left

    def sum(self, depth: int) -> Node:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/"), lambda: self.signed(depth)))

    def signed(self, depth: int) -> Node:
        if sign := self.take("-"):
            if depth > DEEPEST:
                raise FormulaError("too_deep", sign.at)
            return Call("minus", (self.signed(depth + 1),), sign.at)
        return self.atom(depth)

    def atom(self, depth: int) -> Node:
        token = self.here
        if self.take("("):
            inner = self.formula(depth + 1)
            self.need(")")
            return inner
        if token.kind not in ("number", "word", "text"):
            raise FormulaError("unexpected", token.at, word=token.text)
        self._at += 1
        if token.kind == "number":
            return Number(Decimal(token.text), self._unit(), token.at)
        if token.kind == "text":
            return Text(token.text[1:-1], token.at)
        if token.text in FUNCTIONS and self.take("("):
            return self._call(token, depth)
        return Name(token.text, self._unit(), token.at)

    def _unit(self) -> str | None:
        if self.here.kind != "unit":
            return None
        self._at += 1
        return self._tokens[self._at - 1].text[1:-1]

    def _call(self, token: Token, depth: int) -> Call:
        arguments = [self.formula(depth + 1)]
        while self.take(","):
            arguments.append(self.formula(depth + 1))
        self.need(")")
        fewest, most = FUNCTIONS[token.text]
        if not fewest <= len(arguments) <= most:
            raise FormulaError("arguments", token.at, word=token.text)
        return Call(token.text, tuple(arguments), token.at)
