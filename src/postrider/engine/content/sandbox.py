"""Liquid for templates that strangers write: every loop, filter and buffer has a limit that ends a rendering.

Refuses partials, ranges outside loops and the machine's own clock; the limits together bound its time.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from liquid import BoundTemplate, Environment, Node, RenderContext, Token
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import (
    FilterError,
    LiquidError,
    LiquidSyntaxError,
    LoopIterationLimitError,
    ResourceLimitError,
)
from liquid.expression import Expression
from liquid.filter import with_context
from liquid.utils import ReadOnlyChainMap

from postrider.engine.content.text import to_text
from postrider.kit import clock

SOURCE_MAX_CHARS: Final = 1_000_000
OUTPUT_MAX_BYTES: Final = 1_000_000
NAMESPACE_MAX_BYTES: Final = 4_000_000
ITERATIONS_MAX: Final = 10_000  # of all loops of one rendering together
STEPS_MAX: Final = 200_000  # iterations times the tags of the template
FILTER_WORK_MAX_CHARS: Final = 20_000_000  # read by all filters of one rendering together
ITEMS_MAX: Final = 10_000  # of any list a filter makes
INTEGER_MAX_BITS: Final = 1_024
BRACKETS_MAX: Final = 50  # of a kind in one tag: the lexer looks ahead from each to the end of the tag
DATE_TEXT_MAX_CHARS: Final = 64
DATE_FORMAT_MAX_CHARS: Final = 200

_FAULTS = (LiquidError, RecursionError, ArithmeticError, ValueError, TypeError, LookupError)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_Filter = Callable[..., Any]


class LiquidFault(Exception):
    """The template is wrong, or passed a limit: a sentence, and the offset into its source."""

    def __init__(self, message: str, index: int | None) -> None:
        self.message = message
        self.index = index
        super().__init__(message)


class Logic:
    """A parsed Liquid template; safe to render from several threads at once."""

    def __init__(self, source: str, *, environment: Environment) -> None:
        """Raises LiquidFault for wrong syntax, unknown filters and what the sandbox does not allow."""
        _refuse_slow(source)
        try:
            self._template = environment.from_string(source)
            _refuse_ranges(self._template)
            analysis = self._template.analyze(include_partials=False)
        except _FAULTS as error:
            raise _fault(error, source) from None
        for name, spans in analysis.filters.items():
            if name not in environment.filters:
                raise LiquidFault(f"unknown filter '{name}'", spans[0].index)
        tags = sum(map(len, analysis.tags.values())) + sum(map(len, analysis.variables.values()))
        self._iterations_max = min(ITERATIONS_MAX, STEPS_MAX // max(tags, 1))
        self.places = {
            name: min(found.span.index for found in all_found) for name, all_found in analysis.globals.items()
        }

    def render(self, variables: Mapping[str, Any]) -> str:
        """Raises LiquidFault where a limit is passed or a filter cannot do what is asked of it."""
        context = _Context(self._template, globals=variables)
        context.iterations_left = self._iterations_max
        buffer = context.get_buffer()
        try:
            self._template.render_with_context(context, buffer)
        except _FAULTS as error:
            raise _fault(error, "") from None
        return buffer.getvalue()


def make_environment(*, autoescape: bool) -> Environment:
    """An environment with this sandbox's limits, filters and tags."""
    environment = _Environment(autoescape=autoescape)
    for tag in ("include", "render"):
        del environment.tags[tag]
    environment.filters["date"] = functools.partial(_date, environment.filters["date"])
    environment.filters["plain_text"] = _plain_text
    for name, function in list(environment.filters.items()):
        environment.filters[name] = _guarded(name, function)
    return environment


class _Environment(Environment):
    loop_iteration_limit = None  # counted by the context: all loops together
    output_stream_limit = OUTPUT_MAX_BYTES
    local_namespace_limit = NAMESPACE_MAX_BYTES


class _Context(RenderContext):
    __slots__ = ("iterations_left", "work_left")

    def __init__(self, template: BoundTemplate, *, globals: Mapping[str, object]) -> None:
        super().__init__(template, globals=globals)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)  # without `now` and `today`
        self.iterations_left = ITERATIONS_MAX
        self.work_left = FILTER_WORK_MAX_CHARS

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self.iterations_left -= length
        if self.iterations_left < 0:
            raise LoopIterationLimitError("loop iteration limit reached", token=None)

    def charge(self, *values: object) -> None:
        self.work_left -= 1 + sum([len(value) for value in values if isinstance(value, str | list | dict)])
        if self.work_left < 0:
            raise ResourceLimitError("filter limit reached", token=None)


