"""The state of a session in one line: stage, progress, time left, failures, and what is wrong with its reason.

The same on every screen, in the title of the terminal and wherever a run is described in a line. Imports no Textual.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from arena_tui.output.clock import clock
from arena_tui.output.outages import reasons, trouble_words, troubles
from arena_tui.output.stop_rule import standing_words
from arena_tui.safe_text import one_line, text_width
from engine.errors import as_line

if TYPE_CHECKING:
    from arena_tui.session.arena_session import ArenaSession
    from engine.work.progress import Phase, RunState

Tone: TypeAlias = Literal["", "strong", "muted", "good", "bad", "warning", "accent"]
_ALWAYS, _SHORTENED = 9, 6  # needs: never left out; left out only after the others were shortened


class StatusPart(NamedTuple):
    """A phrase of the line. Where that is too long, phrases of low `need` are left out, then the `short` ones used."""

    text: str
    tone: Tone = ""
    need: int = 5
    short: str = ""


def status_parts(session: ArenaSession, now: float) -> list[StatusPart]:
    """Return the phrases for the session at `now` (`steady_now`)."""
    state = session.state
    if session.status == "opening" or (session.plan is None and session.run is None and state.phase == "planning"):
        return [StatusPart("reading the config and the bench ...", "muted", _ALWAYS)]
    if session.status in ("running", "paused", "stopping", "following"):
        return _active(session, state, now)
    if session.run is not None or state.phase != "planning":
        return _ended(session, state, now)
    plan, duration = session.plan, session.duration
    if plan is None or not (plan.answers or plan.judgments):
        return [StatusPart("nothing to do: the config names no model to answer or to judge", "warning", _ALWAYS)]
    if not plan.calls:
        return [StatusPart("everything is cached: no calls to make", "good", _ALWAYS)]
    parts = [StatusPart(f"Plan: {plan.calls} calls", "strong", _ALWAYS)]
    if duration:
        parts.append(StatusPart(f"about {clock(max(1.0, duration.seconds))}", "", 6))
        parts.append(StatusPart(duration.basis, "muted", 4))
    return parts


def fitted_parts(parts: Sequence[StatusPart], width: int, gap: int) -> list[StatusPart]:
    """Return the phrases that fit in `width` columns, `gap` columns apart."""
    kept = list(parts)
    for least in range(_ALWAYS):
        if _width(kept, gap) <= width:
            break
        if least == _SHORTENED:
            kept = [part._replace(text=part.short or part.text) for part in kept]
            if _width(kept, gap) <= width:
                break
        kept = [part for part in kept if part.need > least]
    return kept


def _width(parts: Sequence[StatusPart], gap: int) -> int:
    return sum(text_width(part.text) + gap for part in parts) - gap


def title_words(session: ArenaSession) -> str:
    """Return the title of the terminal: the bench and its state in a few words."""
    if not session.is_open:
        return "arena-tui"
    first, *others = status_parts(session, session.now())
    wrong = [part.short or part.text for part in others if part.tone == "bad"]
    return f"{one_line(session.bench.name)}: {', '.join([first.short or first.text, *wrong])}"


def _active(session: ArenaSession, state: RunState, now: float) -> list[StatusPart]:
    tasks = [task for key, task in state.tasks.items() if key.stage in state.stages] or list(state.tasks.values())
    total = sum(task.expected for task in tasks)
    made = min(total, sum(task.cached + task.done for task in tasks))
    doing = one_line(state.doing)
    share = f"{int(100 * made / total)}%" if total else ""  # 100 only where all is done
    progress = f"{doing} {made:,}/{total:,} {share}" if total else doing
    parts = [StatusPart(progress, "strong", _SHORTENED + 1, f"{doing} {share}".strip())]
    if session.status == "paused":
        parts.append(StatusPart("PAUSED", "warning", _ALWAYS))
    elif session.status == "stopping":
        parts.append(StatusPart("STOPPING", "warning", _ALWAYS))
    elif session.status == "following":
        parts.append(StatusPart("read-only", "warning", _ALWAYS))
    wrong = troubles(state)
    is_stuck = any(each.is_whole for each in wrong)
    if wrong:
        short = trouble_words(wrong, now, short=True)
        parts.append(StatusPart(trouble_words(wrong, now), "bad" if is_stuck else "warning", _ALWAYS, short))
    if state.failed:
        parts.append(StatusPart(f"{state.failed:,} failed", "bad", 8))
    speed = session.speed
    if speed is not None and session.status != "stopping" and not is_stuck:
        if speed.eta is not None:
            parts.append(StatusPart(f"ETA {clock(speed.eta)}", "", 6))
        if speed.calls_per_second >= 0.05:
            parts.append(StatusPart(f"{speed.calls_per_second:.1f} calls/s", "muted", 3))
    if standing := standing_words(state):
        parts.append(StatusPart(standing, "accent", 4))
    parts.append(StatusPart(f"{clock(state.active_seconds(now))} so far", "muted", 2))
    return parts


_ENDINGS: dict[Phase, tuple[str, Tone]] = {
    "done": ("Done", "good"),
    "failed": ("INCOMPLETE", "bad"),
    "interrupted": ("Stopped", "warning"),
    "planning": ("Ended", "warning"),
    "running": ("Ended", "warning"),
}


def _ended(session: ArenaSession, state: RunState, now: float) -> list[StatusPart]:
    left = sum(task.left for task in state.tasks.values())
    failure = session.failure
    made, cached = (sum(getattr(task, name) for task in state.tasks.values()) for name in ("done", "cached"))
    work = f"{made} records made in {clock(state.active_seconds(now))}"
    if failure is not None:
        parts = [StatusPart(f"FAILED: {one_line(as_line(failure.title))}", "bad", _ALWAYS)]
    elif state.phase == "failed" and (why := reasons(state)):
        parts = [StatusPart(f"INCOMPLETE: {why}", "bad", _ALWAYS)]
    else:
        word, tone = _ENDINGS[state.phase]
        parts = [StatusPart(f"{word}: {work}", tone, _ALWAYS)]
        work = ""
    if state.failed:
        parts.append(StatusPart(f"{state.failed:,} failed", "bad", 8))
    if left and state.phase != "done":
        parts.append(StatusPart(f"{left:,} records not made", "", 7))
    if standing := standing_words(state):
        parts.append(StatusPart(standing, "accent", 5))
    if work:
        parts.append(StatusPart(work, "muted", 5))
    parts.append(StatusPart(f"{cached:,} cached", "muted", 4))
    parts.append(StatusPart(f"{state.calls:,} calls, {state.completion_tokens:,} tokens", "muted", 3))
    return parts
