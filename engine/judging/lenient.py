"""The `lenient` rule: every common spelling of the five labels in a judge's reply, and never a guess between two.

A label counts only where the judge gives its own verdict:

1. Announced: "My final verdict is [[B>A]]", a heading "Итоговый вердикт", in any form (double brackets or `\\boxed{}`,
   single brackets, bold, code, bare). It wins over mentions before it; a different label after it is a conflict.
2. Else in double brackets, the form that prompts ask for: at the end of the reply, at its beginning, alone on a line,
   or on a line with a word for a verdict. Different labels are a conflict: null, to be asked again and reported.
3. Else in a looser form, in the last line only.

Not the judge's own are the menu of options (three or more different labels side by side or line by line); quotations
and code; rows of tables; and lines that speak of what an answer wrote, claims or attempts. Such a label is no verdict,
even if the reply holds no other. Every scan is linear in the length of the text: all repeats and all looks around a
mention are bounded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from engine.judging.spelling import CONFLICT, NONE, SPELLING, Verdict, meaning, normalise_label
from engine.labels import LABELS, Label

_LONE_LABELS = {f"[[{label}]]": Verdict(label) for label in LABELS}  # nearly every reply to "simple" is one
_MENU = 3  # different labels in a row make a list of the options
_LOOK = 160  # characters around a mention on its line that show how it is meant

_OPEN, _CLOSE = r"\[［【", r"\]］】"
_BRACKETED = re.compile(
    rf"([{_OPEN}](?:\\?[{_OPEN}]){{0,3}})([^{_OPEN}{_CLOSE}]{{1,80}})([{_CLOSE}](?:\\?[{_CLOSE}]){{0,3}})"
)
_BOXED = re.compile(r"\\boxed[ \t]?\{((?:[^{}\n]|\{[^{}\n]{0,20}\}){1,40})\}")
_EMPHASISED = re.compile(r"(\*{2,3}|_{2,3}|`{1,3})([^*`_\n]{1,60})\1")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_INDEXED = re.compile(r"[\w)\]]", re.ASCII)  # what stands before a bracket that is an index, as in `rows[a<b]`
_FINAL = (
    "final", "overall", "conclu", "my verdict", "итог", "окончательн", "финальн", "мой вердикт",
    "в целом", "endgültig", "abschließend", "mein urteil", "fazit", "verdict est", "veredicto",
    "verdetto", "werdykt", "ostateczn", "остаточн", "nihai", "karar", "最终", "最後", "最終", "结论", "結論",
    "최종", "결론", "النهائي",
)  # fmt: skip
_VERDICT = (
    *_FINAL, "verdict", "label", "winner", "choose", "prefer", "judg", "therefore", "thus", "so:",
    "вердикт", "вывод", "решение", "метка", "выбираю", "поэтому", "urteil", "bewertung", "deshalb",
    "donc", "jugement", "por tanto", "quindi", "ocena", "判断", "判定", "评判", "판정", "الحكم",
)  # fmt: skip
_OF_AN_ANSWER = (
    "wrote", "writes", "written", "claim", "contain", "includ", "instruct", "ignor", "attempt",
    "inject", "manipulat", "quot", "asks", "asked", "demand", "pretend", "fake", "trick",
    "tries to", "trying", "insert", "embed", "request", "says", "said", "states", "ends with",
    "begins with", "closes with", "starts with", "reads", "the text", "the string", "написал",
    "пишет", "утвержда", "содерж", "проси", "игнор", "попыт", "инъекц", "манипул", "цитат",
    "вставл", "требу", "заканчива", "начина", "указыва", "строк", "schreibt", "behaupte",
    "enthält", "ignorier", "versuch", "zitat", "écrit", "prétend", "contient", "tente", "cite",
    "escribe", "afirma", "contiene", "intent", "ignora", "scrive", "sostiene", "tenta", "escreve",
    "contém", "pisze", "zawiera", "próbuj", "пише", "містить", "спроб", "yazıyor", "iddia", "写道",
    "声称", "包含", "试图", "忽略", "要求", "書い", "主張", "含ま", "無視", "시도", "주장", "포함", "무시",
    "كتب", "يدعي", "يحتوي", "تجاهل", "the output", "output of", " diz", "escreveu", "disse", " dice", "escribió",
    "last line of", "first line of", "end of the", "endet", "termine par", "termina", "kończy", "оканчива", "закінч",
    "avslut", "eindigt", "ile bit", "结尾", "とある", "末尾", "で終わ", "끝나", "끝난", "تنتهي",
    "sanoo", "kirjoit", "obsahuje", "píše", "tvrdí", "azt írja", "tartalmaz", "λέει", "γράφει", "spune", "scrie",
    "conține", "כותב", "אומר", "می‌نویسد", "می‌گوید", "เขียน", "กล่าว", "siger", "skriver",
    "লিখে", "বলে", "zegt", "beweert",
    "napisał", "yazdı", "yazmış", "लिखा", "लिखता", "कहता", "viết", "menulis", "schreef", "skrev", "sagt", "говорит",
)  # fmt: skip
_NOT_SAID = re.compile(
    r"(?:\bnot|n't|\brather than|\binstead of|\bnicht|\bне|\bsomething like|\bsuch as|\bfor example)[ \t*_`\"\[]{0,4}$"
    r"|\bwould have been\b[^,;:]{0,10}$|\bin the (?:example|template)\b[^.]{0,40}$"
    r"|\b(?:he|she|they|it) (?:said|says|claims?|wrote|writes)\b[^.:]{0,40}$"
    r"|(?:\b(?:according to|selon|laut|según|segundo|secondo|по мнению|по словам|согласно|według)\b|根据)"
    r"[^,;:.]{0,6}(?:assistant|answer|response|assistent|antwort|réponse|asistente|respuesta|assistente|risposta"
    r"|ассистент|ответ|asystent|助手|回答)\w{0,3}\W{0,3}[AB](?![A-Za-z])[^.]{0,60}$|"
    r"\b(?:not|never|n't)\s+(?:\w+\s+)?(?:output|say|give|choose|write|assign|conclude|the case that|justify|warrant)\b"
    r"[^,;:]{0,30}$"
    r"|\b(?:had(?! to)|if(?! i had| forced| i must| i have to)|were|unless)\b.*\bwould\b[^,;:]{0,40}$"
    r"|\bif\s+[AB]\b[^.]{0,25}$"
    r"|\bне (?:могу|буду|ставлю|поставлю|выбираю|выберу|напишу)\b[^,;:]{0,30}$|\bесли бы\b.*\bбы\b[^,;:]{0,40}$"
    r"|\b(?:wäre|hätte)\b.*\bwürde\b[^,;:]{0,40}$|\bsi\b.*\b(?:dirais|diría)\b[^,;:]{0,40}$",
    re.IGNORECASE,
)
"""What stands before a label that is denied, or would be given in another case."""
_WOULD_BE = re.compile(
    r"\W{0,5}(?:(?:would|might have|wäre|serait|sería|seria|sarebbe|было бы|була б)\b"
    r"|と(?:ある|書|述|主張)|라고|로 끝|(?:holds|implies|iff|is (?:true|false))\b)",
    re.IGNORECASE,
)
"""What stands behind a label that would be given in another case, or is reported."""
_SO = re.compile(
    r"[,;]\s*(?:so|therefore|thus|hence|поэтому|значит|следовательно|deshalb|daher|also|donc|por tanto|por eso|quindi"
    r"|portanto|dlatego|тому|bu yüzden)\b[^,;:.]{0,20}$|(?:所以|因此|よって|따라서)[^,，。]{0,12}$",
    re.IGNORECASE,
)
"""What stands before a label that follows from what an answer wrote."""
_PART_OF_AN_ANSWER = re.compile(
    r"<\|the start of|\[the start of|\b(?:assistant|answer|response|reply)\b|ответ|ассистент|antwort|réponse"
    r"|respuesta|resposta|risposta|odpowiedź|відповідь|回答|助手|답변|إجابة",
    re.IGNORECASE,
)
_BETTER = (
    "better",
    "best",
    "superior",
    "лучш",
    "besser",
    "meilleur",
    "mejor",
    "melhor",
    "miglior",
    "lepsz",
    "краще",
    "更好",
)
_SENTENCE_END = re.compile(r"[.!?]\s|[。！？]")
_DECORATION = " \t\r*_`#>|-–—•.:()[]\"'“”«»0123456789"
_QUOTES = (
    ("“", "”"),
    ("«", "»"),
    ("„", "“"),
    ("„", "”"),
    ("»", "«"),
    ("‘", "’"),
    ("「", "」"),
    ("『", "』"),
    ("‹", "›"),
)


class Mention(msgspec.Struct, frozen=True):
    """A label somewhere in a reply, from `start` up to `end`."""

    label: Label
    start: int
    end: int


class JudgeReply:
    """A judge's reply, searched for labels form by form. Mentions come in the order of the text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def double_bracketed(self) -> list[Mention]:
        """Find `[[A>B]]`, also with words beside the label inside the brackets, and `\\boxed{A>B}`."""
        bracketed = (
            Mention(label, match.start(), match.end())
            for match in _BRACKETED.finditer(self.text)
            if _depth(match) >= 2 and (label := normalise_label(match[2]) or _only_label_in(match[2]))
        )
        return sorted([*bracketed, *_labelled(_BOXED.finditer(self.text), 1)], key=_place)

    def marked(self) -> list[Mention]:
        """Find `[A>B]`, and a label alone in bold or code: `**A>B**`. A bold "tie" must be announced or come last."""
        bracketed = (
            match
            for match in _BRACKETED.finditer(self.text)
            if _depth(match) == 1 and not (match.start() and _INDEXED.match(self.text, match.start() - 1))
        )
        emphasised = (
            mention
            for mention in _labelled(_EMPHASISED.finditer(self.text), 2)
            if not self._is_tie_in_words(mention) or self.is_final(mention) or self.is_last(mention)
        )
        return sorted([*_labelled(bracketed, 2), *emphasised], key=_place)

    def bare(self) -> list[Mention]:
        """Find labels without markup that must be verdicts: alone on the line, announced, or after a last colon."""
        spelt = (
            Mention(label, match.start(), match.end())
            for match in SPELLING.finditer(self.text)
            if (label := meaning(match))
        )
        return [mention for mention in spelt if self._is_verdict_by_its_place(mention)]

    def is_final(self, mention: Mention) -> bool:
        """Return whether the text before it on its line, or a heading above, calls it the final verdict."""
        before, after = self._line_around(mention)
        if before.strip(_DECORATION) or after.strip(_DECORATION):
            return _has(_FINAL, before)
        heading = self._line_above(mention, before)
        return (heading.startswith("#") or heading.endswith((":", "：", "**"))) and _has(_FINAL, heading)

    def is_own(self, mention: Mention) -> bool:
        """Return whether a mention may be the judge's own verdict: not quoted, in code, in a table or of an answer."""
        before, after = self._line_around(mention)
        alone = not before.strip(_DECORATION) and not after.strip(_DECORATION)
        if self.is_last(mention) and alone:
            return True
        if before.lstrip().startswith((">", "|")) or self._is_fenced(mention.start):
            return False
        if (alone and self._is_under_an_answer(mention)) or _WOULD_BE.match(after):
            return False
        if _is_in_quotes(before, after) and not (self.is_last(mention) and self._is_announced_quotation(before)):
            return False
        clause = _SENTENCE_END.split(before)[-1]
        if _NOT_SAID.search(clause):
            return False
        if _SO.search(clause):
            return True
        if self.is_final(mention):
            reported, _, announced = clause.partition(":")
            return not (_has(_OF_AN_ANSWER, reported) and _has(_FINAL, announced))
        return not _has(_OF_AN_ANSWER, f"{clause} {_SENTENCE_END.split(after)[0]}")

    def _line_above(self, mention: Mention, before: str) -> str:
        """Return the last line with text above the line of a mention, which begins with `before`."""
        end = mention.start - len(before)
        above = self.text[max(0, end - _LOOK) : end].rstrip()
        return above[above.rfind("\n") + 1 :].strip()

    def _is_under_an_answer(self, mention: Mention) -> bool:
        """Return whether the line above says that what follows is part of an answer."""
        heading = self._line_above(mention, self._line_around(mention)[0])
        is_heading = heading.endswith((":", "：", "|>", "**", "]")) and not _has((*_VERDICT, *_BETTER), heading)
        return is_heading and _PART_OF_AN_ANSWER.search(heading) is not None

    @staticmethod
    def _is_announced_quotation(before: str) -> bool:
        """Return whether a word for a verdict, and none of what an answer says, stands before the opening quote."""
        opening = max(before.rfind(quote) for quote in ('"', "'", "`", *(opening for opening, _ in _QUOTES)))
        outside = before[:opening]
        return not outside.strip(_DECORATION) or (_has(_VERDICT, outside) and not _has(_OF_AN_ANSWER, outside))

    def is_at_a_verdicts_place(self, mention: Mention) -> bool:
        """Return whether a mention is at the end or the beginning of the reply, alone on its line, or introduced."""
        before, after = self._line_around(mention)
        if not before.strip(_DECORATION):
            return not after.strip(_DECORATION) or not self.text[: mention.start].strip(_DECORATION)
        return self.is_last(mention) or _has(_VERDICT, before)

    def is_in_last_line(self, mention: Mention) -> bool:
        """Return whether no line with a letter follows that of a mention."""
        end = self.text.find("\n", mention.end)
        return end < 0 or self._last_letter < end

    def is_last(self, mention: Mention) -> bool:
        """Return whether only punctuation and markup follow it."""
        return self._last_letter < mention.end

    def lines_between(self, one: Mention, other: Mention) -> int:
        """Return the number of line breaks between two mentions."""
        return self.text.count("\n", one.end, other.start)

    def _is_verdict_by_its_place(self, mention: Mention) -> bool:
        before, after = self._line_around(mention)
        if not before.strip(_DECORATION) and not after.strip(_DECORATION):
            return True
        closes = self.is_last(mention) and before.rstrip(" *_`").endswith((":", "：", "—", "→"))
        return closes or _has(_VERDICT, before)

    def _is_tie_in_words(self, mention: Mention) -> bool:
        return SPELLING.search(self.text, mention.start, mention.end) is None

    def _line_around(self, mention: Mention) -> tuple[str, str]:
        """Return the text before and after it on its line, up to `_LOOK` characters each."""
        before = self.text[max(0, mention.start - _LOOK) : mention.start]
        after = self.text[mention.end : mention.end + _LOOK]
        return before[before.rfind("\n") + 1 :], after.partition("\n")[0]

    def _is_fenced(self, place: int) -> bool:
        index = bisect_right(self._fences, place)
        return index % 2 == 1 and index < len(self._fences)  # the last fence of an odd number opens nothing

    @cached_property
    def _fences(self) -> list[int]:
        return [fence.start() for fence in _FENCE.finditer(self.text)]

    @cached_property
    def _last_letter(self) -> int:
        return next((place for place in range(len(self.text) - 1, -1, -1) if self.text[place].isalnum()), -1)


