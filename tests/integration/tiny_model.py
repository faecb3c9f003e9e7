"""Writes a tiny chat model with random weights, without a network: `python tiny_model.py FOLDER [--thinks]`.

Runs in vLLM's own environment, where torch and transformers live. The folder is an ordinary Hugging Face one: a Llama
of two layers in safetensors, a byte-level BPE tokenizer trained on the words below, a ChatML template. What the model
writes is noise, and the same seed gives the same noise. Its tokenizer knows neither thinking tags nor verdict labels,
so that it neither seems to think nor pass judgment unless the server is told to constrain it. With `--thinks` the tags
are tokens of their own, and the template closes a thought before it begins where it is told `enable_thinking = false`,
as those of reasoning models do.
"""

import argparse
import random
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 1024
CONTEXT = 8192
PADDING, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for message in messages %}"
    f"{START}{{{{ message['role'] }}}}\n{{{{ message['content'] }}}}{END}\n"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{START}assistant\n{{% endif %}}"
)
THOUGHTS = ("<think>", "</think>")
CLOSED = (
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}"
)
SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "vas", "or", "pen", "da", "но", "ра", "ве", "сти", "ла", "пер", "го", "му")


def noise(rng: random.Random, lines: int) -> Iterator[str]:
    """Made-up sentences in two alphabets, with numbers and a little punctuation."""
    for _ in range(lines):
        words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(rng.randint(3, 12))]
        yield f"{' '.join(words).capitalize()}, {rng.randint(0, 9999)}{rng.choice('.?!:;')}\n"


def train_tokenizer(seed: int, *, thinks: bool) -> PreTrainedTokenizerFast:
    """A tokenizer that can spell any text byte by byte and knows the syllables above."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PADDING, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(noise(random.Random(seed), 2000), trainer)
    trained = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        eos_token=END,
        chat_template=CHATML + CLOSED * thinks,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    if thinks:
        trained.add_tokens(list(THOUGHTS))
    return trained


def random_llama(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Two layers of 64; the head size of 32 is the least that vLLM's attention on a CPU takes."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,  # ten times the usual, so that one next token is likelier than another
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).to(torch.bfloat16)


def main() -> None:
    """Make the model and say how large it is."""
    arguments = argparse.ArgumentParser(description="Write a tiny random chat model.")
    arguments.add_argument("folder")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--thinks", action="store_true")
    options = arguments.parse_args()

    tokenizer = train_tokenizer(options.seed, thinks=options.thinks)
    model = random_llama(tokenizer, options.seed)
    tokenizer.save_pretrained(options.folder)
    model.save_pretrained(options.folder)
    print(f"{options.folder}: {model.num_parameters():,} parameters, {len(tokenizer)} tokens")


if __name__ == "__main__":
    main()
