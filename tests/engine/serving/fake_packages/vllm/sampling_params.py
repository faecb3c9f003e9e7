from dataclasses import dataclass
from typing import Any


@dataclass
class StructuredOutputsParams:
    choice: Any = None
    regex: Any = None
    json: Any = None