def _labelled(matches: Iterable[re.Match[str]], group: int) -> list[Mention]:
    """Return the matches whose `group` is a label and nothing else."""
    return [Mention(label, match.start(), match.end()) for match in matches if (label := normalise_label(match[group]))]


def _place(mention: Mention) -> int:
    return mention.start


def _depth(match: re.Match[str]) -> int:
    return min(len(match[1].replace("\\", "")), len(match[3].replace("\\", "")))


def _only_label_in(text: str) -> Label | None:
    """Return the label of `A=B: Tie` or `Verdict: A>B`; None for several or none."""
    found = [meaning(match) for match in SPELLING.finditer(text)]
    return found[0] if len(found) == 1 else None


def _has(words: tuple[str, ...], text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in words)


def _is_in_quotes(before: str, after: str) -> bool:
    """Return whether a quotation or a piece of code begins before and ends after it on the line."""
    if any(before.count(quote) % 2 and quote in after for quote in ('"', "`")):
        return True
    if re.search(r"(?:^|\s)'[^']*$", before) and "'" in after:
        return True
    return any(before.rfind(opening) > before.rfind(closing) and closing in after for opening, closing in _QUOTES)


def lenient(text: str) -> Verdict:
    """Return the verdict of a reply. Never raises; linear in the length of the text."""
    if (lone := _LONE_LABELS.get(text)) is not None:
        return lone
    reply = JudgeReply(text)
    forms = [form() for form in (reply.double_bracketed, reply.marked, reply.bare)]
    strong, *loose = ([each for each in _without_menus(reply, found) if reply.is_own(each)] for found in forms)
    last_lines = [[each for each in found if reply.is_in_last_line(each)] for found in loose]
    announced = sorted(filter(reply.is_final, [*strong, *last_lines[0], *last_lines[1]]), key=_place)
    if announced:
        last = announced[-1]
        labels = {each.label for each in announced} | {each.label for each in strong if each.start > last.start}
        return Verdict(last.label) if len(labels) == 1 else CONFLICT
    decisive = [each for each in strong if reply.is_at_a_verdicts_place(each)]
    for own, deciding in ((strong, decisive), *zip(loose, last_lines, strict=True)):
        if deciding:
            is_one = all(each.label == deciding[0].label for each in own)
            return Verdict(deciding[0].label) if is_one else CONFLICT
    return CONFLICT if any(len({each.label for each in found}) > 1 for found in forms) else NONE


def ends_with_label(text: str) -> bool:
    """Return whether a reply ends with a label in any form: one that was cut off by the token limit rarely does."""
    reply = JudgeReply(text)
    return any(
        reply.is_last(mention) for form in (reply.double_bracketed, reply.marked, reply.bare) for mention in form()[-1:]
    )


def _without_menus(reply: JudgeReply, mentions: Sequence[Mention]) -> Iterator[Mention]:
    """Yield all mentions except those that together list the options."""
    run: list[Mention] = []
    for mention in mentions:
        if run and not _continues(reply, run, mention):
            yield from run if len(run) < _MENU else ()
            run = []
        run.append(mention)
    yield from run if len(run) < _MENU else ()


def _continues(reply: JudgeReply, run: Sequence[Mention], mention: Mention) -> bool:
    """Return whether it can be the next entry of a list of different labels: on the same or (nearly) the next line."""
    if any(mention.label == listed.label for listed in run):
        return False
    lines = reply.lines_between(run[-1], mention)
    return lines <= 2 and not (lines and reply.is_final(mention))
