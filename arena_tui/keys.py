"""The keys of the terminal UI: one table, in which a letter means one thing on all screens.

Screens bind through it and never name a key themselves:

    BINDINGS = [
        bind("search", title="Find", tooltip="Find words in questions and answers"),   # action_search
        bind("order", "next_order", show=False),                                         # action_next_order
        bind("screen", "show_mode('run')", key="1"),                                     # one key of several
        *SCROLLING, *closing("options"),                                                 # what dialogs share
    ]

A new meaning is a new line of `KEYS` with a key that no other line has; a screen that does the same to other things
uses the line there is, with its own title and tooltip. Named keys (arrows, Enter, Space, Escape, Tab) act on what has
the focus and may stand in several lines; letters, digits and signs may not. tests/tui/test_keys.py holds all of it,
docs/terminal-ui.md lists the table, and the help of a screen (`?`) comes from its bindings.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from textual.binding import Binding

Meaning: TypeAlias = Literal[
    "screen", "help", "quit", "quit_now", "close", "theme",
    "up", "down", "page_up", "page_down", "first", "last", "open", "mark",
    "change", "change_back", "next_list", "previous_list", "next_item", "previous_item", "apply",
    "search", "next_hit", "previous_hit", "filter", "category", "order", "reverse", "clear", "options", "again",
    "difference", "words", "heat_map", "curve", "judge", "needed", "warnings",
    "markdown", "prompt", "reasoning", "copy",
    "vote_a", "vote_much_a", "vote_tie", "vote_b", "vote_much_b", "skip", "undo", "note", "reveal", "extend",
    "start", "stop", "leave_running", "take_control", "pause", "limits", "logs", "config", "import", "export", "bench",
    "doctor", "setup", "save", "demo",
]  # fmt: skip


class Key(NamedTuple):
    """The keys of one meaning, by Textual's names and separated by commas, and what they do on all screens."""

    keys: str
    title: str
    description: str


KEYS: dict[Meaning, Key] = {
    # everywhere
    "screen": Key("1,2,3,4", "Screen", "Go to Run, Leaderboard, Judgments or Review"),
    "help": Key("question_mark", "Help", "All keys of the screen"),
    "search": Key("slash", "Search", "Find words; in lists of names, those that contain them"),
    "copy": Key("y", "Copy", "Copy what the screen shows, or a part of it"),
    "config": Key("e", "Config", "Write config.toml, or open it in the editor"),
    "quit": Key("q", "Quit", "Close the dialog, or quit the program"),
    "quit_now": Key("ctrl+q,ctrl+c", "Quit", "Quit the program, also while typing"),
    "theme": Key("ctrl+t", "Next theme", "Dark, light or high contrast"),
    "close": Key("escape,backspace", "Back", "Go back: clear the search, close the dialog, leave the page"),
    # moving
    "up": Key("up,k", "Up", "Up"),
    "down": Key("down,j", "Down", "Down"),
    "page_up": Key("pageup,ctrl+b", "Page up", "Page up"),
    "page_down": Key("pagedown,ctrl+f,space", "Page down", "Page down"),
    "first": Key("home,g", "First", "To the start"),
    "last": Key("end,G", "Last", "To the end"),
    "open": Key("enter", "Open", "Open what is under the cursor"),
    "next_list": Key("tab", "Next list", "Next list, field or part of a text"),
    "previous_list": Key("shift+tab", "List before", "List, field or part before"),
    "next_item": Key("right", "Next", "Next judgment or pair"),
    "previous_item": Key("left", "Previous", "Previous judgment or pair"),
    "mark": Key("space", "Mark", "Mark, or switch on and off"),
    "change": Key("right,space", "Change", "Next value"),
    "change_back": Key("left", "Change back", "Previous value"),
    "apply": Key("enter", "Apply", "Apply what was typed or chosen"),
    # lists
    "filter": Key("f", "Filter", "Choose which judgments are listed"),
    "category": Key("c", "Category", "Only the questions of one category or cluster"),
    "order": Key("o", "Order", "Sort by the next column"),
    "reverse": Key("O", "Reverse", "Reverse the order"),
    "clear": Key("x,delete", "Clear", "Remove filters, search and marks"),
    "options": Key("v", "View", "Options of what the screen shows"),
    "again": Key("R", "Again", "Read, compute or ask again"),
    # models
    "difference": Key("d", "Difference", "Compare two marked models"),
    "words": Key("D", "Words", "Mark the words in which two answers differ"),
    "heat_map": Key("h", "Heat map", "All pairs of models"),
    "curve": Key("P", "Curve", "Progress of a training: scores of its checkpoints over steps"),
    "judge": Key("J", "Judge", "Audit the judge"),
    "needed": Key("number_sign", "Needed", "How many questions a difference needs"),
    "warnings": Key("exclamation_mark", "Warnings", "The warnings about the numbers in full"),
    # texts
    "next_hit": Key("n", "Next hit", "Next place where the words were found"),
    "previous_hit": Key("N", "Hit before", "Place before where the words were found"),
    "markdown": Key("m", "Markdown", "Render Markdown, or show texts as written"),
    "prompt": Key("i", "Prompt", "The messages sent to the judge"),
    "reasoning": Key("r", "Reasoning", "Show or hide the reasoning"),
    # labels of people
    "vote_a": Key("a", "A better", "Label: A is better"),
    "vote_much_a": Key("A", "A much better", "Label: A is much better"),
    "vote_tie": Key("t,equals_sign", "Tie", "Label: a tie"),
    "vote_b": Key("b", "B better", "Label: B is better"),
    "vote_much_b": Key("B", "B much better", "Label: B is much better"),
    "skip": Key("0", "Skip", "Skip a pair without a label"),
    "undo": Key("u", "Undo", "Undo the last change of a label"),
    "note": Key("w", "Note", "Write a note on a pair"),
    "reveal": Key("V", "Reveal", "Show names and judgment after each label, or not"),
    "extend": Key("plus", "More pairs", "Add pairs to the sample, or a server to a set-up"),
    # runs
    "start": Key("s", "Start", "Show the plan and start it; start the demo"),
    "stop": Key("S", "Stop", "Stop the run, after a question; finished records are kept"),
    "leave_running": Key("Q", "Leave it running", "Quit; the run goes on without the terminal"),
    "take_control": Key("K", "Take control", "Pause, stop and limit the run of another process too"),
    "pause": Key("p", "Pause", "Start no new calls, or start them again"),
    "limits": Key("l", "Limits", "Change the limits of an endpoint"),
    "logs": Key("L", "Logs", "Logs of a server"),
    "import": Key("I", "Import", "Import a folder"),
    "export": Key("E", "Export", "Export the bench, or save a report"),
    "bench": Key("ctrl+o", "Bench", "Switch to another bench"),
    "doctor": Key("C", "Checks", "Check config, data, servers, GPU and disk"),
    "setup": Key("ctrl+n", "Set up", "Find benches and servers, and write a config"),
    "save": Key("W", "Write", "Write what was chosen to a file"),
    "demo": Key("T", "Try the demo", "Show the whole job with simulated models"),
}


