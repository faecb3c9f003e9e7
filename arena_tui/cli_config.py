"""The commands `arena-tui config ...`, about the config itself, and `arena-tui completion`."""

from __future__ import annotations

from typing import Any

import click

from arena_tui.command import ArenaCommand, ArenaGroup, option_group
from arena_tui.completing import SHELLS, complete_keys
from arena_tui.invocation import Invocation


@click.group(
    cls=ArenaGroup,
    section="Settings",
    examples=(
        "arena-tui config check  # every problem at once",
        "arena-tui config show judge  # the values that count, and where each comes from",
        "arena-tui config set judge.max_tokens 256  # change the file; comments stay",
    ),
)
def config() -> None:
    """Show, check and change the config."""


@config.command(
    examples=(
        "arena-tui config show",
        "arena-tui config show judge models.gpt-4.1  # these tables alone",
        "arena-tui --set judge.prompt=full config show --changed --json",
    ),
)
@click.argument("keys", nargs=-1, metavar="[KEY ...]", shell_complete=complete_keys)
@option_group(
    "What is shown",
    click.option("--changed", is_flag=True, help="Leave out defaults."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON: by key, its value and where it comes from."),
)
@click.pass_obj
def show(invocation: Invocation, /, **options: Any) -> int:
    """Print the values that count, each with where it comes from. The output is TOML; keys are never shown."""
    from arena_tui.commands.config import show_command

    return show_command(invocation, **options)


@config.command(
    exit_codes={0: "no problems", 2: "problems, or wrong usage"},
    examples=("arena-tui config check", "arena-tui -c other.toml config check --json"),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of problems with key, message and hint.")
@click.pass_obj
def check(invocation: Invocation, as_json: bool) -> int:
    """Check the config and its bench. Reports all problems at once; asks no server (see `doctor`)."""
    from arena_tui.commands.config import check_command

    return check_command(invocation, as_json=as_json)


@config.command(
    "set",
    context_settings={"ignore_unknown_options": True},
    examples=(
        "arena-tui config set judge.max_tokens 256",
        "arena-tui config set judge.prompt full  # words need no quotes",
        'arena-tui config set answers.models \'["checkpoint-500", "checkpoint-1000"]\'',
        "arena-tui config set models.gpt-4.1.rate 5",
    ),
)
@click.argument("key", shell_complete=complete_keys)
@click.argument("value")
@click.pass_obj
def set_(invocation: Invocation, key: str, value: str) -> int:
    """Write a value into the config file. Nothing is written if it is wrong; comments and layout stay."""
    from arena_tui.commands.config import set_command

    return set_command(invocation, key, value)


@config.command(
    reads_config=False,
    examples=("arena-tui config schema > config.schema.json  # name it in line 1: #:schema ./config.schema.json",),
)
def schema() -> int:
    """Print the JSON Schema of the config, for editors that complete and check TOML."""
    from arena_tui.commands.config import schema_command

    return schema_command()


@click.command(
    cls=ArenaCommand,
    section="Settings",
    reads_config=False,
    examples=(
        "arena-tui completion bash > ~/.local/share/bash-completion/completions/arena-tui",
        'arena-tui completion zsh > "${fpath[1]}/_arena-tui"',
        "arena-tui completion fish > ~/.config/fish/completions/arena-tui.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that makes a shell complete commands, options, and names of models, judges and benches."""
    from arena_tui.completing import script

    click.echo(script(shell, context.find_root().command))
    return 0
