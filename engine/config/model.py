"""What `config.toml` may hold, table by table; the text under each field says what it means.

Models are frozen and refuse unknown keys and wrong types. `engine.config.load` builds them from a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, PrivateAttr, Tag

from engine.config import fields
from engine.config.providers import PROVIDERS, Provider, ProviderName, SamplingField, provider_at
from engine.config.reporting import NotifyConfig, TrackConfig
from engine.config.servers import (
    ClusterConfig,
    ConfigTable,
    EndpointConfig,
    EndpointFolder,
    EndpointsConfig,
    PriceConfig,
    ServeConfig,
    VllmConfig,
)
from engine.pairing import Pairing
from engine.records import VerdictMode
from engine.redaction import secret_values

HangupAction: TypeAlias = Literal["stop", "leave"]


class _Drawing(ConfigTable):
    """How tokens are drawn. What is left out is sent with the value that changes nothing, wherever the server takes it:
    no default of the server, or of a model's generation_config.json, gets in."""

    top_p: fields.TopP | None = None
    top_k: fields.TopK | None = None
    """How many of the likeliest tokens may be drawn; -1 means all."""
    min_p: fields.Share | None = None
    """Tokens less likely than this share of the likeliest are left out."""
    repetition_penalty: fields.Factor | None = None
    presence_penalty: fields.Penalty | None = None
    frequency_penalty: fields.Penalty | None = None
    seed: fields.Seed | None = None


class AnswersConfig(_Drawing):
    """`[answers]`: who answers, and how they are asked."""

    models: fields.ModelNames | None = None
    """Entries of [models.*] that answer; None means all of them except the judges."""
    temperature: fields.Temperature = 0.0
    max_tokens: fields.TokenLimit = 4096
    """The most tokens of one reply."""
    num_choices: fields.Count = 1
    """Independent conversations per question; the judge sees the first."""
    system_prompt: str | None = None
    category_temperatures: dict[str, fields.Temperature] = Field(default_factory=dict)
    """Temperatures of question categories, in place of `temperature`."""
    extra_body: fields.RequestFields = Field(default_factory=dict)
    """Further fields of the request, as the server understands them."""
    chat_template_kwargs: fields.JsonObject = Field(default_factory=dict)
    """Arguments for the chat template of the model, such as `enable_thinking`."""


class PromptTexts(ConfigTable):
    """A judge prompt in the user's own words."""

    system: str = ""
    template: fields.Template
    """The user message, with {question_1} {answer_1} {answer_2}, or {QUESTION} {ANSWER_A} {ANSWER_B}."""


def _kind_of_prompt(prompt: object) -> str | None:
    if isinstance(prompt, str):
        return "name"
    return "texts" if isinstance(prompt, dict | PromptTexts) else None


PromptConfig: TypeAlias = Annotated[
    Annotated[Literal["simple", "full", "creative"], Tag("name")] | Annotated[PromptTexts, Tag("texts")],
    Discriminator(
        _kind_of_prompt,
        custom_error_type="prompt",
        custom_error_message='must be "simple", "full", "creative", or { system = "...", template = "..." }',
    ),
]


class CategoryConfig(ConfigTable):
    """`[[judge.by_category]]`: categories of questions with another baseline, another prompt, or both."""

    category: fields.CategoryNames
    """One category of the question set, or several."""
    baseline: fields.ModelName | None = None
    """Whom every model is compared with on these questions; None means as in [judge]."""
    prompt: PromptConfig | None = None
    """The judge prompt for these questions; None means as in [judge]."""


