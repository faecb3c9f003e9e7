"""A tokenizer whose tokens are characters, and a config, as Ray Data and the batch job read them."""

import json
from types import SimpleNamespace


class AutoTokenizer:
    eos_token_id = 0

    @classmethod
    def from_pretrained(cls, model, **_):
        return cls()

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt, return_dict, chat_template=None, **_):
        assert tokenize
        assert add_generation_prompt
        assert not return_dict
        text = json.dumps(messages)
        if "no template for this" in text:
            raise ValueError("the template refuses it")
        return [ord(character) for character in text]


class AutoConfig:
    architectures = ("Fake",)

    @classmethod
    def from_pretrained(cls, model, **_):
        return cls()

    def get_text_config(self):
        return SimpleNamespace(max_position_embeddings=100_000)
