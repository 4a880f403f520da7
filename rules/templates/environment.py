"""The little Liquid that template files may use: no includes, no ranges, no clock, and limits.

Which names a template may use is checked when it is compiled, in ``check.py``; what they mean is in
``view.py``.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar, Final, TextIO
from zoneinfo import ZoneInfo

from liquid import BoundTemplate, Environment, Markup, RenderContext, escape
from liquid.ast import BlockNode, Node
from liquid.builtin.content import Literal
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.illegal import Illegal
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.assign_tag import AssignTag
from liquid.builtin.tags.capture_tag import CaptureTag
from liquid.builtin.tags.case_tag import CaseTag
from liquid.builtin.tags.comment_tag import CommentTag
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.builtin.tags.if_tag import IfTag
from liquid.builtin.tags.inline_comment_tag import InlineCommentTag
from liquid.builtin.tags.unless_tag import UnlessTag
from liquid.exceptions import LoopIterationLimitError
from liquid.token import Token
from liquid.utils import ReadOnlyChainMap

from rules.templates.filters import FILTERS, apply_filter, text_of
from schemas.values import Amount, Value

OUTPUT_LIMIT: Final = 256 * 1024
"""A rendered subject or body has at most so many bytes."""

STEP_LIMIT: Final = 200_000
"""The loops of one rendering visit at most so many parts of the template, all rounds together."""


def value_of(found: object) -> Value:
    """What a template computed, as a field value; what is none, such as a whole record, is nothing."""
    if found is None or isinstance(found, bool | int | Amount):
        return found
    if isinstance(found, Markup):
        return str(found)
    if isinstance(found, str):
        return found
    if isinstance(found, float | Decimal):
        return Amount(str(found))
    if isinstance(found, list):
        return [value_of(item) for item in found]
    return None


class MeteredContext(RenderContext):
    """A rendering that knows only the names it is given, and counts what its loops cost."""

    def __init__(self, template: BoundTemplate, **options: object) -> None:
        super().__init__(template, **options)  # type: ignore[arg-type]  # passed through as they come
        # The library looks up `now` and `today` on the machine's clock behind these; here it cannot.
        self.scope = ReadOnlyChainMap(self.locals, self.globals)
        self.steps = 0
        self.weights: list[int] = []

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Charge a loop that is about to run so many rounds."""
        self.steps += length * self.weights[-1]
        if self.steps > STEP_LIMIT:
            raise LoopIterationLimitError("its loops run too often", token=None)


class MeteredTemplate(BoundTemplate):
    """A template whose renderings are metered."""

    context_class = MeteredContext


class MeteredFor(ForNode):
    """A loop that says how many parts one of its rounds visits; loops inside it are charged on their own."""

    def __init__(
        self, token: Token, expression: LoopExpression, block: BlockNode, default: BlockNode | None = None
    ) -> None:
        super().__init__(token, expression, block, default)
        self.weight = 1 + _parts(block)

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Render all rounds."""
        assert isinstance(context, MeteredContext)
        context.weights.append(self.weight)
        try:
            return super().render_to_output(context, buffer)
        finally:
            context.weights.pop()


def _parts(node: Node) -> int:
    children = [] if isinstance(node, MeteredFor) else _children(node)
    return 1 + sum(_parts(child) for child in children)


def _children(node: Node) -> list[Node]:
    return list(node.children(_STATIC, include_partials=False))


class MeteredForTag(ForTag):
    """``{% for %}`` with a meter."""

    node_class = MeteredFor


class ValueOutputNode(OutputNode):
    """``{{ }}`` writes values as inline texts do: exact numbers, lists with commas, nothing for none."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value, escaped in HTML unless the template wrote it itself."""
        found = self.expression.evaluate(context)
        if context.autoescape:
            return buffer.write(found if isinstance(found, Markup) else escape(text_of(value_of(found))))
        return buffer.write(text_of(value_of(found)))


class ValueOutput(Output):
    """``{{ }}`` for values."""

    node_class = ValueOutputNode


class TemplateEnvironment(Environment):
    """Our tags, our filters, our limits; instants are shown in one zone."""

    template_class = MeteredTemplate
    output_stream_limit: ClassVar[int | None] = OUTPUT_LIMIT
    local_namespace_limit: ClassVar[int | None] = OUTPUT_LIMIT
    block_nesting_limit: ClassVar[int] = 20
    tag_classes = (
        Literal, ValueOutput, Illegal, IfTag, UnlessTag, CaseTag, MeteredForTag,
        AssignTag, CaptureTag, CommentTag, InlineCommentTag,
    )  # fmt: skip

    def __init__(self, zone: ZoneInfo, *, html: bool) -> None:
        self.zone = zone
        super().__init__(autoescape=html)

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Register only what is listed here; the library's own filters and tags stay out."""
        for tag in self.tag_classes:
            self.add_tag(tag)
        for name in FILTERS:
            self.add_filter(name, _filter(name, self.zone))


def _filter(name: str, zone: ZoneInfo) -> Callable[..., object]:
    def apply(value: object, *arguments: object) -> object:
        if name == "default" and value_of(value) in (None, "") and isinstance(arguments[0], Markup):
            return arguments[0]  # a literal of the author's own: not escaped
        return apply_filter(name, value_of(value), [value_of(argument) for argument in arguments], zone)

    return apply


_STATIC: Final = RenderContext(BoundTemplate(Environment(), []))
"""The library asks for a context when a tree is walked; only includes would use it, and there are none."""
