"""Commands of the command line, declared so that all of them have the same habits.

    @cli.command(section="Results", examples=("arena-tui leaderboard --elo  # Elo ratings",), exit_codes=CALLS)
    @option_group("What counts", judge_option("Judges to pool."), weight_option)
    def leaderboard(...): ...

By construction, each command
    - takes the common options before and after its name: logging, and unless declared with `reads_config=False`, also
      config, data folder and `--set`
    - completes the names of models, judges and benches in parameters of such a name (see `arena_tui.completing`)
    - has a `--help` with its options in groups, examples, and what its exit codes mean
    - reads options from variables: `--limit` of `run` from ARENA_TUI_RUN_LIMIT (see `variable_of`)

`tests/cli/test_every_command.py` walks over all of them. Libraries for option groups (cloup) and for colours
(rich-click) do the first half of this, and take longer to import than the rest of the command line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click

from arena_tui.colors import styled, wants_color
from arena_tui.completing import BY_NAME, complete_assignments
from arena_tui.invocation import PREFIX, Invocation

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
COMMON = "Common options"
UNGROUPED = "Options"
SECTIONS = ("Run", "Results", "Judge", "Benches and files", "Servers and tools", "Settings")
"""Sections of the program's help, in their order."""

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "a result could not be written",
    2: "wrong usage, config or data",
    130: "interrupted",
}
CALLS: Mapping[int, str] = {1: "done, but some calls failed for good; what succeeded is saved"}
"""What 1 means for a command that calls models."""

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
Decorator: TypeAlias = Callable[[AnyFunction], AnyFunction]

_COMPLETION = "_custom_shell_complete"  # where click keeps `shell_complete`, which is given when a parameter is made
_LOG = "arena_tui.log"  # of a context's meta: the options about logging that were given
_TITLE = "help_title"  # attribute of a parameter: the group that lists it
_OF_THE_CONFIG = {"--baseline", "--data", "--judge", "--set"}  # their variables are those of the config's keys


def together(*options: Decorator[Any]) -> Decorator[Any]:
    """Return one decorator for several options, listed by `--help` in this order."""
    return lambda command: reduce(lambda decorated, option: option(decorated), reversed(options), command)


def option_group(title: str, *options: Decorator[Any]) -> Decorator[Any]:
    """Return one decorator for several options, which `--help` lists under a title."""

    def decorate(command: Any) -> Any:
        declared = len(_declared(command))
        command = together(*options)(command)
        for parameter in _declared(command)[declared:]:
            setattr(parameter, _TITLE, title)
        return command

    return decorate


def _declared(command: Any) -> list[click.Parameter]:
    """Return the parameters that decorators have declared for a function so far, the last one first."""
    return command.params if isinstance(command, click.Command) else getattr(command, "__click_params__", [])


class _Formatter(click.HelpFormatter):
    """Writes the titles of groups bold where stdout has colours."""

    def write_heading(self, heading: str) -> None:
        bold = wants_color(sys.stdout)
        self.write(f"{'':>{self.current_indent}}{styled(f'{heading}:', 'bold') if bold else f'{heading}:'}\n")


class _Context(click.Context):
    formatter_class = _Formatter


class _Habits(click.Command):
    """What commands and groups of commands share."""

    context_class = _Context

    def __init__(
        self,
        *arguments: Any,
        section: str = "",
        examples: Sequence[str] = (),
        exit_codes: Mapping[int, str] | None = None,
        common: Sequence[click.Parameter] = (),
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.section = section
        self.examples = tuple(examples)
        self.exit_codes = {**EXIT_CODES, **(exit_codes or {})}
        own = {name for parameter in self.params for name in parameter.opts}
        self.params += [parameter for parameter in common if own.isdisjoint(parameter.opts)]
        for parameter in self.params:
            if parameter.name in BY_NAME and getattr(parameter, _COMPLETION, None) is None:
                setattr(parameter, _COMPLETION, BY_NAME[parameter.name])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.color = wants_color(sys.stdout)
        for parameter in self.params:
            if isinstance(parameter, click.Option) and parameter.envvar is None:
                parameter.envvar = variable_of(ctx, parameter)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in grouped_options(self, ctx):
            with formatter.section(title):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                _write_examples(self.examples, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in sorted(self.exit_codes.items())])


class ArenaCommand(_Habits):
    """One command; see the module for what it takes beside the arguments of a `click.Command`."""

    def __init__(self, *arguments: Any, reads_config: bool = True, **settings: Any) -> None:
        common = [*config_options(), *log_options()] if reads_config else log_options()
        super().__init__(*arguments, **settings, common=common)
        self.reads_config = reads_config

    def invoke(self, ctx: click.Context) -> Any:
        start_log(ctx)
        return super().invoke(ctx)


class ArenaGroup(_Habits, click.Group):
    """A group of commands, which its help lists by their sections."""

    command_class = ArenaCommand
    group_class = type

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, self.commands), default=0)
        for title, commands in self.sections().items():
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(limit)) for name, command in commands.items()])

    def sections(self) -> dict[str, dict[str, click.Command]]:
        """Return the commands by section; those of a section in the order in which they were added."""
        found: dict[str, dict[str, click.Command]] = {title: {} for title in SECTIONS}
        for name, command in self.commands.items():
            if not command.hidden:
                found.setdefault(getattr(command, "section", "") or "Commands", {})[name] = command
        return {title: commands for title, commands in found.items() if commands}


