"""How much of each prompt the server has seen before: whole blocks from its beginning, the oldest forgotten."""

from __future__ import annotations

from collections import OrderedDict

BLOCK_TOKENS = 128
_BLOCK_CHARACTERS = 512  # of about BLOCK_TOKENS tokens


class PrefixCache:
    """Remembers the blocks of past prompts, up to `tokens` in all."""

    def __init__(self, tokens: int) -> None:
        self._most = max(1, tokens // BLOCK_TOKENS)
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def admit(self, prompt: str) -> int:
        """How many tokens at the beginning of `prompt` were there already. From now on all its whole blocks are."""
        blocks, known, unbroken, key = self._blocks, 0, True, 0
        for start in range(0, len(prompt) - _BLOCK_CHARACTERS + 1, _BLOCK_CHARACTERS):
            key = hash((key, prompt[start : start + _BLOCK_CHARACTERS]))
            if key in blocks:
                blocks.move_to_end(key)
                known += unbroken
            else:
                blocks[key] = None
                unbroken = False
        while len(blocks) > self._most:
            blocks.popitem(last=False)
        return known * BLOCK_TOKENS
