"""Template files, ``templates/<name>.liquid``: header lines, a blank line, the body (D-94).

The header is ``Subject: ...`` and, for HTML mail, ``Content-Type: text/html``.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, ResourceLimitError

from rules.civil import local_time
from rules.criteria.errors import NOWHERE, Span
from rules.criteria.scope import UNKNOWN, Scope, Unknown
from rules.suggest import did_you_mean
from rules.templates.check import Check, Names, WrongNameError
from rules.templates.environment import MeteredContext, TemplateEnvironment
from rules.templates.errors import TemplateError
from rules.templates.inline import UTC
from rules.templates.view import Related, Steps, View
from schemas.values import Value, format_instant

LONGEST_SOURCE: Final = 50_000
"""A template file is at most so many characters long."""

LONGEST_SUBJECT: Final = 500
"""A longer subject is cut."""

_HEADERS: Final = ("Subject", "Content-Type")
_INCLUDES: Final = frozenset({"include", "render", "extends", "block", "macro", "call", "import", "layout"})
_BREAKS: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


class Rendered(NamedTuple):
    """A message ready to be sent; the subject is one line."""

    subject: str
    body: str
    html: bool = False


@dataclass(frozen=True)
class Template:
    """A checked template file. Equal if it has the same name and text."""

    name: str
    source: str
    html: bool
    reads: frozenset[tuple[str, str]] = field(compare=False)
    """The alias and field of everything it reads; ``id`` where only the rows count."""
    names: Names = field(compare=False, repr=False)
    subject: BoundTemplate = field(compare=False, repr=False)
    body: BoundTemplate = field(compare=False, repr=False)
    zone: ZoneInfo = field(compare=False)

    def render(self, scope: Scope, extra: Mapping[str, Value] | None = None) -> Rendered | Unknown:
        """The message for one scope, or UNKNOWN if a value that it comes across is not known yet.

        ``extra`` gives the names that were declared when it was compiled; one that is not given is empty.

        Raises:
            TemplateError: its loops run too often, or it grows larger than a message may be.
        """
        view = View(scope)
        names = self._meanings(view, extra or {})
        subject, body = self._written(self.subject, names), self._written(self.body, names)
        if view.unknown:
            return UNKNOWN
        return Rendered(_BREAKS.sub(" ", subject).strip()[:LONGEST_SUBJECT], body, self.html)

    def _meanings(self, view: View, extra: Mapping[str, Value]) -> dict[str, object]:
        now = view.scope.now
        return {
            "steps": Steps(view),
            "now": format_instant(now),
            "today": local_time(now, self.zone).date().isoformat(),
            **{name: view.known(value) for name, value in extra.items()},
            **{alias: Related(view, alias) for alias in self.names.aliases},
        }

    def _written(self, template: BoundTemplate, names: Mapping[str, object]) -> str:
        try:
            return template.render(names)
        except ResourceLimitError as error:
            hint = "Show fewer related records, with limit: in the loop."
            problem = f"the message grows too large: {error.message}"
            raise TemplateError(problem, hint=hint, name=self.name) from None


def compile_template(
    name: str,
    source: str,
    aliases: Mapping[str, frozenset[str] | None],
    *,
    extra: Collection[str] = (),
    steps: Collection[str] | None = None,
    to_many: Collection[str] = (),
    zone: ZoneInfo = UTC,
) -> Template:
    """The template of a file, with every name that it uses checked.

    ``aliases`` gives the fields of each tab, none where they are not known; ``to_many`` the aliases that
    mean several records; ``steps`` the earlier steps, none where any may be named; ``extra`` further names.
    Instants are shown in ``zone``.

    Raises:
        TemplateError: the header or the template is wrong, or it names what there is not.
    """
    source = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(source) > LONGEST_SOURCE:
        problem = f"a template is at most {LONGEST_SOURCE} characters long"
        raise TemplateError(problem, hint="Make it shorter.", source=source, name=name)
    header = _header(name, source)
    names = Names(
        aliases,
        frozenset(to_many),
        None if steps is None else frozenset(steps),
        frozenset(extra) | {"now", "today"},
    )
    file = _File(name, source, names)
    subject, subject_reads = file.compiled(header.subject, _environment(zone, False))
    body, body_reads = file.compiled(Span(header.end, len(source)), _environment(zone, header.html))
    return Template(name, source, header.html, subject_reads | body_reads, names, subject, body, zone)


class _Header(NamedTuple):
    """Where the subject stands, whether the body is HTML, and where the body begins."""

    subject: Span
    html: bool
    end: int


def _header(name: str, source: str) -> _Header:
    found: dict[str, Span] = {}
    position = 0
    for line in source.split("\n"):
        start, position = position, position + len(line) + 1
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        span = Span(start, start + len(line))
        if not colon or key not in _HEADERS or key in found:
            hint = did_you_mean(key, _HEADERS) if colon else "A blank line ends the header."
            raise TemplateError(f"'{key[:40]}' is no header line of a template", hint=hint, source=source,
            span=span,
                                name=name)  # fmt: skip
        found[key] = Span(span.end - len(value.lstrip()), span.end)
    if "Subject" not in found:
        raise TemplateError(
            "the subject is missing", hint="Begin with a line 'Subject: ...'.", source=source, name=name
        )
    kind = source[slice(*found.get("Content-Type", NOWHERE))].strip()
    if kind not in ("", "text/plain", "text/html"):
        raise TemplateError(f"'{kind}' is no content type of a template", hint="Use text/plain or text/html.",
                            source=source, span=found["Content-Type"], name=name)  # fmt: skip
    return _Header(found["Subject"], kind == "text/html", min(position, len(source)))


class _File(NamedTuple):
    """A template file and the names that it may use."""

    name: str
    source: str
    names: Names

    def compiled(
        self, span: Span, environment: TemplateEnvironment
    ) -> tuple[BoundTemplate, frozenset[tuple[str, str]]]:
        """One part of the file, checked, and what it reads."""
        check = Check(self.names)
        try:
            template = environment.from_string(self.source[slice(*span)])
            check.nodes(template.nodes, MeteredContext(template))
        except WrongNameError as error:
            raise self._error(span.start, error.token.start_index, error.problem, error.hint, error.length) from None
        except LiquidError as error:
            raise self._syntax_error(span.start, error) from None
        except RecursionError:
            raise self._error(span.start, 0, "the template is nested too deep", "") from None
        return template, frozenset(check.reads)

    def _syntax_error(self, offset: int, error: LiquidError) -> TemplateError:
        token = error.token
        position = token.start_index if token is not None else 0
        if isinstance(error.__cause__, RecursionError):
            return self._error(offset, position, "the template is nested too deep", "")
        if token is not None and token.value in _INCLUDES:
            hint = "Write the text where it is needed."
            return self._error(offset, position, f"a template cannot use '{token.value}'", hint, len(token.value))
        return self._error(offset, position, str(error.message), "")

    def _error(self, offset: int, position: int, problem: str, hint: str, length: int = 1) -> TemplateError:
        start = offset + max(position, 0)
        return TemplateError(problem, hint=hint, source=self.source, span=Span(start, start + length), name=self.name)


@lru_cache(maxsize=64)
def _environment(zone: ZoneInfo, html: bool) -> TemplateEnvironment:
    return TemplateEnvironment(zone, html=html)
