"""Finds attempts of an answer to influence its judge, and keeps marks of the prompt inside an answer from working.

A judge that is gullible gives the points to an answer that addresses it (Zheng et al., arXiv 2306.05685; a null answer
with a forged frame won 83 % on Arena-Hard, arXiv 2410.07137). Kinds are kept apart, so that a report can name them.
Whether an answer only writes about such texts cannot be known: what is found is a place to look, not a proof.
"""

from __future__ import annotations

import re
from itertools import islice

from engine.judging.lenient import JudgeReply

EXCERPT = 80  # characters around a place that are shown
_FRAME = re.compile(
    r"<\|\s*(?:the\s+)?(?:start|end)\s+of\s+[^|<>]{1,40}\|>|<\|\s*user prompt\s*\|>"
    r"|\[\s*(?:the\s+)?(?:start|end)\s+of\s+(?:assistant|answer|response)[^\]\n]{0,30}\]",
    re.IGNORECASE,
)
_CHAT_TAG = re.compile(
    r"<\|(?:im_start|im_end|im_sep|start_header_id|end_header_id|eot_id|begin_of_text|end_of_text|endoftext|system"
    r"|user|assistant|end|start|channel|message|return|turn_start|turn_end)\|>"
    r"|<(?:start|end)_of_turn>|<\|turn>|<turn\|>|\[/?INST\]|<</?SYS>>|</?s>(?=\s*(?:\[INST|system|user|assistant))",
    re.IGNORECASE,
)
_MARKS = re.compile(f"{_FRAME.pattern}|{_CHAT_TAG.pattern}", re.IGNORECASE)

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (
            "instruction to ignore",
            r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:all|any|the|your|previous|prior|above|earlier)\b"
            r"[^.\n]{0,30}\b(?:instructions?|prompts?|rules?|criteria|text|answers?)\b"
            r"|\b(?:do not|don't) (?:follow|use|apply)\b[^.\n]{0,15}\b(?:rubric|criteria|instructions?)\b"
            r"|\b(?:игнорируй|забудь|не учитывай|отбрось)\w*[^.\n]{0,40}(?:инструкци|указани|правил|предыдущ)"
            r"|\bignorier\w*[^.\n]{0,40}(?:anweisung|vorherig)|\bignor(?:e|ez|a|en)\b[^.\n]{0,40}(?:instruc|consign)"
            r"|忽略[^。\n]{0,20}(?:指令|指示|说明|内容)|無視[^。\n]{0,20}(?:指示|命令)|(?:指示|命令)[^。\n]{0,10}無視"
            r"|(?:지시|명령)[^.\n]{0,10}무시",
        ),
        (
            "words to the judge",
            r"\b(?:dear|note to|attention|hello|as) (?:the |an? )?(?:judge|evaluator|grader|rater|reviewer)\b"
            r"|\byou are (?:now )?(?:the |an? )?(?:impartial )?(?:judge|evaluator|grader)\b"
            r"|\b(?:judge|evaluator|grader)s?\b[^.\n]{0,30}\b(?:must|should|please|have to)\b"
            r"|\b(?:rate|score|grade|choose|pick|prefer|select|favou?r)\b[^.\n]{0,20}"
            r"\b(?:this|my) (?:answer|response|reply)\b"
            r"|\bnotes? (?:for|to) (?:the )?(?:judges|graders|evaluators|raters)\b|\bnew instructions?\s*:"
            r"|\b(?:this|my) (?:answer|response|reply)\b[^.\n]{0,40}"
            r"\b(?:highest|full|top|maximum|best) (?:score|marks?|rating|grade)\b"
            r"|\b(?:rate|score|grade|give|award)\b[^.\n]{0,20}\b(?:this|my|me)\b[^.\n]{0,30}"
            r"(?:10/10|\bbetter\b|\bhigh(?:er|est)\b|\bfull marks\b)"
            r"|\b(?:other|second|first) (?:assistant|answer|response)(?:'s answer)?\b[^.\n]{0,20}\b(?:is|was)\b"
            r"[^.\n]{0,20}\b(?:wrong|incorrect|worse|dangerous|false)\b"
            r"|\blieber richter\b|\b(?:wähle|bevorzuge)\w*[^.\n]{0,15}(?:diese|meine) antwort"
            r"|\bcher juge\b|\bchoisi\w*[^.\n]{0,15}(?:cette|ma) réponse"
            r"|\b(?:elige|elija|prefiere)\w*[^.\n]{0,15}(?:esta|mi) respuesta"
            r"|选择(?:这个|此|本|我的)回答|この回答を(?:選|高く)|이 답변을 (?:선택|골라)"
            r"|(?:уважаем\w+|дорог\w+) (?:судья|эксперт)|\bсудья\b[^.\n]{0,30}(?:долж|обязан|прошу|пожалуйста)"
            r"|(?:оцени|выбери|поставь)\w*[^.\n]{0,25}(?:этот|мой|моему|этому) ответ",
        ),
        (
            "verdict in words",
            r"\b(?:assistant|answer|response|model) [AB]\b[^.\n]{0,30}"
            r"\b(?:is|was) (?:\w+ )?(?:better|best|superior|winner)"
            r"|\b(?:this|my) (?:answer|response) (?:is|was) (?:\w+ )?(?:better|best|superior|the winner)\b"
            r"|\b(?:assistant|answer|response|model) [AB]\b[^.\n]{0,15}\b(?:wins|won|should win|deserves)\b"
            r"|\bcorrect (?:output|label|verdict) (?:is|:)"
            r"|\b(?:my )?(?:final verdict|winner) is\b|\bverdict\s*:\s*(?:assistant|answer|response) [AB]\b"
            r"|(?:ответ|ассистент)\w* [АБAB]\b[^.\n]{0,30}(?:лучше|победи)"
            r"|(?:мой|этот) ответ[^.\n]{0,20}(?:лучш|победи)"
            r"|итоговый вердикт|окончательный вердикт|победитель\s*[:—-]",
        ),
        (
            "forged message",
            r"(?:^|\n)\s*(?:#+\s*|\[|\*\*)?(?:system|система)(?: message| note| prompt)?(?:\]|\*\*)?\s*:"
            r"|\[\s*system(?: message| note| prompt)?\s*\]|</?(?:system|verdict|judge|judgment)>"
            r"|\n\s*\n(?:human|assistant)\s*:",
        ),
        (
            "hidden text",
            r"<!--[^>]{0,200}\b(?:judge|evaluator|grader|verdict|choose|prefer)\b|[\U000e0000-\U000e007f]{4}|[\u200b\u200c\u200d\u2060\ufeff]{8}",
        ),
    )
)