def _refuse_slow(source: str) -> None:
    """What would make the lexer search to the end again and again is found here, in one pass."""
    if len(source) > SOURCE_MAX_CHARS:
        raise LiquidFault(f"the template is longer than {SOURCE_MAX_CHARS} characters", None)
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        index = source.find(opening, source.rfind(closing) + 1)
        if index >= 0:
            raise LiquidFault(f"expected '{closing}', found end of file", index)
    for block in ("raw", "doc"):
        _refuse_open_block(source, block)
    for tag in _TAG.finditer(source):
        if max(tag.group().count("("), tag.group().count("[")) > BRACKETS_MAX:
            raise LiquidFault(f"more than {BRACKETS_MAX} brackets in one tag", tag.start())


def _refuse_open_block(source: str, block: str) -> None:
    end = "end" + block
    start = source.rfind(end) + len(end) if end in source else 0
    opened = re.compile(rf"\{{%-?\s*(?={block}\b)").search(source, start)
    if opened is not None:
        raise LiquidFault(f"expected '{end}', found end of file", opened.end())


def _refuse_ranges(template: BoundTemplate) -> None:
    """A range may be looped over from its start; anything else would walk through it however long it is."""
    context = RenderContext(template)
    for node in _walk(template.nodes, context):
        for expression in node.expressions():
            if isinstance(expression, LoopExpression) and isinstance(expression.iterable, RangeLiteral):
                if expression.offset is not None:
                    raise LiquidSyntaxError("a range takes no offset", token=expression.token)
                continue
            _refuse_range_in(expression)


def _walk(nodes: list[Node], context: RenderContext) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(list(node.children(context, include_partials=False)), context)


def _refuse_range_in(expression: Expression) -> None:
    if isinstance(expression, RangeLiteral):
        raise LiquidSyntaxError("a range may only be looped over", token=expression.token)
    for child in expression.children():
        _refuse_range_in(child)


def _fault(error: BaseException, source: str) -> LiquidFault:
    if not isinstance(error, LiquidError):
        return LiquidFault(f"cannot be rendered: {type(error).__name__}", None)
    token: Token | None = error.token
    if token is None:
        return LiquidFault(str(error.message), None)
    return LiquidFault(str(error.message), token.start_index if token.start_index >= 0 else len(source))


def _guarded(name: str, function: _Filter) -> _Filter:
    """The filter with its input charged, its output bounded, and whatever it raises made a fault."""
    wants_environment = getattr(function, "with_environment", False) or name == "date"
    bound = _OUTPUT_BOUNDS.get(name)

    @with_context
    def guard(value: object, *args: Any, context: _Context, **named: Any) -> object:
        context.charge(value, *args)
        if bound is not None and bound(value, *args) > OUTPUT_MAX_BYTES:
            raise ResourceLimitError("filter output limit reached", token=None)
        if wants_environment:
            named["environment"] = context.env
        try:
            return _bounded(function(value, *args, **named))
        except (ArithmeticError, ValueError, LookupError, AttributeError) as error:
            raise FilterError(f"{name}: {error}", token=None) from None

    return guard


def _bounded(result: object) -> object:
    match result:
        case str() if len(result) > OUTPUT_MAX_BYTES:
            raise ResourceLimitError("filter output limit reached", token=None)
        case list() | tuple() if len(result) > ITEMS_MAX:
            raise ResourceLimitError("filter item limit reached", token=None)
        case int() if result.bit_length() > INTEGER_MAX_BITS:
            raise ResourceLimitError("filter number limit reached", token=None)
        case _:
            return result


def _replaced_length(value: object, old: object = "", new: object = "", *_: object) -> int:
    text = str(value)
    return len(text) + text.count(str(old)) * len(str(new))


def _joined_length(value: object, separator: object = " ", *_: object) -> int:
    if not isinstance(value, list | tuple):
        return 0
    return sum([len(str(item)) for item in value]) + _count(value) * len(str(separator))


def _count(value: object) -> int:
    return sum(map(_count, value)) if isinstance(value, list | tuple) else 1


_OUTPUT_BOUNDS: dict[str, Callable[..., int]] = {"replace": _replaced_length, "join": _joined_length}


def _plain_text(value: object) -> str:
    """Ours: the text of a piece of HTML, for the text part."""
    return to_text(str(value)) if value else ""


def _date(date: _Filter, value: object, form: object = "", *, environment: Environment) -> object:
    """Liquid's date, with `now` and `today` by this installation's clock, in UTC."""
    if len(str(form)) > DATE_FORMAT_MAX_CHARS:
        raise ResourceLimitError("date format limit reached", token=None)
    if isinstance(value, str):
        if value in ("now", "today"):
            value = clock.to_datetime(clock.now_ms())
        elif len(value) > DATE_TEXT_MAX_CHARS:
            return value
    return date(value, form, environment=environment)
