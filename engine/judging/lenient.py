"""Reads what judges really write: every common spelling of the five labels, and never a guess between two of them.

Forms are tried in turn, and the first that holds any label decides: double brackets or `\\boxed{}`; single brackets,
bold or code; a bare label alone on its line, after "verdict" or the like, or after the colon that ends the reply.
Within a form, the same label may come any number of times. If there are different ones,

1. mentions that are not the judge's own verdict are set aside: the menu of options (three or more different labels side
   by side or line by line), and quotations and code that the reply goes on after, such as an answer's fake verdict;
2. of what is left, one announced as final ("My final verdict is [[B>A]]", a heading "Итоговый вердикт") is taken if no
   other label follows it and nothing else is announced so;
3. otherwise it is a conflict: null, to be asked again and reported.

A label that is only quoted, or only in the menu, is no verdict either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.judging.mentions import Mention, Reply
from engine.judging.rules import CONFLICT, NONE, Verdict
from engine.records import LABELS

_LONE_LABELS = {f"[[{label}]]": Verdict(label) for label in LABELS}  # what nearly every reply to "simple" is
_MENU = 3  # different labels in a row make a list of the options


def lenient(text: str) -> Verdict:
    """The verdict of a reply. Never raises; linear in the length of the text."""
    if (lone := _LONE_LABELS.get(text)) is not None:
        return lone
    reply = Reply(text)
    nothing = NONE
    for form in (reply.double_bracketed, reply.set_off, reply.bare):
        mentions = form()
        own = [mention for mention in _without_menus(reply, mentions) if not reply.is_aside(mention)]
        if own:
            return _decided(reply, own)
        if len({mention.label for mention in mentions}) > 1:
            nothing = CONFLICT
    return nothing


def _decided(reply: Reply, own: Sequence[Mention]) -> Verdict:
    last = own[-1]
    if all(mention.label == last.label for mention in own):
        return Verdict(last.label)
    announced = {mention.label for mention in own if reply.is_final(mention)}
    return Verdict(last.label) if announced == {last.label} and reply.is_final(last) else CONFLICT


def _without_menus(reply: Reply, mentions: Sequence[Mention]) -> Iterator[Mention]:
    """All mentions but those that together list the options to choose from."""
    run: list[Mention] = []
    for mention in mentions:
        if run and not _continues(reply, run, mention):
            yield from run if len(run) < _MENU else ()
            run = []
        run.append(mention)
    yield from run if len(run) < _MENU else ()


def _continues(reply: Reply, run: Sequence[Mention], mention: Mention) -> bool:
    """Whether it can be the next entry of a list of different labels: on the same line or (nearly) the next."""
    if any(mention.label == listed.label for listed in run):
        return False
    lines = reply.lines_between(run[-1], mention)
    return lines <= 2 and not (lines and reply.is_final(mention))