class JudgeConfig(_Drawing):
    """`[judge]`: who compares whom with which baseline, and how verdicts are asked for and read."""

    model: fields.JudgeNames
    """Entries of [models.*]; each judges everything. A single name is accepted too."""
    baselines: fields.JudgeNames = Field(alias="baseline")
    """Whom every model is compared with: an entry of [models.*], or one with answers on disk; or several of these, of
    which the first anchors the scores."""
    models: fields.ModelNames | None = None
    """Who is judged; None means every model with answers, except the baselines of all or some questions."""
    prompt: PromptConfig = "simple"
    by_category: list[CategoryConfig] = Field(default_factory=list)
    """Categories that are compared with another baseline, or judged with another prompt."""
    labels: fields.LabelParser = "lenient"
    """How a label is found in what the judge wrote: a named parser or a regular expression."""
    verdict: Literal["text", "constrained", "soft"] = "text"
    """What the judge returns: a text with a label in it, a label and nothing else, or probabilities of all labels."""
    thinking: Literal["off", "first"] = "off"
    """For `constrained` and `soft`: the verdict at once, or a free text before it, in a call of its own."""
    reask: Literal["text", "constrained"] = "text"
    """For `text`: how a judge that gave no label is asked again."""
    fence: Literal["none", "nonce"] = "none"
    """What is put around answers in the prompt: nothing, or lines with a code that no contestant can guess."""
    temperature: fields.Temperature = 0.0
    max_tokens: fields.TokenLimit = 512
    retries: Annotated[int, Field(ge=1, le=100)] = 3
    """Asks per game until there is a label."""
    extra_body: fields.RequestFields = Field(default_factory=dict)
    chat_template_kwargs: fields.JsonObject = Field(default_factory=dict)

    @property
    def mode(self) -> VerdictMode:
        """How verdicts are asked for."""
        return VerdictMode(
            self.verdict,
            thinks_first=self.verdict != "text" and self.thinking == "first",
            constrains_reasks=self.verdict == "text" and self.reask == "constrained",
        )

    @property
    def baseline(self) -> str:
        """The baseline of questions whose category has none of its own, or the first of several."""
        return self.baselines[0]

    @property
    def pairing(self) -> Pairing:
        """Which baseline each question has."""
        rules = (
            (category, entry.baseline or self.baseline) for entry in self.by_category for category in entry.category
        )
        return Pairing(tuple(self.baselines), tuple(rules))

    def prompt_for(self, category: str) -> str | PromptTexts:
        """Return the prompt of the questions of a category."""
        own = [entry.prompt for entry in self.by_category if category in entry.category and entry.prompt is not None]
        return own[0] if own else self.prompt


class UiConfig(ConfigTable):
    """`[ui]`: how the program behaves towards its terminal."""

    on_hangup: HangupAction = "stop"
    """What a run does when its terminal is lost: "stop" in order, or "leave": go on without it."""


