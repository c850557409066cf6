"""Writes docs/reference from the code: `python -m tools.reference`. Nothing there is written by hand."""

from collections.abc import Iterable, Iterator, Sequence
from enum import EnumType
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args, get_origin

import typer.main
from annotated_types import Ge, Le
from prometheus_client.core import Metric
from pydantic.fields import FieldInfo

from postrider.cli import app
from postrider.engine import errors
from postrider.engine.journal import EventKind
from postrider.engine.journal.lifecycle import MARKS
from postrider.metrics import Metrics
from postrider.settings import CONFIG_FILE, Settings
from postrider.surfaces.smtp.errors import REPLIES

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "reference"
WRITTEN = "<!-- Written by `make reference` from {}; edit that. -->\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    return {
        "settings.md": _page("Settings", "src/postrider/settings.py", _settings()),
        "errors.md": _page("Errors", "src/postrider/engine/errors.py", _errors()),
        "events.md": _page("Events", "src/postrider/engine/journal/model.py", _events()),
        "commands.md": _page("Commands", "src/postrider/cli.py", _commands()),
        "metrics.md": _page("Metrics", "src/postrider/metrics.py", _metrics()),
    }


def _settings() -> Iterator[str]:
    yield (
        "From the environment under these names, or from a TOML file that "
        f"`{CONFIG_FILE}` names, there in lower case and without the prefix; the environment goes first."
    )
    unread = (DOCS / "not-yet.md").read_text()
    rows = []
    for name, info in Settings.model_fields.items():
        help_ = info.description or ""
        not_yet = f"`{name.upper()}`" in unread
        rows.append(
            (
                f"`POSTRIDER_{name.upper()}`",
                _kind(info),
                _code(_default(info.default)),
                help_ + (" [Not yet](../not-yet.md)." if not_yet else ""),
            )
        )
    yield _table(("Setting", "Type", "Default", "What it does"), rows)


def _errors() -> Iterator[str]:
    yield (
        "All that the engine refuses. A surface says it in its own words; the codes and facts are the same "
        "behind each. The last column is what SMTP submission answers."
    )
    rows = []
    for error in errors.ALL:
        sentence = error.__doc__ or ""
        facts = [name for _, name, _, _ in Formatter().parse(sentence) if name]
        code, enhanced = REPLIES[error]
        rows.append((f"`{error.code}`", sentence, _code(", ".join(facts)), f"`{code} {enhanced}`"))
    yield _table(("Code", "Sentence", "Facts", "SMTP"), rows)


def _events() -> Iterator[str]:
    yield (
        "All that the journal can hold, with the number it is stored under and the mark it leaves on its "
        "message, where it leaves one."
    )
    rows = [
        (str(int(kind)), f"`{kind.name.lower()}`", _code(MARKS[kind].value if kind in MARKS else ""))
        for kind in EventKind
    ]
    yield _table(("Number", "Kind", "Mark"), rows)


def _commands() -> Iterator[str]:
    yield "`postrider` with one of these; each also takes `--help`."
    root = typer.main.get_command(app)
    for names, command in _leaves((), root):
        yield f"## {' '.join(names)}\n\n{command.help}"
        rows = [
            (_code(_usage(parameter)), parameter.help or "")
            for parameter in command.params
            if parameter.name != "help"
        ]
        if rows:
            yield _table(("Option", "What it does"), rows)


def _metrics() -> Iterator[str]:
    yield "What `GET /metrics` tells, in Prometheus text."
    rows = [
        (f"`{_series(metric)}`", metric.type, metric.documentation) for metric in Metrics().registry.collect()
    ]
    yield _table(("Metric", "Type", "What it counts"), rows)


def _leaves(names: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands at the ends of the tree; Any, for typer brings click along under a private name."""
    if not hasattr(command, "commands"):
        yield names, command
        return
    for name, inner in command.commands.items():
        yield from _leaves((*names, name), inner)


def _usage(parameter: Any) -> str:
    name = str(parameter.name).removeprefix("as_").upper()
    if parameter.param_type_name == "argument":
        return name
    value = "" if parameter.is_flag else f" {name}"
    return f"{parameter.opts[0]}{value}" + (" (required)" if parameter.required else "")


def _series(metric: Metric) -> str:
    return metric.name + ("_total" if metric.type == "counter" else "")


def _kind(info: FieldInfo) -> str:
    kind: Any = info.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if isinstance(kind, EnumType):
        members: Iterable[Any] = kind
        return ", ".join(f"`{member.value}`" for member in members)
    low = [each.ge for each in info.metadata if isinstance(each, Ge)]
    high = [each.le for each in info.metadata if isinstance(each, Le)]
    span = f", {low[0]} to {high[0]}" if low and high else ""
    return {"str": "text", "int": "number", "bool": "true or false", "Path": "path"}[kind.__name__] + span


def _default(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "value", value))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _page(title: str, source: str, parts: Iterator[str]) -> str:
    return "\n\n".join([WRITTEN.format(f"`{source}`") + f"# {title}", *parts]) + "\n"


if __name__ == "__main__":
    main()
