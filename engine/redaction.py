"""Secrets: what can be one, by which names they go, and texts, fields and arguments without them. Pure."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

KEY_SHOWN_AS = "[key]"
ARGUMENT_SHOWN_AS = "***"

_LEAST_SECRET = 6  # characters: the letters of shorter "keys" are everywhere
_LEAST_DISTINCTIVE = 16  # characters, without a digit: shorter ones may be words of a language
# Words of which manuals of servers without authentication make their keys: "lm-studio", "sk-no-key-required".
_PLACEHOLDER_WORDS = {
    "abc", "any", "anything", "aphrodite", "api", "bearer", "change", "changeme", "cpp", "default", "demo", "dummy",
    "empty", "example", "fake", "fill", "gpt", "here", "hf", "huggingface", "ignore", "ignored", "insert", "jan",
    "key", "keys", "kobold", "koboldcpp", "litellm", "llama", "llamacpp", "lm", "lmdeploy", "local", "localai",
    "localhost", "me", "mlx", "mock", "my", "na", "necessary", "needed", "no", "nokey", "none", "noop", "not",
    "nothing", "null", "ollama", "oobabooga", "openai", "optional", "or", "placeholder", "replace", "required",
    "sample", "server", "sglang", "sk", "studio", "tabby", "tabbyapi", "test", "testing", "tgi", "this", "token",
    "transformers", "undefined", "unset", "unused", "used", "vllm", "whatever", "with", "xinference", "you", "your",
}  # fmt: skip
_SECRET_NAME = re.compile(
    r"authorization|password|passwd|passphrase|secret|credential|api[-_]?key|^(?:token|key|auth)$|(?:^|[-_])cookies?$"
    r"|(?:^|[-_])(?:access|account|app|auth|encryption|gateway|license|master|private|session|signing|subscription|x)"
    r"[-_](?:\w+[-_])*key$"
    r"|(?:^|[-_])(?:access|api|app|auth|bearer|bot|gateway|gh|github|hf|hub|id|private|refresh|security|session|web|x)"
    r"[-_](?:\w+[-_])*token$",
    re.IGNORECASE,
)
_SECRET_FLAG = re.compile(r"--?\S*(?:token|key|secret|password|passwd|credentials?|authorization)$", re.IGNORECASE)
_HEADERS = re.compile(r"(?:^|[-_])headers$", re.IGNORECASE)
_KEY_START = r"(?:sk-|hf_|gsk_|xai-|AIza|ghp_|github_pat_|nvapi-|r8_)"  # of well-known services
_SECRET_VALUE = re.compile(rf"(?:Bearer|Basic|Token) \S{{6,}}$|{_KEY_START}\S{{12,}}$")
_PATH_SECRET = re.compile(rf"(?<=/){_KEY_START}[^/?#]{{12,}}")
_URL_LOGIN = re.compile(r"(?<=://)[^/\s@\"'<>]+@")


def can_be_secret(value: str) -> bool:
    """Return whether a value may be a secret: neither short, nor one character repeated, nor made of placeholders."""
    if len(value) < _LEAST_SECRET:
        return False
    words = re.findall(r"[a-z]+|\d+|[^\W\d_a-z]+", value.lower())
    return not all(
        word in _PLACEHOLDER_WORDS or (len(word) > 2 and (len(set(word)) == 1 or word in "01234567890"))
        for word in words
    )


def names_secret(name: str) -> bool:
    """Return whether a field, header or environment variable of that name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def path_secrets(url: str) -> list[str]:
    """Return the parts of an address that look like keys."""
    return _PATH_SECRET.findall(url)


def secret_values(fields: Any, name: str = "", *, is_header: bool = False) -> Iterator[str]:
    """Yield the texts in nested fields that are secrets by their name, their form, or as headers of a request."""
    if isinstance(fields, Mapping):
        for key, value in fields.items():
            yield from secret_values(value, str(key), is_header=is_header or _HEADERS.search(name) is not None)
    elif isinstance(fields, list | tuple):
        for value in fields:
            yield from secret_values(value, name, is_header=is_header)
    elif isinstance(fields, str) and (is_header or names_secret(name) or _SECRET_VALUE.match(fields)):
        yield fields


def without_secrets(fields: Any) -> Any:
    """Return a copy of nested fields in which the secrets are replaced."""
    hidden = {value for value in secret_values(fields) if can_be_secret(value)}
    return _replaced(fields, hidden) if hidden else fields


