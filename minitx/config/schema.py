"""Every key that a user can set: its type, its meaning and its allowed values.

The YAML files under `conf/` are checked against these dataclasses, so that a misspelt key or a
value of the wrong type is an error. `--help` is printed from them, too. The defaults here are the
textbook choices. The settings that train best are in the YAML files.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from minitx.config.fields import as_typed, key, key_like
from minitx.config.mixers import (
    BUILT_IN,
    AttentionOptions,
    GatedDeltaNetOptions,
    GatedLinearOptions,
    Mamba2Options,
    MixerSpec,
)
from minitx.config.tasks import TASKS, ObjectiveSpec, TaskSpec
from minitx.errors import UserError


@dataclass
class TaskConfig:
    name: str = key("shakespeare", "the corpus", choices=tuple(TASKS))
    label_smoothing: float = key(
        0.0, "fraction of the target's probability spread over all classes", minimum=0, below=1
    )
    measure: str = key(
        "bleu",
        "sequence to sequence: bleu (with chrf), or wer (with per) if outputs are phonemes",
        choices=("bleu", "wer"),
    )
    pairs: int | None = key(
        None, "task=recall: key-value pairs in a sequence [model.context / 8]", minimum=1
    )
    train_length: int = key(
        40,
        "parity, copy and other generated tasks: length of the longest training sequence",
        minimum=1,
        maximum=1_000_000,
    )
    test_lengths: list[int] | None = key(
        None, "the same: lengths to test [10, 20, 40, 80, 200, 500]"
    )
    depth: int = key(5, "task=bounded_dyck: greatest number of open brackets", minimum=1)

    @property
    def spec(self) -> TaskSpec:
        """The task as it is declared in `minitx.config.tasks`."""
        return TASKS[self.name]

    @property
    def objective(self) -> ObjectiveSpec:
        """The task's objective."""
        return self.spec.objective

    @property
    def headline(self) -> str:
        """The measure, by its name in `minitx.metrics.decomposable`, that compares models."""
        return self.spec.headline or self.measure


TOKENIZERS = ("char", "byte", "word", "bpe", "unigram")


@dataclass
class DataConfig:
    dir: str | None = key(None, "folder with the files of corpora", path=True)
    path: str | None = key(
        None, "your own file: .txt, or pairs or labels as .tsv or .jsonl, or .gz", path=True
    )
    target_path: str | None = key(
        None, "your file of targets, if data.path has only the sources", path=True
    )
    val_fraction: float = key(
        0.05, "fraction of your file for validation, and again for test", above=0, below=0.5
    )
    train_fraction: float = key(
        1.0, "fraction of the training split to train on; tokenizers see all", above=0, maximum=1
    )
    stress: bool = key(False, "task=cmudict: keep the stress of vowels")
    tokenizer: str = key("char", "unit of text", choices=TOKENIZERS)
    target_tokenizer: str | None = key(
        None, "unit of target text [as of sources]", choices=TOKENIZERS
    )
    shared_vocab: bool = key(False, "one vocabulary for sources and targets")
    vocab_size: int = key(1024, "size of a vocabulary of words or pieces of words", minimum=5)
    batch_size: int | None = key(
        None, "language modelling: sequences in a batch over all devices", minimum=1
    )
    batch_tokens: int | None = key(
        None, "pairs and labels: tokens in a batch over all devices, with padding", minimum=1
    )
    workers: int = key(0, "processes that prepare batches", minimum=0, maximum=1_000)
    cache_dir: str | None = key(
        None, "folder for tokenised corpora [$MINITX_CACHE or ~/.cache/minitx]", path=True
    )


@dataclass
class ModelConfig:
    name: str = key("", "the architecture")
    # The upper limits are beyond any model: they bound what a stranger's config can ask for.
    dim: int = key(128, "width of the model", minimum=1, maximum=1_000_000)
    layers: int = key(4, "number of layers", minimum=1, maximum=1_000)
    context: int = key(64, "longest input, in tokens", minimum=1, maximum=100_000_000)
    dropout: float = key(0.0, "fraction of features dropped in training", minimum=0, below=1)
    tie_embeddings: bool = key(True, "one matrix for input and output embeddings")
    share_embeddings: bool = key(
        False, "one embedding table for source and target, if they have one vocabulary"
    )
    pooling: str = key("mean", "how a classifier pools its positions", choices=("mean", "first"))

    @property
    def pattern(self) -> list[str]:
        """Return what the layers are made of, in the order that repeats over them."""
        return [self.name]


