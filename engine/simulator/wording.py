"""The sentences of simulated models, in Russian and English, from `wording.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Language: TypeAlias = Literal["ru", "en"]


class Phrases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sentences of one language, by their part of an answer, and the cues of solid and vague sentences."""

    openings: tuple[tuple[str, ...], tuple[str, ...]]  # vague, solid
    headings: tuple[str, ...]
    points: tuple[tuple[str, ...], tuple[str, ...]]  # vague, solid
    padding: tuple[str, ...]
    closings: tuple[tuple[str, ...], tuple[str, ...]]  # vague, solid
    code: str
    thought: str
    own_answer: str
    comparison: tuple[str, str, str]  # A is better, equal, B is better
    verdict: str
    no_verdict: tuple[str, ...]
    undecided: str
    no_answers: str
    solid_cues: tuple[str, ...]
    vague_cues: tuple[str, ...]


PHRASES = msgspec.toml.decode(Path(__file__).with_name("wording.toml").read_bytes(), type=dict[Language, Phrases])
