"""The sentences of simulated models, in Russian and English: data only.

`{t}` is replaced by a word of the question. A solid sentence has something that a reader could check (an example, a
reason, a test); a vague one hedges. `verdicts` counts the cues of both kinds, in these and in any other texts.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Language: TypeAlias = Literal["ru", "en"]


class Phrases(msgspec.Struct, frozen=True):
    """The sentences of one language, by their part of an answer."""

    openings: tuple[tuple[str, ...], tuple[str, ...]]  # vague, solid
    headings: tuple[str, ...]
    points: tuple[tuple[str, ...], tuple[str, ...]]  # vague, solid
    padding: tuple[str, ...]
    closings: tuple[tuple[str, ...], tuple[str, ...]]  # vague, solid
    code: str
    thought: str
    own_answer: str
    comparison: tuple[str, str, str]  # A is better, equal, B is better
    verdict: str  # followed by the label
    no_verdict: tuple[str, ...]
    undecided: str  # {a} and {b} are two different labels
    no_answers: str


PHRASES: dict[Language, Phrases] = {
    "ru": Phrases(
        openings=(
            (
                "Сложно сказать однозначно, но попробую рассказать про «{t}».",
                "Вопрос про «{t}» непростой, тут наверное нет единого ответа.",
                "Как языковая модель, я могу лишь в целом порассуждать о том, что такое «{t}».",
            ),
            (
                "Короткий ответ: начните с «{t}», потому что от этого зависит остальное.",
                "Разберу «{t}» по порядку; каждый шаг можно проверить, например на данных из вопроса.",
                "Главное здесь — «{t}». Итог приведу сразу, а затем покажу, почему он верен.",
            ),
        ),
        headings=("Разбор", "Решение", "По шагам", "Подробности"),
        points=(
            (
                "«{t}»: всё возможно зависит от ситуации.",
                "В целом «{t}» обычно делают так, как принято.",
                "«{t}»: наверное, стоит почитать об этом подробнее.",
                "Вероятно, «{t}» играет здесь какую-то роль.",
                "«{t}»: я не уверен, но кажется, это важно.",
                "Многое, возможно, определяется тем, как понимать «{t}».",
            ),
            (
                "Проверьте «{t}» на граничном случае: пустой ввод, один элемент, повтор.",
                "Возьмите «{t}» и подставьте числа: например, 3 и 7 дают 10, а не 21.",
                "«{t}» идёт первым, потому что следующий шаг использует его результат.",
                "Запишите «{t}» явно, чтобы ошибку было видно: например, отдельной строкой.",
                "Для «{t}» есть два пути; первый быстрее, поэтому при 1000 строк берите его.",
                "Проверка для «{t}»: измените одно условие, и результат должен измениться.",
            ),
        ),
        padding=(
            "Тема «{t}» интересует многих, и о ней написано немало.",
            "Следует также упомянуть, что «{t}» встречается в самых разных областях.",
            "Рассмотрим «{t}» ещё раз с другой стороны, чтобы картина была полной.",
        ),
        closings=(
            (
                "Надеюсь, это в целом поможет!",
                "Возможно, есть и другие варианты.",
                "Извините, если я понял вопрос неверно.",
            ),
            (
                "Итог: «{t}» решено, проверка на примере выше сходится.",
                "Поэтому ответ следует прямо из шага про «{t}».",
            ),
        ),
        code='def solve(items: list[str]) -> dict[str, int]:\n    """Считает, сколько раз встречается элемент."""\n'
        "    counts: dict[str, int] = {}\n    for item in items:\n        counts[item] = counts.get(item, 0) + 1\n"
        "    return counts\n\n\nassert solve([]) == {}  # граничный случай\n",
        thought="Пользователь спрашивает про «{t}». Сначала пойму, что дано, потом выберу порядок изложения.",
        own_answer="Мой собственный ответ: главное здесь — «{t}», и его нужно подтвердить примером.",
        comparison=(
            "Ответ помощника A конкретнее: в нём больше проверяемого. Ответ B слабее.",
            "Ответы близки по полезности: оба говорят об одном и том же.",
            "Ответ помощника B конкретнее: в нём больше проверяемого. Ответ A слабее.",
        ),
        verdict="Мой окончательный вердикт: ",
        no_verdict=(
            "Оба ответа имеют сильные и слабые стороны, и выбрать лучший я не берусь.",
            "Сравнение зависит от того, что нужно пользователю.",
        ),
        undecided="Сначала мне казалось, что {a}, но с другой стороны {b}.",
        no_answers="В этом запросе нет двух ответов, которые можно сравнить.",
    ),
    "en": Phrases(
        openings=(
            (
                'It is hard to say for certain, but here are some thoughts on "{t}".',
                'Perhaps there is no single answer when it comes to "{t}".',
                'As an AI, I can only talk about "{t}" in general.',
            ),
            (
                'Short answer: start with "{t}", because the rest depends on it.',
                'Let us take "{t}" in order; each step can be checked, for example on the data of the question.',
                'The key is "{t}". The result comes first, then the reasons, because that is quickest to read.',
            ),
        ),
        headings=("Breakdown", "Solution", "Step by step", "Details"),
        points=(
            (
                '"{t}": it depends on the situation.',
                'In general, "{t}" is done the way it is usually done.',
                '"{t}": perhaps it is worth reading more about this.',
                'Maybe "{t}" plays some role here.',
                '"{t}": I am not sure, but it seems important.',
                'There are many factors to consider about "{t}".',
            ),
            (
                'Check "{t}" on an edge case: empty input, one item, a repeated item.',
                'Take "{t}" and put in numbers: for example, 3 and 7 give 10, not 21.',
                '"{t}" goes first because the next step uses its result.',
                'Write "{t}" down explicitly, so that a mistake shows: for example, on a line of its own.',
                'There are two ways to do "{t}"; the first is quicker, therefore take it for 1000 rows.',
                'To check "{t}", change one condition: the result must change too, or the step is wrong.',
            ),
        ),
        padding=(
            'The topic of "{t}" interests many people, and much has been written about it.',
            'One should also mention that "{t}" is met in the most diverse areas.',
            'Let us look at "{t}" once more from another side, to complete the picture.',
        ),
        closings=(
            ("I hope this helps in general!", "Maybe there are other options.", "Sorry if I got the question wrong."),
            (
                'Result: "{t}" is settled, and the check on the example above holds.',
                'Therefore the answer follows directly from the step about "{t}".',
            ),
        ),
        code='def solve(items: list[str]) -> dict[str, int]:\n    """Count how often each item occurs."""\n'
        "    counts: dict[str, int] = {}\n    for item in items:\n        counts[item] = counts.get(item, 0) + 1\n"
        "    return counts\n\n\nassert solve([]) == {}  # edge case\n",
        thought='The user asks about "{t}". First see what is given, then choose the order of the answer.',
        own_answer='My own answer: the key is "{t}", and it needs an example to back it.',
        comparison=(
            "Assistant A is more concrete: more of it can be checked. Assistant B is weaker.",
            "The answers are about equally helpful: both say much the same.",
            "Assistant B is more concrete: more of it can be checked. Assistant A is weaker.",
        ),
        verdict="My final verdict is: ",
        no_verdict=(
            "Both answers have their strengths and weaknesses, and I would rather not choose.",
            "The comparison depends on what the user needs.",
        ),
        undecided="At first it seemed to me that {a}, but on the other hand {b}.",
        no_answers="This request does not hold two answers that could be compared.",
    ),
}

SOLID_CUES: dict[Language, tuple[str, ...]] = {
    "ru": ("например", "провер", "потому что", "поэтому", "граничн", "итог", "таким образом", "результат", "во-первых"),
    "en": (
        "for example",
        "check",
        "because",
        "therefore",
        "edge case",
        "result",
        "such as",
        "instance",
        "specifically",
    ),
}
VAGUE_CUES: dict[Language, tuple[str, ...]] = {
    "ru": ("сложно сказать", "наверное", "возможно", "вероятно", "в целом", "не уверен", "языковая модель", "извините"),
    "en": ("hard to say", "perhaps", "maybe", "in general", "it depends", "not sure", "factors", "as an ai", "sorry"),
}
