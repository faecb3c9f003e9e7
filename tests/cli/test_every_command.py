"""Every command, whoever adds it, has examples that parse, groups of options, exit codes, common options, variables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest

from arena_tui.cli import cli
from arena_tui.command import COMMON, SECTIONS, UNGROUPED, ArenaCommand, ArenaGroup, grouped_options, variable_of

MOST_UNGROUPED = 4  # options that a reader takes in at a glance


def walked(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield names, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from walked(inner, *names, name)


COMMANDS = dict(walked(cli))


def context(names: tuple[str, ...]) -> click.Context:
    """The context of a command, with that of each group around it."""
    found = click.Context(cli, info_name="arena-tui", **cli.context_settings)
    for number, name in enumerate(names):
        found = click.Context(COMMANDS[names[: number + 1]], parent=found, info_name=name)
    return found


@pytest.fixture(params=COMMANDS, ids=lambda names: " ".join(names) or "arena-tui")
def names(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


def test_it_is_declared_with_the_habits_of_all(names: tuple[str, ...]):
    assert isinstance(COMMANDS[names], ArenaCommand | ArenaGroup), "declare it with cls=ArenaCommand or ArenaGroup"
    if len(names) == 1:
        assert COMMANDS[names].section in SECTIONS


def test_its_help_has_examples_and_the_meaning_of_each_exit_code(names: tuple[str, ...]):
    shown = COMMANDS[names].get_help(context(names))
    assert f"Usage: {' '.join(('arena-tui', *names))} " in shown
    assert COMMANDS[names].examples
    for example in COMMANDS[names].examples:
        assert example.partition("  # ")[0].rstrip() in shown
    _, _, codes = shown.partition("Exit codes:\n")
    assert [line.split()[0] for line in codes.splitlines() if line[2:3].isdigit()] == ["0", "1", "2", "130"]


def test_every_option_is_explained_and_many_are_grouped(names: tuple[str, ...]):
    groups = dict(grouped_options(COMMANDS[names], context(names)))
    assert [option.opts for options in groups.values() for option in options if not option.help] == []
    assert len(groups.get(UNGROUPED, [])) <= MOST_UNGROUPED, "declare them in an option_group"


def test_it_takes_the_common_options_unless_it_reads_no_config(names: tuple[str, ...]):
    command = COMMANDS[names]
    shown = {
        flag for options in dict(grouped_options(command, context(names))).values() for o in options for flag in o.opts
    }
    if isinstance(command, ArenaCommand) and command.reads_config:
        assert {"--config", "--data", "--set"} <= shown
        flags = [flag for option in dict(grouped_options(command, context(names)))[COMMON] for flag in option.opts]
        assert "--set" in flags, "an option of its own hides the common one"


def test_its_examples_parse(names: tuple[str, ...]):
    """Each example is parsed as the program does, by every command in it; nothing is carried out."""
    for example in COMMANDS[names].examples:
        words = shlex.split(example.partition("  # ")[0].partition(" > ")[0])
        assert words[: len(names) + 1][:1] == ["arena-tui"]
        if "COMMAND" in words:
            continue
        parse(cli, "arena-tui", words[1:], None)


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None) -> None:
    with command.make_context(name, list(words), parent=parent) as parsed:
        left = [*parsed._protected_args, *parsed.args]
        if isinstance(command, click.Group) and left:
            inner_name, inner, rest = command.resolve_command(parsed, left)
            assert inner is not None
            assert inner_name is not None
            parse(inner, inner_name, rest, parsed)


def test_variables_of_options_are_distinct():
    variables: dict[str, list[str]] = {}
    for names, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option) and (variable := variable_of(context(names), option)):
                variables.setdefault(variable, []).append(f"{' '.join(names)} {option.opts}")
    assert variables["ARENA_TUI_RUN_LIMIT"]
    assert not {variable: of for variable, of in variables.items() if len(of) > 1}
    assert not {variable for variable in variables if "__" in variable}, "these are keys of the config"