def _replaced(fields: Any, hidden: set[str]) -> Any:
    if isinstance(fields, Mapping):
        return {key: _replaced(value, hidden) for key, value in fields.items()}
    if isinstance(fields, list | tuple):
        return [_replaced(value, hidden) for value in fields]
    return KEY_SHOWN_AS if isinstance(fields, str) and fields in hidden else fields


def argument_secrets(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the secrets among the arguments of a program: values of flags, variables and JSON fields that name one."""
    for argument, shown in zip(arguments, masked(arguments), strict=True):
        if shown == ARGUMENT_SHOWN_AS:
            yield argument
        elif shown == argument:
            continue
        elif argument.startswith("{"):
            yield from secret_values(json.loads(argument))
        elif login := _URL_LOGIN.search(argument):
            yield login[0][:-1].rpartition(":")[2]
        else:
            yield argument.partition("=")[2]


def masked(arguments: Sequence[str]) -> list[str]:
    """Return arguments for display and records, the secrets among them replaced by `***`."""
    shown: list[str] = []
    hide = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        is_flag = argument.startswith("-")
        is_secret = bool(_SECRET_FLAG.match(name)) if is_flag else bool(equals) and names_secret(name)
        if hide and not argument.startswith("--"):
            shown.append(ARGUMENT_SHOWN_AS)
        elif is_secret and equals:
            shown.append(f"{name}={ARGUMENT_SHOWN_AS}")
        elif argument.startswith("{"):
            shown.append(_masked_json(argument))
        else:
            shown.append(_URL_LOGIN.sub(f"{ARGUMENT_SHOWN_AS}@", argument))
        hide = is_flag and is_secret and not equals
    return shown


def _masked_json(argument: str) -> str:
    try:
        fields = json.loads(argument)
        masked_fields = without_secrets(fields)
    except (ValueError, RecursionError):
        return argument
    return argument if masked_fields == fields else json.dumps(masked_fields, ensure_ascii=False)


class Redactor:
    """Replaces secrets in texts, also as encoded in JSON, URLs and HTML. Values that cannot be secrets are ignored."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._known = tuple(sorted({secret for secret in secrets if can_be_secret(secret)}, key=len, reverse=True))
        self._distinctive = tuple(filter(_is_distinctive, self._known))
        self._pattern = re.compile("|".join(map(_pattern, self._known))) if self._known else None

    def __call__(self, text: str) -> str:
        """Return the text without the secrets, and without logins in addresses."""
        if self._pattern is not None:
            text = self._pattern.sub(KEY_SHOWN_AS, text)
        return _URL_LOGIN.sub(f"{KEY_SHOWN_AS}@", text)

    def body(self, body: bytes) -> bytes:
        """Return a reply without the secrets. JSON is decoded first, so that escapes hide nothing."""
        try:
            return json.dumps(self._fields(json.loads(body))).encode()
        except (ValueError, RecursionError):
            return self(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _fields(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self(key): self._fields(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fields(item) for item in value]
        return self(value) if isinstance(value, str) else value

    def finds(self, *texts: str | None) -> bool:
        """Return whether one of the texts holds a secret that cannot be there by chance."""
        for secret in self._distinctive:
            for text in texts:
                if text and secret in text:
                    return True
        return False


def _is_distinctive(secret: str) -> bool:
    return len(secret) >= _LEAST_DISTINCTIVE or any(character.isdecimal() for character in secret)


@lru_cache(maxsize=1024)
def _pattern(secret: str) -> str:
    return "".join(map(_character, re.findall(r"\\+|.", secret, re.DOTALL)))


def _character(character: str) -> str:
    """Return a pattern of a character, or of a run of backslashes, as it is and as JSON, URLs and HTML write it.

    Its repetitions are bounded: texts of servers are hostile, and long runs must not take quadratic time.
    """
    code = ord(character[0])
    is_backslash = character[0] == "\\"
    forms: list[str] = [] if is_backslash else [rf"\\{{0,7}}+{re.escape(character)}"]
    if code < 0x80:
        forms += [
            rf"\\{{1,7}}+(?i:u00{code:02x}|x{code:02x})",
            rf"%(?:25){{0,3}}(?i:{code:02x})",
            rf"&#(?:0{{0,5}}{code}|(?i:x)0{{0,5}}(?i:{code:x}));",
        ]
    if is_backslash:
        return rf"(?:{'|'.join(forms)}|\\{{1,63}}+){{1,{len(character)}}}+"
    named = html.escape(character, quote=True)
    if named != character:
        forms.append(re.escape(named))
    return f"(?:{'|'.join(forms)})"