class ModelConfig(_Drawing):
    """`[models.X]`: where a model is served, how hard it may be driven, and its own sampling."""

    model: str | None = Field(default=None, min_length=1)
    """What the server calls it (for vLLM, a path or a hub name); None means the entry's name."""
    adapter: str | None = Field(default=None, min_length=1)
    """A LoRA adapter of `base`: its folder, or a hub name. `adapters`, a pattern, stands for an entry a folder."""
    base: str | None = None
    """The entry whose server also serves this adapter."""
    provider: ProviderName | None = None
    """What kind of server it is; None means known by its address, else vLLM. Hosted ones need no `endpoints`."""
    refuses: list[SamplingField] = Field(default_factory=list)
    """Sampling fields that this model does not take though its provider does."""
    api_version: fields.ApiVersion | None = None
    """For Azure addresses that want one (`/openai/deployments/...`)."""
    endpoints: EndpointsConfig = Field(default_factory=list)
    """Servers that share the calls, the least busy first: their addresses, or the folder where they register."""
    parallel: fields.Count = 64
    """Calls in flight at one endpoint."""
    rate: fields.PerSecond | None = None
    """Calls started per second at one endpoint; None means no limit."""
    timeout: fields.Seconds = 1200.0
    """Seconds that one call may take."""
    idle_timeout: fields.Seconds = 60.0
    """Seconds of silence after which a server is asked whether it still works, and the longest pause inside a reply."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """Tries of one call before a passing fault counts as final."""
    stream: fields.Stream = "auto"
    """Whether replies are streamed: always, never, or "auto" for as soon as the server refuses any other call."""
    serve: ServeConfig | None = None
    price: PriceConfig | None = None
    """What the model costs per million tokens; None means nothing that is counted."""
    family: str | None = Field(default=None, min_length=1)
    """Models of one family favour each other as judges; None means derived from the name."""
    step: fields.Step | None = None
    """The training step of a checkpoint; None means as its `trainer_state.json` or its name says."""
    temperature: fields.Temperature | None = None
    max_tokens: fields.TokenLimit | None = None
    system_prompt: str | None = None
    extra_body: fields.RequestFields = Field(default_factory=dict)
    chat_template_kwargs: fields.JsonObject = Field(default_factory=dict)

    @property
    def can_be_called(self) -> bool:
        """Whether there is a server to ask, or one can be started."""
        return bool(self.endpoints) or self.serve is not None

    @property
    def addresses(self) -> list[EndpointConfig]:
        """The endpoints that the config itself names."""
        return self.endpoints if isinstance(self.endpoints, list) else []

    @property
    def registry(self) -> EndpointFolder | None:
        """The folder where the servers of this model register themselves."""
        return self.endpoints if isinstance(self.endpoints, EndpointFolder) else None


class Config(ConfigTable):
    """The whole of `config.toml`."""

    bench: fields.FolderName
    """The folder of the bench in `data`."""
    data: fields.DataFolder = Path("data")
    """The folder of benches; relative paths count from the folder of the config file."""
    answers: AnswersConfig = Field(default_factory=AnswersConfig)
    judge: JudgeConfig
    vllm: VllmConfig = Field(default_factory=VllmConfig)
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)
    ui: UiConfig = Field(default_factory=UiConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    track: TrackConfig = Field(default_factory=TrackConfig)
    models: dict[fields.ModelName, ModelConfig] = Field(default_factory=dict)

    _file: Path | None = PrivateAttr(default=None)
    _unset: Mapping[str, Sequence[str]] = PrivateAttr(default_factory=dict)
    _hidden: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Take over what `engine.config.load` knows beside the document."""
        if context:
            self._file = context["file"]
            self._unset = context["unset"]
            self._hidden = context["hidden"]
            self._origins = context["origins"]

    @property
    def file(self) -> Path | None:
        """The file that the config was read from, if it was one."""
        return self._file

    @property
    def unset_variables(self) -> Mapping[str, Sequence[str]]:
        """Per model, the environment variables that its keys name and that are not set."""
        return self._unset

    @property
    def origins(self) -> Mapping[str, str]:
        """Where the values of keys come from that are not as in the file: a key with its origin."""
        return self._origins

    def shown_url(self, base_url: str) -> str:
        """Return an address for texts and files: secrets in its path are shown as the variables that hold them."""
        for value in sorted(self._hidden, key=len, reverse=True):
            base_url = base_url.replace(value, self._hidden[value])
        return base_url

    def secrets(self, entry: str) -> tuple[str, ...]:
        """Return the secrets of an entry beside its keys: in the paths of its addresses, and in its further fields."""
        tables = [self.answers.extra_body, self.judge.extra_body]
        if entry in self.models:
            tables.append(self.models[entry].extra_body)
        fields = (part for value in secret_values(tables) for part in (value, value.rpartition(" ")[2]))  # "Bearer X"
        return (*self._hidden, *dict.fromkeys(fields))

    def served_name(self, entry: str) -> str:
        """What the server of the entry calls the model."""
        model = self.models.get(entry)
        return (model.model if model else None) or entry

    def provider_name(self, entry: str) -> ProviderName:
        """What kind of server the entry's model is served by."""
        model = self.models.get(entry)
        if model is not None and model.provider is not None:
            return model.provider
        return provider_at(model.addresses[0].base_url if model and model.addresses else "")

    def provider(self, entry: str) -> Provider:
        """What the server of the entry's model takes."""
        return PROVIDERS[self.provider_name(entry)]

    def sampling_taken(self, entry: str) -> frozenset[SamplingField]:
        """The sampling fields that may be sent for the entry's model."""
        model = self.models.get(entry)
        return self.provider(entry).takes.difference(model.refuses if model else ())

    def answer_models(self) -> list[str]:
        """Who answers, in the order of the config."""
        if self.answers.models is not None:
            return list(self.answers.models)
        return [name for name in self.models if name not in self.judge.model]

    def with_baselines(self, names: Sequence[str]) -> Config:
        """The same config with other baselines, for all questions; itself where none is named."""
        if not names:
            return self
        prompts = [entry.model_copy(update={"baseline": None}) for entry in self.judge.by_category]
        update = {"baselines": list(names), "by_category": prompts}
        return self.model_copy(update={"judge": self.judge.model_copy(update=update)})

    def judged_models(self, with_answers: Sequence[str], pairing: Pairing | None = None) -> list[str]:
        """Who is compared with the baselines, given all models that have answers; never the one of all questions.

        A baseline of some questions is judged on the others only if the config names it. `pairing` is that of the
        questions, by default the config's.
        """
        pairing = pairing or self.judge.pairing
        if self.judge.models is not None:
            return [name for name in self.judge.models if name != pairing.baselines[0] or pairing.is_split]
        never = pairing.names if pairing.is_split else pairing.baselines[:1]
        return [name for name in with_answers if name not in never]
