"""Records in the shapes that tools of the field write, as the fields that `decoding` reads; anything else is refused.

    questions   turns, prompt, messages, conversation(s), instruction (+ input or context), question (+ context), query,
                text; a list as text, in JSON or as Python prints it, is that list
    answers     choices (turns, message, text), messages, conversation(s), output, response or result (a text, a reply
                of an API, a line of a batch's output), answer, completion, generation, generated_text, text, content
    judgments   games, whose prompts and judgments may be chats or parts
    messages    {role, content} of OpenAI, {from, value} of ShareGPT, {role, parts} of Gemini, {type: human, content} of
                LangChain, {speaker, text}, {author: {role}}; turns and prompts may be plain strings
    content     a string, a number, parts ({type: text, text}, output_text, thinking ...), {answer}, {text}, {value}

The text of an answer is the assistant's: parts with its reasoning or calls of tools are not. What is not text (images,
audio, files) is refused, as are roles that no chat template knows.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["questions", "answers", "judgments"]
Record: TypeAlias = Mapping[str, Any]
Message: TypeAlias = tuple[str, str]
"""Role ("system", "user" or "assistant") and text."""

_IDS = ("question_id", "uid", "custom_id", "qid", "prompt_id", "instruction_id", "conversation_id", "id", "idx")
_CHATS = ("messages", "conversation", "conversations")
_ASKED = ("turns", "prompt", *_CHATS, "instruction", "question", "query", "text")
_SAID = ("output", "response", "answer", "completion", "generation", "generated_text", "text", "content")
_ROLES = {
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "ai": "assistant", "system": "system", "developer": "system",
}  # fmt: skip
_ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
_BEYOND = {
    "instruction": ("input", "context"),
    "question": ("context",),
}  # what a question may come with, in two fields
_LONGEST_PRINTED = 1 << 20  # characters
_PYTHON_LIST = re.compile(r"\s*\[\s*\{\s*'(?:role|from|content|value|type|text)'\s*:")
_TEXT_PARTS = {"text", "input_text", "output_text", "refusal", "message"}
_UNSAID_PARTS = {"thinking", "redacted_thinking", "reasoning", "tool_use", "tool_call", "function_call", "reference"}

_GRADED = {"judgment", "score"}
_REPLIES = {"chat.completion", "text_completion", "response"}


class UnknownShape(Exception):
    """A record that is in none of the shapes; says which shape it has."""


def question_fields(record: Record) -> dict[str, Any]:
    """Return a question as `question_id` and `turns` of {role, content}, beside its other fields."""
    found = {**record, "question_id": record_id(record)}
    given = (key for key in _ASKED if record.get(key) not in (None, "", []))
    name = next((key for key in given if key != "turns" or isinstance(record[key], list | str)), None)
    if name is None:
        if not record.keys() & {*_ASKED}:
            raise UnknownShape(f"no question in it, only {_names(record)}")
        return {**found, "turns": None, "prompt": None}
    if any(_are_options(record.get(key)) for key in ("choices", "options")):
        raise UnknownShape("a question with a list of options, which it is not asked without: write them into its text")
    asked = messages_of(record[name], name)
    for beside in _BEYOND.get(name, ()):
        more = record.get(beside)
        if more and not isinstance(more, str):
            raise UnknownShape(f"`{beside}` is {_kind(more)}, not a text")
        if more and more.strip():
            asked = [*asked[:-1], ("user", f"{asked[-1][1]}\n\n{more}")]
    for key in ("system", "system_prompt"):
        if not isinstance(record.get(key), str):
            found[key] = content_text(record.get(key), f"`{key}`", "\n")
    return {**found, "turns": [{"role": role, "content": text} for role, text in asked], "prompt": None}


def answer_fields(record: Record) -> dict[str, Any]:
    """Return an answer as `question_id` and `choices`, beside its other fields."""
    kind, role = record.get("type"), record.get("role")
    is_reply = str(record.get("object")) in _REPLIES or (kind == "message" and role == "assistant")
    if is_reply and record_id({**record, "id": None}) is None:
        raise UnknownShape("the reply of a server without the id of its question: add `question_id`")
    texts = _said(record)
    turns = _lengths(record, texts)
    return {**record, "question_id": record_id(record), "choices": [{"turns": turns}], "messages": None}


def judgment_fields(record: Record) -> dict[str, Any]:
    """Return a judgment as `question_id` and `games`, beside its other fields."""
    if "g1_winner" in record or "g1_judgment" in record:
        raise UnknownShape("a pair judgment of MT-bench, which names a winner and has no label")
    games = record.get("games")
    if games is None and record.keys() >= _GRADED:
        raise UnknownShape("a grade as MT-bench gives them, which compares nothing")
    if isinstance(games, list):
        strange = next((game for game in games if not (game is None or isinstance(game, dict))), None)
        if strange is not None:
            raise UnknownShape(f"`games` is a list with {_kind(strange)} in it, not with objects")
        games = [_game(game) if game is not None else None for game in games]
    elif games is not None:
        raise UnknownShape(f"`games` is {_kind(games)}, not a list")
    return {**record, "question_id": record_id(record), "games": games}


def record_id(record: Record) -> str | int | float | None:
    """Return the id of the question that a record is of, by the first name that it has one under."""
    given = (record.get(key) for key in _IDS)
    return next((key for key in given if isinstance(key, str | int | float) and not isinstance(key, bool)), None)


def kind_of(record: Record) -> Kind | None:
    """Return what a record is, None if it is neither a question, an answer nor a judgment."""
    if record.keys() & {"games", "g1_winner", "g1_judgment"} or record.keys() >= _GRADED:
        return "judgments"
    is_of_model = any(record.get(key) for key in ("model_id", "model", "generator"))
    if (
        record.keys() >= {"custom_id", "result"}
        or record.keys() & {"choices", *_SAID[:2], *_SAID[3:6]}
        or (is_of_model and record.keys() & {*_SAID})
    ):
        return "answers"
    chat = next((record[key] for key in _CHATS if isinstance(record.get(key), list)), ())
    if not record.keys() & {"turns", "prompt"} and _ends_with_assistant(chat):
        return "answers"
    return "questions" if record.keys() & {*_ASKED} else None


def messages_of(value: Any, name: str) -> list[Message]:
    """Return what a user was to send, with what comes before it: a text, turns, parts or a chat."""
    if isinstance(value, str):
        value = _printed(value) if _PYTHON_LIST.match(value) else unquoted(value)
    if isinstance(value, dict):
        value = next((value[key] for key in _CHATS if isinstance(value.get(key), list)), value)
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, dict) and _role_of(value) is not None:
        value = [value]
    if not isinstance(value, list) or _are_parts(value):
        return [("user", content_text(value, f"`{name}`", "\n") or "")]
    _require_roles(value, name)
    found = [
        (_role(each, f"`{name}` {number}"), content_text(_content(each), f"`{name}` {number}", "\n") or "")
        for number, each in enumerate(value, start=1)
    ]
    empty = next((number for number, (_, text) in enumerate(found, start=1) if not text.strip()), None)
    if empty is not None and len(found) > 1:
        raise UnknownShape(f"`{name}` {empty} has no text")
    return found


def unquoted(text: str) -> Any:
    """Return the chat, the parts or the turns that a text is the JSON of (tables keep lists so), else the text."""
    start = text.lstrip()[:1]
    if start not in ("[", "{"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if start == "{":
        is_chat = isinstance(value.get("role"), str) or any(isinstance(value.get(key), list) for key in _CHATS)
        return value if is_chat else text
    is_shaped = bool(value) and all(isinstance(each, str | dict) for each in value)
    if not is_shaped or not all(isinstance(each, str) or each.keys() & {"role", "from", "type"} for each in value):
        return text
    return value


def _printed(text: str) -> Any:
    """Return the chat that Python printed."""
    try:
        if len(text) > _LONGEST_PRINTED:
            raise ValueError
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise UnknownShape("a chat as Python or numpy print it, not as JSON") from None


def content_text(content: Any, name: str, joint: str = "") -> str | None:
    """Return the text of a message's content, None if there is none. `joint` goes between parts."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        texts = [_part_text(each, name, joint) for each in content]
        said = [text for text in texts if text is not None]
        return joint.join(said) if said else None
    raise UnknownShape(f"{name} is {_kind(content)}, not a text")