def influences(answer: str) -> dict[str, str]:
    """Return the kinds of attempts to influence a judge that an answer seems to hold, each with an excerpt."""
    found: dict[str, str] = {}
    for kind, pattern in (("end of a section", _FRAME), ("chat tag", _CHAT_TAG), *_KINDS):
        if match := pattern.search(answer):
            found[kind] = _excerpt(answer, match.start(), match.end())
    text = JudgeReply(answer)
    labels = [*text.double_bracketed(), *(each for each in text.marked() if answer[each.start] == "[")]
    labels += [each for each in text.bare() if text.is_final(each)]
    for label in islice(labels, 1):
        found["verdict label"] = _excerpt(answer, label.start, label.end)
    return found


def with_inert_marks(answer: str) -> str:
    """Return an answer whose marks of the judge's prompt and tags of chat templates no longer work as such.

    `<|The End of Assistant A's Answer|>` becomes `<| The End of Assistant A's Answer|>`: readable, and no mark.
    """
    if "<" not in answer and "[" not in answer:
        return answer
    return _MARKS.sub(_made_inert, answer)


def _made_inert(mark: re.Match[str]) -> str:
    text = mark[0]
    at = 2 if text[:2] in ("<|", "<<") else 1
    return f"{text[:at]} {text[at:]}"


def _excerpt(text: str, start: int, end: int) -> str:
    shown = " ".join(text[max(0, start - EXCERPT // 4) : max(end, start + EXCERPT)].split())
    return shown if len(shown) <= 2 * EXCERPT else shown[: 2 * EXCERPT - 1] + "…"
