"""The manual page of the program, from the declarations of its commands; written when a wheel is built.

click-man makes a page of each command and knows neither groups of options nor examples and exit codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import click

from arena_tui.command import COMMON, ArenaCommand, ArenaGroup, grouped_options
from engine.version import __version__

NAME = "arena-tui"
_FILES = (
    ("config.toml", "The config, in the working folder, unless -c names another one."),
    ("data/BENCH/", "Questions, answers, judgments, and the records of runs."),
    ("$XDG_CONFIG_HOME/arena-tui/config.toml", "Settings of this user for all configs."),
    ("$XDG_STATE_HOME/arena-tui/arena-tui.log", "What -v logs under the terminal UI, unless --log-file names another."),
)
_VARIABLES = (
    ("ARENA_TUI_CONFIG", "The config file."),
    ("ARENA_TUI_COMMAND_OPTION", "An option, as run --limit from ARENA_TUI_RUN_LIMIT."),
    ("ARENA_TUI_TABLE__KEY", "A key of the config, as judge.max_tokens from ARENA_TUI_JUDGE__MAX_TOKENS."),
    ("NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE", "No colours, or colours also where no terminal is."),
)


def man_page(program: click.Group) -> str:
    """Return the page in the language of man(7)."""
    context = click.Context(program, info_name=NAME, **program.context_settings)
    summary, _, rest = (program.help or "").partition("\n\n")
    lines = [
        f'.TH ARENA-TUI 1 "" "{NAME} {__version__}" "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{NAME} \\- {_text(summary).rstrip('?.')}",
        ".SH SYNOPSIS",
        f"\\fB{_text(NAME)}\\fR [\\fIOPTIONS\\fR] [\\fICOMMAND\\fR [\\fIARGUMENTS\\fR]]",
        ".SH DESCRIPTION",
        *_paragraphs(rest),
        ".SH OPTIONS",
        *_options(program, context, common=True),
        ".SH COMMANDS",
        "Each command takes the common options, too.",
        *_commands(program, context),
        ".SH ENVIRONMENT",
        *_definitions(_VARIABLES),
        ".SH FILES",
        *_definitions(_FILES),
    ]
    if isinstance(program, ArenaGroup):
        lines += [".SH EXIT STATUS", *_exit_codes(program), ".SH EXAMPLES", *_examples(program)]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name, command in group.commands.items():
        inner = click.Context(command, parent=context, info_name=name)
        yield f'.SS "{_text(inner.command_path)} {_text(" ".join(command.collect_usage_pieces(inner)))}"'
        yield from _paragraphs(command.help or "")
        yield from _options(command, inner, common=False)
        if isinstance(command, ArenaCommand | ArenaGroup):
            yield ".PP"
            yield "Exit codes:"
            yield from _exit_codes(command)
            yield ".PP"
            yield "Examples:"
            yield from _examples(command)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _options(command: click.Command, context: click.Context, *, common: bool) -> Iterator[str]:
    for title, options in grouped_options(command, context):
        if title == COMMON and not common:
            continue
        records = [record for option in options if (record := option.get_help_record(context)) is not None]
        if records:
            yield ".PP"
            yield f"\\fB{_text(title)}\\fR"
            yield from _definitions(records)


def _exit_codes(command: ArenaCommand | ArenaGroup) -> Iterator[str]:
    yield from _definitions([(str(code), meaning) for code, meaning in sorted(command.exit_codes.items())])


def _examples(command: ArenaCommand | ArenaGroup) -> Iterator[str]:
    yield ".PP"
    yield ".RS 4"
    yield ".nf"
    for example in command.examples:
        words, _, comment = example.partition("  # ")
        if comment:
            yield _text(f"# {comment.strip()}")
        yield _text(words.rstrip())
    yield ".fi"
    yield ".RE"


def _definitions(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in pairs:
        yield ".TP"
        yield f"\\fB{_text(term)}\\fR"
        yield _text(meaning)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        yield _text(paragraph)


def _text(text: str) -> str:
    """Return a text on one line, in which nothing is a command or an escape."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    line = line.replace("|", "|\\:")  # a line may break between choices
    return f"\\&{line}" if line.startswith((".", "'")) else line