@dataclass
class TransformerConfig(
    Mamba2Options, GatedLinearOptions, GatedDeltaNetOptions, AttentionOptions, ModelConfig
):
    """The keys of a Transformer, with the options of all mixers of minitx.

    Attention's options are in use whatever the mixer is, if a decoder has cross-attention.
    """

    ff_dim: int | None = key(
        None, "width of the feed-forward [4 * dim]", minimum=1, maximum=10_000_000
    )
    mixer: Any = key(
        "attention",
        "what moves information between positions; a list is repeated over the layers",
        choices=tuple(spec.name for spec in BUILT_IN),
        several=True,
    )
    position: str = key(
        "sinusoidal",
        "how order is encoded (rotary and alibi act in attention only)",
        choices=("sinusoidal", "learned", "rotary", "alibi", "none"),
    )
    rotary_base: float = key(10_000.0, "position=rotary: base of the wavelengths", above=1)
    norm: str = key("layernorm", "kind of norm", choices=("layernorm", "rmsnorm"))
    norm_eps: float | None = key(
        None, "added to what a norm divides by [1e-5 for layernorm, 1.2e-7 for rmsnorm]", above=0
    )
    norm_order: str = key("pre", "norm before or after a sublayer", choices=("pre", "post"))
    residual: bool = key(True, "add the input of a sublayer to its output")
    feedforward: bool = key(True, "a feed-forward network in every block")
    activation: str = key(
        "gelu",
        "activation of the feed-forward",
        choices=("relu", "gelu", "gelu_tanh", "silu", "relu2"),
    )
    gated: bool = key(False, "gate the feed-forward (with silu: SwiGLU)")
    bias: bool = key(True, "biases in the linear maps")

    @property
    def pattern(self) -> list[str]:
        """Return the mixers in the order that repeats over the layers."""
        return [self.mixer] if isinstance(self.mixer, str) else list(self.mixer)

    @property
    def mixers(self) -> list[str]:
        """Return the mixer of each layer.

        Raises ValueError if the list of mixers is empty or longer than the number of layers.
        """
        pattern = self.pattern
        if not 1 <= len(pattern) <= self.layers:
            raise ValueError(
                f"model.mixer={as_typed(pattern)} lists {len(pattern)} mixers for "
                f"model.layers={self.layers}: it may list 1 to {self.layers}"
            )
        return [pattern[layer % len(pattern)] for layer in range(self.layers)]


@dataclass
class RecurrentConfig(ModelConfig):
    cell: str = key("lstm", "kind of recurrence", choices=("rnn", "gru", "lstm"))
    bidirectional: bool | None = key(None, "read an encoder's input in both directions [true]")
    attention: str = key(
        "none", "how a decoder attends to its source", choices=("none", "additive", "dot")
    )
    input_feeding: bool = key(False, "append a decoder's attention output to its next input")


@dataclass
class OptimizerConfig:
    name: str = key("adamw", "the optimizer", choices=("adamw", "muon"))
    lr: float = key(1e-3, "peak learning rate of AdamW", above=0)
    muon_lr: float = key(0.02, "peak learning rate of Muon, for the hidden matrices", above=0)
    weight_decay: float = key(0.1, "decoupled weight decay, on matrices only", minimum=0)
    beta1: float = key(0.9, "AdamW: decay of the mean gradient", minimum=0, below=1)
    beta2: float = key(0.99, "AdamW: decay of the mean squared gradient", minimum=0, below=1)
    momentum: float = key(0.95, "Muon: decay of the mean gradient", minimum=0, below=1)
    schedule: str = key(
        "cosine",
        "learning-rate schedule after warm-up",
        choices=("cosine", "linear", "noam", "constant"),
    )
    warmup_steps: int = key(
        100, "warm-up steps; shortened to a tenth of max_steps if not below max_steps", minimum=0
    )
    min_lr_ratio: float = key(0.1, "final rate as a fraction of the peak", minimum=0, maximum=1)
    clip_norm: float | None = key(1.0, "largest gradient norm; larger ones are clipped", above=0)
    ema: float | None = key(
        None, "keep an exponential moving average of the weights with this decay", above=0, below=1
    )