def text_or_none(content: Any) -> str | None:
    """Return the text of a message's content, None if there is none or it is in no known shape."""
    try:
        return content_text(content, "")
    except UnknownShape:
        return None


def _part_text(part: Any, name: str, joint: str) -> str | None:
    if part is None or isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise UnknownShape(f"{name} is a list with {_kind(part)} in it")
    kind = str(part.get("type", "text"))
    if kind in _UNSAID_PARTS or part.get("thought") is True:
        return None
    keys = ("text", "answer", "content", "value", "parts", "refusal")
    held = next((part[key] for key in keys if part.get(key) is not None), None)
    if kind not in _TEXT_PARTS or (held is None and part.keys() - {"type", *keys}):
        what = f"a part of type {kind!r}" if kind not in _TEXT_PARTS else f"an object of {_names(part)}"
        raise UnknownShape(f"{name} holds {what}, which is not text")
    return content_text(held, name, joint)


def _role(message: Any, name: str) -> str:
    given = _role_of(message)
    role = _ROLES.get(given) if given is not None else "user"
    if role is None:
        raise UnknownShape(f"{name} has the role {given!r}; only system, user and assistant can be sent")
    return role


def _role_of(message: Any) -> str | None:
    """Return the role that a message names, in lower case; None where it names none."""
    if not isinstance(message, dict):
        return None
    key = next((key for key in _ROLE_KEYS if key in message), None)
    if key is None:  # LangChain's messages have their role as their type
        kind = message.get("type")
        return kind.casefold() if isinstance(kind, str) and kind.casefold() in _ROLES else None
    given = message[key]
    if isinstance(given, dict):
        given = given.get("role")
    return str(given).casefold()


