"""Records in the shapes that tools of the field write, as the fields that `decoding` reads; anything else is refused.

    questions   turns, prompt, messages, conversation(s), instruction (+ input), question, query, text
    answers     choices (turns, message, text), messages, conversation(s), output, response (a text, a chat completion,
                a line of a batch's output), answer, completion, generation, generated_text, text, content
    judgments   games, whose prompts and judgments may be chats or parts
    messages    {role, content} of OpenAI, {from, value} of ShareGPT, {role, parts} of Gemini, plain strings
    content     a string, a number, parts ({type: text, text}, output_text, thinking ...), {answer}, {text}, {value}

The text of an answer is the assistant's: parts with its reasoning or calls of tools are not. What is not text (images,
audio, files) is refused, as are roles that no chat template knows.
"""

from __future__ import annotations

import json
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
    "system": "system", "developer": "system",
}  # fmt: skip
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
    name = next((key for key in given if key != "turns" or isinstance(record[key], list)), None)
    if name is None:
        if not record.keys() & {*_ASKED}:
            raise UnknownShape(f"no question in it, only {_names(record)}")
        return {**found, "turns": None, "prompt": None}
    asked = messages_of(record[name], name)
    if name == "instruction" and isinstance(record.get("input"), str) and record["input"].strip():
        asked = [*asked[:-1], ("user", f"{asked[-1][1]}\n\n{record['input']}")]
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
        games = [_game(game) if isinstance(game, dict) else None for game in games]
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
    if record.keys() & {"choices", *_SAID[:2], *_SAID[3:6]} or (is_of_model and record.keys() & {*_SAID}):
        return "answers"
    chat = next((record[key] for key in _CHATS if isinstance(record.get(key), list)), ())
    if not record.keys() & {"turns", "prompt"} and _ends_with_assistant(chat):
        return "answers"
    return "questions" if record.keys() & {*_ASKED} else None


def messages_of(value: Any, name: str) -> list[Message]:
    """Return what a user was to send, with what comes before it: a text, turns, parts or a chat."""
    if isinstance(value, str):
        value = unquoted(value)
    if isinstance(value, dict):
        value = next((value[key] for key in _CHATS if isinstance(value.get(key), list)), value)
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or _are_parts(value):
        return [("user", content_text(value, f"`{name}`", "\n") or "")]
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
    if not text.lstrip().startswith("["):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_shaped = bool(value) and all(isinstance(each, str | dict) for each in value)
    if not is_shaped or not all(isinstance(each, str) or each.keys() & {"role", "from", "type"} for each in value):
        return text
    return value


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
    if kind in _UNSAID_PARTS:
        return None
    keys = ("text", "answer", "content", "value", "parts", "refusal")
    held = next((part[key] for key in keys if part.get(key) is not None), None)
    if kind not in _TEXT_PARTS or (held is None and part.keys() - {"type", *keys}):
        what = f"a part of type {kind!r}" if kind not in _TEXT_PARTS else f"an object of {_names(part)}"
        raise UnknownShape(f"{name} holds {what}, which is not text")
    return content_text(held, name, joint)


def _role(message: Any, name: str) -> str:
    given = message.get("role", message.get("from", "user")) if isinstance(message, dict) else "user"
    role = _ROLES.get(given.casefold()) if isinstance(given, str) else None
    if role is None:
        raise UnknownShape(f"{name} has the role {given!r}; only system, user and assistant can be sent")
    return role


def _content(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    return next((message[key] for key in ("content", "value", "parts", "text") if message.get(key) is not None), None)


def _are_parts(values: Sequence[Any]) -> bool:
    """Return whether a list is the content of one message, not a list of messages."""
    return bool(values) and all(
        isinstance(each, dict) and "type" in each and not each.keys() & {"role", "from", "content"} for each in values
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
    for key in _SAID:
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
    if not record.keys() & {"choices", *_CHATS, *_SAID}:
        raise UnknownShape(f"no answer in it, only {_names(record)}")
    return []


def _completion(value: Record) -> Record | None:
    """Return the reply of a server in a record: a chat completion, a reply of the Responses API, or around one."""
    if isinstance(body := value.get("body"), dict):
        return body
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
        is_named = isinstance(message, dict) and bool({"role", "from"} & message.keys())
        role = message.get("role", message.get("from")) if is_named else "assistant"
        if is_named and role is not None and _ROLES.get(str(role).casefold()) != "assistant":
            continue
        if not wrapped or _is_wrapped(message.get("content") if isinstance(message, dict) else None):
            yield content_text(_content(message), f"{name} {number}")


def _ends_with_assistant(messages: Sequence[Any]) -> bool:
    last = messages[-1] if messages else None
    return isinstance(last, dict) and _ROLES.get(str(last.get("role", last.get("from"))).casefold()) == "assistant"


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
        {"role": str(each.get("role", each.get("from"))), "content": text_or_none(_content(each))}
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