def grouped_options(command: click.Command, ctx: click.Context) -> list[tuple[str, list[click.Option]]]:
    """Return the options of a command by group: without one first, the common ones last."""
    groups: dict[str, list[click.Option]] = {UNGROUPED: []}
    help_option = command.get_help_option(ctx)
    for option in command.get_params(ctx):
        if isinstance(option, click.Option) and not option.hidden:
            title = COMMON if option is help_option else getattr(option, _TITLE, UNGROUPED)
            groups.setdefault(title, []).append(option)
    groups[COMMON] = groups.pop(COMMON, [])
    return [(title, options) for title, options in groups.items() if options]


def variable_of(ctx: click.Context, option: click.Option) -> str | None:
    """Return the environment variable of an option; None where it has none, or only that of a key of the config."""
    if isinstance(option.envvar, str) or option.is_eager or getattr(option, _TITLE, "") == COMMON:
        return option.envvar if isinstance(option.envvar, str) else None
    flag = max(option.opts, key=len)
    if flag in _OF_THE_CONFIG:
        return None
    command = ctx.command_path.split()[1:]
    return PREFIX + "_".join((*command, flag.strip("-"))).replace("-", "_").upper()


def _write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write each example with its comment beside it where all of them fit, else above it."""
    pairs = [tuple(part.strip() for part in example.partition("  # ")[::2]) for example in examples]
    width = max(len(command) for command, _ in pairs)
    beside = all(width + 4 + len(comment) <= formatter.width for _, comment in pairs)
    indent = " " * formatter.current_indent
    for command, comment in pairs:
        if comment and not beside:
            formatter.write(f"{indent}# {comment}\n")
        formatter.write(f"{indent}{command:<{width}}  # {comment}\n" if comment and beside else f"{indent}{command}\n")


# -- The common options


def config_options(variable: str | None = None) -> list[click.Parameter]:
    """Return new options that choose the config and change values of it, for one command.

    `variable` names the config file too; it is read once, so that it does not win over `-c` before the command.
    """
    return _parameters(
        click.option(
            "-c",
            "--config",
            "config_path",
            type=FILE,
            envvar=variable,
            callback=_select,
            expose_value=False,
            help="The config file.  [default: config.toml]",
        ),
        click.option(
            "--data",
            type=FOLDER,
            callback=_select,
            expose_value=False,
            help="The folder that holds the benches, instead of the config's.",
        ),
        click.option(
            "--set",
            "settings",
            metavar="KEY=VALUE",
            multiple=True,
            callback=_set,
            shell_complete=complete_assignments,
            expose_value=False,
            help="A value of the config, as in judge.max_tokens=256; can be repeated.",
        ),
    )


def log_options(variables: bool = False) -> list[click.Parameter]:
    """Return new options about logging for one command; with `variables` they are read from variables too."""
    return _parameters(
        click.option(
            "-v",
            "--verbose",
            count=True,
            show_default=False,
            callback=_log,
            expose_value=False,
            envvar=f"{PREFIX}VERBOSE" if variables else None,
            help="Log to stderr what happens (-v), and each call (-vv).",
        ),
        click.option(
            "--log-file",
            type=FILE,
            callback=_log,
            expose_value=False,
            envvar=f"{PREFIX}LOG_FILE" if variables else None,
            help="Log to this file too; it is rotated at 10 MB.",
        ),
        click.option(
            "--log-format",
            type=click.Choice(["text", "json"]),
            callback=_log,
            expose_value=False,
            envvar=f"{PREFIX}LOG_FORMAT" if variables else None,
            help="Lines of text, or JSON lines.  [default: text]",
        ),
    )


def start_log(ctx: click.Context) -> None:
    """Begin to log as the options before and after the command ask for it. Raises UsageProblem."""
    asked = ctx.meta.get(_LOG, {})
    if not asked:
        return
    from arena_tui.log_output import start
    from engine.errors import UsageProblem

    file = asked.get("log_file")
    try:
        start(asked.get("verbose", 0), file, asked.get("log_format", "text"), sys.argv[1:])
    except OSError as error:
        raise UsageProblem(f"{file}: {error.strerror}", "name another --log-file") from None


def _log(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if value and option.name is not None:
        ctx.meta.setdefault(_LOG, {})[option.name] = value


def _parameters(*options: Decorator[Any]) -> list[click.Parameter]:
    def nothing() -> None: ...

    return _declared(option_group(COMMON, *options)(nothing))[::-1]


def _select(ctx: click.Context, option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        chosen = _invocation(ctx)
        ctx.obj = replace(chosen, data=value) if option.name == "data" else replace(chosen, config_path=value)


def _set(ctx: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> None:
    if values:
        ctx.obj = replace(_invocation(ctx), settings=(*_invocation(ctx).settings, *values))
        if not ctx.resilient_parsing:
            ctx.obj.check_settings()


def _invocation(ctx: click.Context) -> Invocation:
    return ctx.obj if isinstance(ctx.obj, Invocation) else Invocation()