@dataclass
class TrainerConfig:
    max_steps: int | None = key(2000, "optimizer steps [no limit]", minimum=1)
    max_minutes: float | None = key(
        None, "minutes of training [no limit]", above=0, maximum=1_000_000
    )
    val_every: int = key(250, "steps between validations, each with a checkpoint", minimum=1)
    val_tokens: int | None = key(
        None,
        "tokens in a validation, always the same ones; the last validation reads all [all]",
        minimum=1,
    )
    log_every: int = key(10, "steps between rows of metrics", minimum=1)
    accumulate: int = key(1, "batches whose gradients are averaged for one step", minimum=1)
    average: int | None = key(
        None, "checkpoints whose weights are averaged at the end if that is better", minimum=2
    )
    average_of: str = key("best", "checkpoints to average", choices=("best", "last"))
    patience: int | None = key(
        None, "stop after this many validations without improvement", minimum=1
    )
    goal: float | None = key(
        None, "stop when the measure that compares models reaches this in a validation", above=0
    )
    accelerator: str = key("cpu", "cpu, gpu, mps, auto, ...")
    devices: int = key(1, "number of devices", minimum=1, maximum=1_000)
    strategy: str = key("auto", "Lightning's strategy: auto, ddp, ...")
    precision: str = key(
        "32-true",
        "number format",
        choices=("32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"),
    )
    compile: bool = key(False, "torch.compile the model")
    threads: int | None = key(
        None, "threads of torch on the CPU [its own choice]", minimum=1, maximum=1_000
    )
    fused: bool = key(True, "use oneDNN's and cuDNN's kernels, which run a recurrence in one call")
    watch_attention: bool = key(True, "draw attention maps of a text at every validation")


@dataclass
class LoggerConfig:
    name: str = key(
        "wandb",
        "tracker, in addition to metrics.csv",
        choices=("wandb", "tensorboard", "csv", "none"),
    )
    mode: str = key(
        "offline", "mode of W&B; online needs an account", choices=("offline", "online")
    )
    project: str = key("minitx", "project in W&B")
    group: str | None = key(None, "group in W&B [the runs that differ only in their seed]")
    job_type: str = key("train", "job type in W&B")
    tags: list[str] = key(list, "tags in W&B, in addition to task, objective, model and mixers")


@dataclass
class BudgetConfig:
    parameters: int | None = key(
        None,
        "choose the width that gives this number of parameters",
        minimum=1,
        maximum=1_000_000_000_000,
    )
    non_embedding: int | None = key(
        None,
        "of these, how many outside embeddings and logits, as nearly as widths allow",
        minimum=1,
        maximum=1_000_000_000_000,
    )


@dataclass
class DecodingConfig:
    beam: int = key(5, "number of hypotheses; 1 is greedy search", minimum=1, maximum=10_000)
    length_penalty: float = key(
        0.6,
        "exponent of the length; 0 prefers short outputs, 1 averages over tokens",
        minimum=0,
        maximum=100,
    )
    min_length: int = key(0, "minimum number of tokens in an output", minimum=0)
    max_length: int | None = key(
        None, "maximum number of tokens in an output [twice the source, plus 10]", minimum=1
    )


@dataclass
class RunConfig:
    dir: str | None = key(None, "folder of the run [runs/DATE_TIME_TASK_MODEL_SEED]", path=True)


@dataclass
class Config:
    """The keys of `minitx train`, and of a run's config.yaml."""

    task: TaskConfig = key(TaskConfig, "corpus and objective")
    data: DataConfig = key(DataConfig, "text, tokens, batches")
    model: ModelConfig = key(ModelConfig, "the architecture")
    optimizer: OptimizerConfig = key(OptimizerConfig, "optimizer and schedule")
    trainer: TrainerConfig = key(TrainerConfig, "length, validation, hardware")
    logger: LoggerConfig = key(LoggerConfig, "tracking of metrics")
    decoding: DecodingConfig = key(DecodingConfig, "search for outputs (sequence to sequence)")
    budget: BudgetConfig = key(BudgetConfig, "size of the model, for fair comparisons")
    run: RunConfig = key(RunConfig, "folder for results")
    seed: int = key(1, "seed of weights, batches and dropout", minimum=0, below=2**32)
    resume: str | None = key(None, "folder of a run to continue with its own config", path=True)


# A model's name decides its keys.
MODELS: dict[str, type[ModelConfig]] = {
    "transformer": TransformerConfig,
    "lstm": RecurrentConfig,
    "gru": RecurrentConfig,
    "rnn": RecurrentConfig,
}

MIXERS: dict[str, MixerSpec] = {}