def bind(
    meaning: Meaning,
    action: str = "",
    *,
    title: str = "",
    tooltip: str = "",
    key: str = "",
    key_display: str | None = None,
    show: bool = True,
    priority: bool = False,
) -> Binding:
    """Return the binding of a meaning.

    Args:
        meaning: the line of `KEYS`.
        action: Textual's action; by default the one named like the meaning.
        title, tooltip: words for the key bar and for help, by default those of the table.
        key: one of the keys of the line (or several, with commas), by default all.
        key_display: how the key bar shows the key, where its own name is too long.
        show: also on the key bar, not in help only.
        priority: also while a field is typed into.

    Raises:
        ValueError: the line has no such key.
    """
    known = KEYS[meaning]
    if foreign := set(key.split(",")) - set(known.keys.split(",")) if key else set():
        raise ValueError(f"{', '.join(sorted(foreign))}: not a key of {meaning!r}")
    return Binding(
        key or known.keys,
        action or meaning,
        title or known.title,
        tooltip=tooltip or known.description,
        show=show,
        key_display=key_display,
        priority=priority,
        id=meaning,
    )


def closing(*openers: Meaning, action: str = "dismiss", title: str = "Back") -> tuple[Binding, ...]:
    """Return the bindings that close a dialog: Escape, q, and the keys that opened it."""
    others: list[Meaning] = ["quit", *openers]
    hidden = [bind(each, action, title=title, tooltip=title, show=False) for each in others]
    return bind("close", action, title=title, tooltip=title, key="escape"), *hidden


def leaving(title: str, action: str = "leave") -> Binding:
    """Return the binding that leaves a page opened from a list; `title` names where it leads."""
    return bind("close", action, title=title, tooltip=f"Back: {title.lower()}")


SCROLLING = (bind("down", "scroll(1)", show=False), bind("up", "scroll(-1)", show=False))  # for `action_scroll(lines)`

LISTING = (  # for a list that keys move while its search has the focus: `action_move(rows)` and `action_page(pages)`
    bind("up", "move(-1)", key="up", show=False),
    bind("down", "move(1)", key="down", show=False),
    bind("page_up", "page(-1)", key="pageup", show=False),
    bind("page_down", "page(1)", key="pagedown", show=False),
)

VOTES: tuple[tuple[Meaning, str, str], ...] = (
    ("vote_a", "A>B", "A is better"),
    ("vote_much_a", "A>>B", "A is much better"),
    ("vote_tie", "A=B", "a tie"),
    ("vote_b", "B>A", "B is better"),
    ("vote_much_b", "B>>A", "B is much better"),
)
"""The meanings of the keys that label a pair, with their labels and words."""