def _require_roles(messages: Sequence[Any], name: str) -> None:
    """Raise UnknownShape for a chat in which nothing says whose each message is. Turns without roles are the user's."""
    nested = next((number for number, each in enumerate(messages, start=1) if isinstance(each, list)), None)
    if nested is not None and any(isinstance(each, dict) for each in messages[nested - 1]):
        raise UnknownShape(f"`{name}` is a list of {len(messages)} conversations; a question is one of them")
    if len(messages) < 2 or (name not in _CHATS and not any(_role_of(each) for each in messages)):
        return
    without = next((number for number, each in enumerate(messages, start=1) if _role_of(each) is None), None)
    if without is not None and all(_content(each) for each in messages):
        raise UnknownShape(f"`{name}` {without} has no role: is it the user's or the assistant's?")


def _are_options(value: Any) -> bool:
    """Return whether a field holds the options of a question with several choices, as texts or as labels and texts."""
    if isinstance(value, dict):
        value = value.get("text", list(value.values()))
    return isinstance(value, list) and len(value) > 1 and all(isinstance(each, str) for each in value)


def _content(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    return next((message[key] for key in ("content", "value", "parts", "text") if message.get(key) is not None), None)


def _are_parts(values: Sequence[Any]) -> bool:
    """Return whether a list is the content of one message, not a list of messages."""
    return bool(values) and all(
        isinstance(each, dict) and "type" in each and not each.keys() & {*_ROLE_KEYS, "content"} for each in values
    )


def _said(record: Record) -> list[str | None]:
    """Return the turns of the answer in a record."""
    choices = record.get("choices")
    if isinstance(choices, list) and choices:
        return _of_choice(choices[0])
    if isinstance(choices, dict):
        return _of_choice(choices)
    for key in _CHATS:
        if isinstance(record.get(key), list) and _ends_with_assistant(record[key]):
            return list(_assistant(record[key], f"`{key}`"))
    result = record.get("result")
    for key in (*_SAID, *(("result",) if isinstance(result, dict) else ())):
        value = record.get(key)
        if value in (None, ""):
            continue
        if isinstance(value, dict) and (inner := _completion(value)) is not None:
            return _said(inner)
        if isinstance(value, list) and len(value) > 1 and all(isinstance(each, str) for each in value):
            raise UnknownShape(f"`{key}` is a list of {len(value)} texts: write turns as choices[0].turns")
        if isinstance(value, list) and any(isinstance(each, dict) and "role" in each for each in value):
            return list(_assistant(value, f"`{key}`"))
        return [content_text(value, f"`{key}`")]
    if not record.keys() & {"choices", *_CHATS, *_SAID} and not isinstance(result, dict):
        raise UnknownShape(f"no answer in it, only {_names(record)}")
    return []


def _completion(value: Record) -> Record | None:
    """Return the reply of a server in a record: a chat completion, a reply of the Responses API, or around one."""
    for key in ("body", "message"):  # of a batch's line, of a batch's line at Anthropic
        if isinstance(inner := value.get(key), dict):
            return inner
    candidates = value.get("candidates")  # Gemini's
    if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
        return candidates[0]
    return value if value.keys() & {"choices", "output"} else None


def _of_choice(choice: Any) -> list[str | None]:
    if not isinstance(choice, dict):
        return [content_text(choice, "`choices[0]`")]
    if isinstance(turns := choice.get("turns"), list):
        return list(_assistant(turns, "`choices[0].turns`"))
    if "message" in choice:
        return [content_text(_content(choice["message"]), "`choices[0].message`")]
    held = next((choice[key] for key in ("text", "content") if choice.get(key) is not None), choice.get("turns"))
    return [content_text(held, "`choices[0]`")]


def _assistant(messages: Sequence[Any], name: str) -> Iterator[str | None]:
    """Yield what the assistant says in a chat; plain turns are all of it. Other roles than it are passed over.

    Generation 2 keeps answers as {answer}: where one is, plain contents are part of the question.
    """
    wrapped = any(isinstance(each, dict) and _is_wrapped(each.get("content")) for each in messages)
    for number, message in enumerate(messages, start=1):
        if isinstance(message, dict) and str(message.get("type")) in _UNSAID_PARTS:
            continue
        role = _role_of(message)
        if role not in (None, "none") and _ROLES.get(role) != "assistant":
            continue
        if not wrapped or _is_wrapped(message.get("content") if isinstance(message, dict) else None):
            yield content_text(_content(message), f"{name} {number}")


def _ends_with_assistant(messages: Sequence[Any]) -> bool:
    return bool(messages) and _ROLES.get(_role_of(messages[-1]) or "") == "assistant"


def _is_wrapped(content: Any) -> bool:
    return isinstance(content, dict) and "answer" in content


def _lengths(record: Record, texts: Sequence[str | None]) -> list[dict[str, Any]]:
    """Return the turns with their lengths in tokens, where a record of either generation has them."""
    choices = record.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    turns = first.get("turns") if isinstance(first, dict) else None
    if isinstance(turns, list) and len(turns) == len(texts):
        lengths = [turn.get("token_len") if isinstance(turn, dict) else None for turn in turns]
    else:
        metadata = record.get("metadata")
        whole = metadata.get("token_len") if isinstance(metadata, dict) else None
        lengths = [whole, *([0] * (len(texts) - 1))] if isinstance(whole, int) else [None] * len(texts)
    return [{"content": text, "token_len": length} for text, length in zip(texts, lengths, strict=True)]


def _game(game: Record) -> dict[str, Any]:
    """Return a game with its texts as texts. Those in no known shape are absent: its score counts all the same."""
    shown, chat = game.get("user_prompt"), game.get("prompt")
    if isinstance(shown, list) and not _are_parts(shown):
        shown, chat = None, shown
    elif shown is None and isinstance(chat, str):
        shown = chat
    messages = [
        {"role": str(_role_of(each)), "content": text_or_none(_content(each))}
        for each in (chat if isinstance(chat, list) else ())
        if isinstance(each, dict)
    ]
    texts = {"user_prompt": text_or_none(shown), "judgment": text_or_none(game.get("judgment"))}
    return {**game, **texts, "prompt": messages or None}


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "true or false", str: "a text", type(None): "null"}
    return kinds.get(type(value), "a number")


def _names(record: Record) -> str:
    return ", ".join(f"`{str(key)[:30]}`" for key in list(record)[:6])