def declare_mixer(spec: MixerSpec) -> None:
    """Add a mixer to `MIXERS`, and its options to the keys of a Transformer.

    Raises UserError if the name is taken, or if an option has the name of another key.
    """
    if spec.name in MIXERS:
        raise UserError(f"mixer {spec.name} is declared twice: give one of them another name")
    transformer = MODELS["transformer"]
    known = {field.name: field for field in dataclasses.fields(transformer)}
    added: list[tuple[str, Any, Any]] = []
    for option in dataclasses.fields(spec.options):
        if option.name not in known:
            added.append((option.name, option.type, key_like(option)))
        elif _definition(option) != _definition(known[option.name]):
            raise UserError(
                f"mixer {spec.name}: there is another key model.{option.name}; rename the option"
            )
    MIXERS[spec.name] = spec
    rules = known["mixer"].metadata
    if spec.name not in rules["choices"]:
        choices = (*rules["choices"], spec.name)
        added.append(("mixer", Any, key_like(known["mixer"], choices=choices)))
    if added:
        extended = dataclasses.make_dataclass("TransformerConfig", added, bases=(transformer,))
        MODELS["transformer"] = extended


def _definition(option: dataclasses.Field[Any]) -> tuple[Any, ...]:
    return option.type, option.default, dict(option.metadata)


for built_in in BUILT_IN:
    declare_mixer(built_in)


@dataclass
class GenerateConfig:
    """The keys of `minitx generate`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file", path=True)
    prompt: str = key("\n", "the text to continue; \\n is a line break")
    length: int = key(500, "tokens to generate", minimum=1)
    samples: int = key(1, "texts to generate", minimum=1)
    temperature: float = key(0.8, "below 1 favours likely tokens; 0 is greedy", minimum=0)
    top_k: int | None = key(None, "sample from the k likeliest tokens only", minimum=1)
    top_p: float | None = key(None, "nucleus sampling with probability mass p", above=0, maximum=1)
    seed: int = key(1, "random seed of the samples", minimum=0, below=2**32)
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class DataLocation:
    dir: str | None = key(None, "folder with the files of corpora [as in the run]", path=True)
    path: str | None = key(None, "your own file [as in the run]", path=True)
    target_path: str | None = key(None, "your file of targets [as in the run]", path=True)
    cache_dir: str | None = key(None, "folder for tokenised corpora [as in the run]", path=True)


def _as_in_the_run(name: str) -> Any:
    """Return the field of a key of `DecodingConfig` that changes nothing if it is None."""
    rules = dict(DecodingConfig.__dataclass_fields__[name].metadata)
    meaning = rules.pop("help").partition(" [")[0]
    return key(None, f"{meaning} [as in the run]", **rules)


@dataclass
class DecodingChange:
    beam: int | None = _as_in_the_run("beam")
    length_penalty: float | None = _as_in_the_run("length_penalty")
    min_length: int | None = _as_in_the_run("min_length")
    max_length: int | None = _as_in_the_run("max_length")


@dataclass
class EvaluateConfig:
    """The keys of `minitx evaluate`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file", path=True)
    split: str = key("val", "split of the corpus", choices=("train", "val", "test"))
    device: str = key("cpu", "cpu, cuda, mps, ...")
    data: DataLocation = key(DataLocation, "location of the corpus")
    decoding: DecodingChange = key(DecodingChange, "search for outputs")


