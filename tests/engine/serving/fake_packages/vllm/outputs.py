from dataclasses import dataclass
from typing import Any


@dataclass
class Completion:
    text: str
    token_ids: list[int]
    logprobs: Any = None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[Completion]
    finished: bool = True
    metrics: Any = None
    prompt_logprobs: Any = None
    prompt: str = ""


class PoolingRequestOutput:
    pass
