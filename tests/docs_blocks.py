"""The blocks of a documentation page, by section: what a reader would save and type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
_FENCE = re.compile(r"^(?:<!-- not run here: (?P<why>.+?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


OF_OTHER_PROGRAMS = ("docker", "pip", "pipx", "uv", "uvx", "man")  # their arguments may name arena-tui
_CODE = re.compile(r"#\s*exit code (\d+)")


@dataclass(frozen=True)
class Block:
    kind: str  # "bash", "toml", ...
    text: str
    not_run: str = ""  # the reason why a test cannot run it

    @property
    def lines(self) -> list[str]:
        """The command lines of a bash block, without comments; continued lines joined."""
        return list(self.codes)

    @property
    def codes(self) -> dict[str, int | None]:
        """The command lines, each with the exit code that its comment promises."""
        joined = self.text.replace("\\\n", " ").splitlines()
        promised = {_without_comment(line): _CODE.search(line) for line in joined}
        return {line: int(code[1]) if code else None for line, code in promised.items() if line}


@dataclass
class Section:
    page: Path
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.page.stem}: {self.title}"


def sections(page: Path) -> Iterator[Section]:
    """The sections (##) of a page, each with its blocks."""
    for part in re.split(r"^(?=## )", page.read_text("utf-8"), flags=re.M):
        found = [Block(each["kind"], each["text"], each["why"] or "") for each in _FENCE.finditer(part)]
        title = part.partition("\n")[0].lstrip("# ")
        yield Section(page, title, found)


def arena_calls(text: str) -> Iterator[list[str]]:
    """The arguments of each `arena-tui` in the lines of a script."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>()\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    for token in [*lexer, "\n"]:
        if not set(token) <= set("|&;()\n"):
            words.append(token)
            continue
        starts = [position for position, word in enumerate(words) if word.rpartition("/")[2] == "arena-tui"]
        if starts and words[0] not in OF_OTHER_PROGRAMS:
            yield list(_without_redirections(words[starts[0] + 1 :]))
        words = []


def _without_redirections(words: list[str]) -> Iterator[str]:
    is_target = False
    for word, following in pairwise([*words, ""]):
        is_descriptor = word.isdecimal() and _is_redirection(following)  # the 3 of `3>&1`
        if not is_target and not is_descriptor and not _is_redirection(word):
            yield word
        is_target = _is_redirection(word)


def _is_redirection(word: str) -> bool:
    return word != "" and set(word) <= set("<>&")


def _without_comment(line: str) -> str:
    return re.sub(r"(?:^|\s)#.*$", "", line).strip()
