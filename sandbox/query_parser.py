"""Reads the vendors' query languages: one lark grammar file per dialect, all into the same tree."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from lark import Lark, Token, Transformer, v_args

from sandbox.conditions import Comparison, Junction, Negation, Operator, Order, Query
from schemas.values import Amount, Value

Lexer = Literal["basic", "contextual"]

GRAMMARS = Path(__file__).parent / "grammars"


@lru_cache(maxsize=8)
def parser(dialect: str, lexer: Lexer = "contextual") -> Lark:
    """The LALR parser of ``grammars/<dialect>.lark``."""
    text = (GRAMMARS / f"{dialect}.lark").read_text(encoding="utf-8")
    return Lark(text, start="query", parser="lalr", lexer=lexer)


@lru_cache(maxsize=512)
def parse_query(dialect: str, text: str, lexer: Lexer = "contextual") -> Query:
    """The query as a tree.

    Raises:
        lark.UnexpectedCharacters: a character that the dialect does not know.
        lark.UnexpectedInput: another syntax error.
    """
    query: Query = _ToQuery().transform(parser(dialect, lexer).parse(text))
    return query


@v_args(inline=True)
class _ToQuery(Transformer[Token, Any]):
    """Turns the parse tree of any of the dialects into a Query; rules are named alike in all grammars."""

    def query(self, *parts: dict[str, Any]) -> Query:
        merged = {key: value for part in parts for key, value in part.items()}
        return Query(**merged)

    def columns(self, *names: Token) -> dict[str, Any]:
        return {"columns": tuple(str(name) for name in names)}

    def star(self) -> dict[str, Any]:
        return {"columns": ("*",)}

    def count(self) -> dict[str, Any]:
        return {"columns": (), "count": True}

    def tab(self, name: Token) -> dict[str, Any]:
        return {"tab": str(name)}

    def where(self, condition: Any) -> dict[str, Any]:
        return {"where": condition}

    def order_by(self, *items: Order) -> dict[str, Any]:
        return {"order": items}

    def order_all(self, *parts: Any) -> dict[str, Any]:
        """One direction for all columns (VTQL)."""
        names = [str(part) for part in parts if isinstance(part, Token)]
        descending = any(part is True for part in parts)
        return {"order": tuple(Order(name, descending) for name in names)}

    def item(self, name: Token, *flags: Any) -> Order:
        return Order(str(name), descending=True in flags, empty_last="last" in flags)

    def asc(self) -> bool:
        return False

    def desc(self) -> bool:
        return True

    def nulls_first(self) -> str:
        return "first"

    def nulls_last(self) -> str:
        return "last"

    def limit(self, first: Any, second: Any = None) -> dict[str, Any]:
        """``limit n`` or ``limit offset, n``."""
        if second is None:
            return {"limit": _whole(first)}
        return {"offset": _whole(first) or 0, "limit": _whole(second)}

    def bound(self, token: Token) -> Token:
        return token

    def offset(self, first: Any) -> dict[str, Any]:
        return {"offset": int(first)}

    def every(self, *parts: Any) -> Any:
        return parts[0] if len(parts) == 1 else Junction(True, parts)

    def some(self, *parts: Any) -> Any:
        return parts[0] if len(parts) == 1 else Junction(False, parts)

    def opposite(self, part: Any) -> Negation:
        return Negation(part)

    def compare(self, column: Token, operator: Token, literal: Value) -> Comparison:
        if operator in ("!=", "<>"):
            return Comparison(str(column), "=", (literal,), negated=True)
        word: Operator = str(operator)  # type: ignore[assignment]
        return Comparison(str(column), word, (literal,))

    def like(self, column: Token, literal: Value) -> Comparison:
        return Comparison(str(column), "like", (literal,))

    def not_like(self, column: Token, literal: Value) -> Comparison:
        return Comparison(str(column), "like", (literal,), negated=True)

    def within(self, column: Token, *literals: Value) -> Comparison:
        return Comparison(str(column), "in", literals)

    def not_within(self, column: Token, *literals: Value) -> Comparison:
        return Comparison(str(column), "in", literals, negated=True)

    def between(self, column: Token, low: Value, high: Value) -> Comparison:
        return Comparison(str(column), "between", (low, high))

    def not_between(self, column: Token, low: Value, high: Value) -> Comparison:
        return Comparison(str(column), "between", (low, high), negated=True)

    def is_null(self, column: Token) -> Comparison:
        return Comparison(str(column), "empty")

    def is_not_null(self, column: Token) -> Comparison:
        return Comparison(str(column), "empty", negated=True)

    def quoted(self, text: Token) -> Value:
        return _unescape(text[1:-1])

    def doubled(self, text: Token) -> Value:
        """A quote is doubled; a backslash escapes as in the SQL below it (VTQL)."""
        return _unescape(text[1:-1].replace("''", "'"))

    def number(self, text: Token) -> Value:
        return int(text) if text.lstrip("-").isdigit() else Amount(text)

    def bare(self, text: Token) -> Value:
        return str(text)

    def true(self) -> Value:
        return True

    def false(self) -> Value:
        return False

    def null(self) -> Value:
        return None


def _whole(token: Any) -> int | None:
    text = str(token)
    return int(text) if text.lstrip("-").isdigit() else None


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    pieces = iter(text)
    return "".join(next(pieces, "") if char == "\\" else char for char in pieces)