@dataclass
class TranslateConfig:
    """The keys of `minitx translate`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file", path=True)
    text: str | None = key(None, "a source [the lines of standard input]")
    input: str | None = key(None, "a file or a pipe of sources, one per line", path=True)
    output: str | None = key(
        None, "a file for the outputs, one line per source [standard output]", path=True
    )
    n_best: int = key(1, "outputs for each source; more than 1 with their scores", minimum=1)
    scores: bool = key(False, "write each output's score before it")
    temperature: float | None = key(
        None, "sample outputs instead of searching; below 1 favours likely tokens", minimum=0
    )
    top_k: int | None = key(None, "sample from the k likeliest tokens only", minimum=1)
    top_p: float | None = key(None, "nucleus sampling with probability mass p", above=0, maximum=1)
    seed: int = key(1, "random seed of the samples", minimum=0, below=2**32)
    device: str = key("cpu", "cpu, cuda, mps, ...")
    decoding: DecodingChange = key(DecodingChange, "search for outputs")


@dataclass
class PredictConfig:
    """The keys of `minitx predict`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file", path=True)
    text: str | None = key(None, "a text to classify [the lines of standard input]")
    input: str | None = key(None, "a file or a pipe of texts, one per line", path=True)
    output: str | None = key(
        None, "a .jsonl file for labels and probabilities [standard output]", path=True
    )
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class ExplainConfig:
    """The keys of `minitx explain`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file [the tutorial]", path=True)
    text: str | None = key(None, "the text that the model reads")
    part: str | None = key(
        None,
        "which attention: encoder, decoder or cross; self if the model has only one "
        "self-attention [the first]",
        choices=("self", "encoder", "decoder", "cross"),
    )
    layer: int | None = key(None, "which layer, counted from 0 [0]")
    head: int | None = key(None, "which head, counted from 0 [0]")
    truncate: bool = key(False, "cut a text that is longer than the model's context")
    format: str = key("text", "format of the page", choices=("text", "html", "markdown"))
    output: str | None = key(None, "output file [standard output]", path=True)
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class InspectConfig:
    """The keys of `minitx inspect`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file", path=True)
    text: str | None = key(None, "the text that the model reads")
    other: str | None = key(None, "another run, shown next to the first", path=True)
    third: str | None = key(None, "a third run, shown next to them", path=True)
    target: str | None = key(None, "an output to use instead of the model's own, or a label")
    layers: list[int] | None = key(None, "layers to keep, as in layers=[0,1] [all]")
    heads: list[int] | None = key(None, "heads to keep [all]")
    truncate: bool = key(False, "cut a text that is longer than the model's context")
    dir: str | None = key(None, "folder for the files [the run's]", path=True)
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class ImportanceConfig:
    """The keys of `minitx importance`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file", path=True)
    split: str = key("val", "part of the corpus", choices=("val", "test"))
    metric: str = key("loss", "metric to judge heads by", choices=("loss", "accuracy"))
    prune: int = key(0, "switch off this many of the least important heads together", minimum=0)
    batches: int | None = key(
        None, "number of first batches of the split to measure on [all]", minimum=1
    )
    device: str = key("cpu", "cpu, cuda, mps, ...")
    data: DataLocation = key(DataLocation, "location of the corpus")


@dataclass
class ExportConfig:
    """The keys of `minitx export`."""

    run: str | None = key(None, "a run's folder, or a .ckpt file", path=True)
    to: str | None = key(None, "new folder for the files", path=True)
    format: str = key(
        "auto",
        "for transformers; for torch alone, with the source code; or for transformers if it has "
        "such a model",
        choices=("transformers", "torch", "auto"),
    )
    push: str | None = key(None, "upload it to the Hugging Face hub under this name, USER/NAME")


@dataclass
class PresetConfig:
    """How thorough a study is. Empty values are taken from the study."""

    seeds: list[int] = key(list, "seeds of each arm at its best rate")
    grid: dict[str, Any] = key(dict, "key: its values, in place of the study's")
    sweep: dict[str, Any] = key(dict, "key: its values, in place of the study's")
    adamw_sweep: dict[str, Any] = key(dict, "the same for optimizer=adamw")
    settings: list[str] = key(list, "overrides of every run")
    task_settings: dict[str, Any] = key(dict, "task: overrides of its runs")


@dataclass
class StudyConfig:
    """A question and its grid of runs, as in a file of conf/study/."""

    name: str = key("", "name of the study")
    question: str = key("", "question that the study answers")
    tasks: list[str] = key(list, "tasks that the study suits [all]")
    arms: dict[str, Any] = key(dict, "models to compare, name: [overrides]")
    pair_arms: dict[str, Any] = key(dict, "models to compare in sequence to sequence [as arms]")
    grid: dict[str, Any] = key(dict, "key: [values]; trains every arm with every combination")
    most_tokens: int | None = key(
        None, "leave out points of the grid whose steps have more tokens [none]", minimum=1
    )
    ladder: bool = key(
        False, "go on to the next value of the grid with arms whose seeds mostly reach the goal"
    )
    sweep: dict[str, Any] = key(
        dict, "key: [values]; each arm and combination gets the value that is best on val"
    )
    adamw_sweep: dict[str, Any] = key(dict, "the same for optimizer=adamw [as sweep]")
    settings: list[str] = key(list, "overrides of every run")
    parameters: int | None = key(
        None, "number of parameters of every run, within 2% [as the first arm]", minimum=1
    )
    match: bool = key(True, "give all arms the same number of parameters")
    measures: str = key(
        "training", "train models, or measure their speed", choices=("training", "speed")
    )
    sections: list[str] = key(list, "sections of the report, in order")
    quick: PresetConfig = key(PresetConfig, "a first impression in minutes")
    full: PresetConfig = key(PresetConfig, "figures to quote")
    dir: str | None = key(None, "folder of the study [studies/STUDY_TASK_PRESET]", path=True)
    runs: str = key("studies/runs", "folder with the runs of all studies", path=True)


@dataclass
class CompareConfig(Config):
    """The keys of `minitx compare`: a study, and the keys of all its runs."""

    study: StudyConfig = key(StudyConfig, "the question")
    preset: str = key("quick", "how thorough", choices=("quick", "full"))
    report_only: bool = key(False, "write the report of the finished runs, train nothing")
    only: str | None = key(None, "do only this run of the study, and write no report")
