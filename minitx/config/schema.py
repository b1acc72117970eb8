"""Every key that a user can set: its type, its meaning and its allowed values.

The YAML files under `conf/` are checked against these dataclasses, so that a misspelt key or a
value of the wrong type is an error. `--help` is printed from them, too. The defaults here are the
textbook choices. The settings that train best are in the YAML files.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from minitx.config.fields import key, key_like
from minitx.config.mixers import BUILT_IN, AttentionOptions, MixerSpec
from minitx.errors import UserError

LANGUAGE_MODELING = "language modelling"
SEQUENCE_TO_SEQUENCE = "sequence to sequence"
CLASSIFICATION = "classification"

# A task is a corpus with an objective.
OBJECTIVES = {
    "shakespeare": LANGUAGE_MODELING,
    "tiny_shakespeare": LANGUAGE_MODELING,
    "text": LANGUAGE_MODELING,
    "recall": LANGUAGE_MODELING,
    "cmudict": SEQUENCE_TO_SEQUENCE,
    "multi30k": SEQUENCE_TO_SEQUENCE,
    "pairs": SEQUENCE_TO_SEQUENCE,
    "genre": CLASSIFICATION,
    "sst2": CLASSIFICATION,
    "trec": CLASSIFICATION,
    "labels": CLASSIFICATION,
}


@dataclass
class TaskConfig:
    name: str = key("shakespeare", "the corpus", choices=tuple(OBJECTIVES))
    label_smoothing: float = key(
        0.0, "share of a target's probability that all classes get alike", minimum=0, below=1
    )
    measure: str = key(
        "bleu",
        "sequence to sequence: bleu (with chrf), or wer (with per) where outputs are phonemes",
        choices=("bleu", "wer"),
    )
    pairs: int | None = key(None, "task=recall: pairs of key and value in a sequence", minimum=1)

    @property
    def objective(self) -> str:
        """Which of the three objectives the corpus has."""
        return OBJECTIVES[self.name]


TOKENIZERS = ("char", "byte", "word", "bpe", "unigram")


@dataclass
class DataConfig:
    dir: str | None = key(None, "folder that holds the corpora's files")
    path: str | None = key(None, "your own file: .txt; .tsv or .jsonl of pairs or labels, or .gz")
    target_path: str | None = key(None, "the targets, where data.path has the sources line by line")
    held_out: float = key(
        0.05, "share of your file for validation, and again for test", above=0, below=0.5
    )
    share: float = key(
        1.0, "share of the training split to train on; tokenizers know it all", above=0, maximum=1
    )
    stress: bool = key(False, "keep the stress of vowels (task=cmudict)")
    tokenizer: str = key("char", "unit of text", choices=TOKENIZERS)
    target_tokenizer: str | None = key(None, "of targets [as of sources]", choices=TOKENIZERS)
    joint: bool = key(False, "one vocabulary for sources and targets")
    vocab_size: int = key(1024, "tokens of a tokenizer of words or pieces of words", minimum=5)
    batch_size: int | None = key(
        None, "language modelling: sequences in a batch, over all devices", minimum=1
    )
    batch_tokens: int | None = key(
        None, "pairs and labels: tokens in a batch, padding included, over all devices", minimum=1
    )
    workers: int = key(0, "processes that prepare batches", minimum=0)
    cache_dir: str | None = key(None, "tokenised corpora [$MINITX_CACHE, else ~/.cache/minitx]")


@dataclass
class ModelConfig:
    name: str = key("", "the architecture")
    dim: int = key(128, "width of the model", minimum=1)
    layers: int = key(4, "number of layers", minimum=1)
    context: int = key(64, "longest input, in tokens", minimum=1)
    dropout: float = key(0.0, "fraction of features dropped in training", minimum=0, below=1)
    tied: bool = key(True, "one matrix for input and output embeddings")
    share_embeddings: bool = key(
        False, "one embedding table for source and target, if they have one vocabulary"
    )
    pooling: str = key("mean", "how a classifier pools its positions", choices=("mean", "first"))

    @property
    def pattern(self) -> list[str]:
        """Return what the layers are made of, in the order that repeats over them."""
        return [self.name]


@dataclass
class TransformerConfig(AttentionOptions, ModelConfig):
    """The keys of a Transformer.

    Attention's options are among them whatever the mixer is, because a decoder has cross-attention.
    """

    ff_dim: int | None = key(None, "width of the feed-forward [4 * dim]", minimum=1)
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
    norm: str = key("layernorm", "kind of norm", choices=("layernorm", "rmsnorm"))
    norm_order: str = key("pre", "norm before or after a sublayer", choices=("pre", "post"))
    residual: bool = key(True, "add the input of a sublayer to its output")
    feedforward: bool = key(True, "a feed-forward in every block")
    activation: str = key(
        "gelu", "activation of the feed-forward", choices=("relu", "gelu", "silu", "relu2")
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
                f"model.mixer=[{','.join(pattern)}] lists {len(pattern)} mixers for "
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
    matrix_lr: float = key(0.02, "peak learning rate of Muon, for the hidden matrices", above=0)
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
        100, "warm-up steps; a tenth of max_steps if they would not be fewer", minimum=0
    )
    final_lr: float = key(0.1, "final rate as a fraction of the peak", minimum=0, maximum=1)
    clip_norm: float | None = key(1.0, "largest gradient norm; larger ones are clipped", above=0)
    ema: float | None = key(
        None, "keep an exponential moving average of the weights with this decay", above=0, below=1
    )


@dataclass
class TrainerConfig:
    max_steps: int | None = key(2000, "optimizer steps [no limit]", minimum=1)
    max_minutes: float | None = key(None, "minutes of training [no limit]", above=0)
    val_every: int = key(250, "steps from one validation, and checkpoint, to the next", minimum=1)
    val_tokens: int | None = key(
        None,
        "tokens of val that a validation reads, always the same; the last reads all [all]",
        minimum=1,
    )
    log_every: int = key(10, "steps from one row of metrics to the next", minimum=1)
    accumulate: int = key(1, "batches whose gradients are added up for one step", minimum=1)
    average: int | None = key(
        None, "average the weights of so many checkpoints at the end, if that is better", minimum=2
    )
    average_of: str = key("best", "checkpoints to average", choices=("best", "last"))
    patience: int | None = key(None, "stop after so many validations without gain", minimum=1)
    accelerator: str = key("cpu", "cpu, gpu, mps, ... or auto")
    devices: int = key(1, "number of devices", minimum=1)
    strategy: str = key("auto", "Lightning's strategy: auto, ddp, ...")
    precision: str = key(
        "32-true",
        "number format",
        choices=("32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"),
    )
    compile: bool = key(False, "torch.compile the model")
    watch_attention: bool = key(True, "draw what is attended to in a text at every validation")


@dataclass
class LoggerConfig:
    name: str = key(
        "wandb", "tracker beside metrics.csv", choices=("wandb", "tensorboard", "csv", "none")
    )
    mode: str = key("offline", "of W&B; online needs a key", choices=("offline", "online"))
    project: str = key("minitx", "of W&B")
    group: str | None = key(None, "of W&B [the run's folder name]")


@dataclass
class BudgetConfig:
    parameters: int | None = key(
        None, "choose the width that gives this number of parameters", minimum=1
    )


@dataclass
class DecodingConfig:
    beam: int = key(5, "hypotheses that are followed; 1 is greedy", minimum=1)
    length_penalty: float = key(0.6, "0 prefers short outputs, 1 compares by token", minimum=0)
    min_length: int = key(0, "fewest tokens of an output", minimum=0)
    max_length: int | None = key(
        None, "most tokens of an output [twice the source, and 10]", minimum=1
    )


@dataclass
class RunConfig:
    dir: str | None = key(None, "the run's folder [runs/DATE_TIME_TASK_MODEL_SEED]")


@dataclass
class Config:
    """What `scripts/train.py` composes, and a run's config.yaml holds."""

    task: TaskConfig = key(TaskConfig, "the corpus and its objective")
    data: DataConfig = key(DataConfig, "text, tokens, batches")
    model: ModelConfig = key(ModelConfig, "the architecture")
    optimizer: OptimizerConfig = key(OptimizerConfig, "how weights change")
    trainer: TrainerConfig = key(TrainerConfig, "how long, how often, on what")
    logger: LoggerConfig = key(LoggerConfig, "where metrics go")
    decoding: DecodingConfig = key(DecodingConfig, "how outputs are searched (seq. to sequence)")
    budget: BudgetConfig = key(BudgetConfig, "fair comparison")
    run: RunConfig = key(RunConfig, "where results go")
    seed: int = key(1, "of weights, batches and dropout", minimum=0, below=2**32)
    resume: str | None = key(None, "a run's folder to go on with; its config is used")


# A model's name decides which keys it has.
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
    """What `scripts/generate.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file")
    prompt: str = key("\n", "the text to go on from; \\n is a line break")
    length: int = key(500, "tokens to write", minimum=1)
    samples: int = key(1, "texts to write", minimum=1)
    temperature: float = key(0.8, "below 1 bolder choices win more often; 0: always", minimum=0)
    top_k: int | None = key(None, "choose among the k likeliest tokens only", minimum=1)
    top_p: float | None = key(None, "choose among the likeliest that reach p", above=0, maximum=1)
    seed: int = key(1, "of the choices", minimum=0, below=2**32)
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class DataLocation:
    dir: str | None = key(None, "folder that holds the corpora's files [as in the run]")
    path: str | None = key(None, "your own file [as in the run]")
    target_path: str | None = key(None, "your file of targets [as in the run]")
    cache_dir: str | None = key(None, "folder that keeps tokenised corpora [as in the run]")


@dataclass
class DecodingChange:
    beam: int | None = key(
        None, "hypotheses that are followed; 1 is greedy [as in the run]", minimum=1
    )
    length_penalty: float | None = key(
        None, "0 prefers short outputs, 1 compares by token [as in the run]", minimum=0
    )
    min_length: int | None = key(None, "fewest tokens of an output [as in the run]", minimum=0)
    max_length: int | None = key(None, "most tokens of an output [as in the run]", minimum=1)


@dataclass
class EvaluateConfig:
    """What `scripts/evaluate.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file")
    split: str = key("val", "part of the corpus", choices=("train", "val", "test"))
    device: str = key("cpu", "cpu, cuda, mps, ...")
    data: DataLocation = key(DataLocation, "where the corpus is now")
    decoding: DecodingChange = key(DecodingChange, "how outputs are searched")


@dataclass
class TranslateConfig:
    """What `scripts/translate.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file")
    text: str | None = key(None, "a source [the lines of standard input]")
    input: str | None = key(None, "a file of sources, one a line")
    output: str | None = key(None, "a file for the outputs, a line a source [standard output]")
    n_best: int = key(1, "outputs for each source; over 1, each with its score", minimum=1)
    scores: bool = key(False, "write each output's score before it")
    temperature: float | None = key(
        None, "draw outputs instead of searching; below 1 bolder choices win more often", minimum=0
    )
    top_k: int | None = key(None, "draw among the k likeliest tokens only", minimum=1)
    top_p: float | None = key(None, "draw among the likeliest that reach p", above=0, maximum=1)
    seed: int = key(1, "of the draws", minimum=0, below=2**32)
    device: str = key("cpu", "cpu, cuda, mps, ...")
    decoding: DecodingChange = key(DecodingChange, "how outputs are searched")


@dataclass
class PredictConfig:
    """What `scripts/predict.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file")
    text: str | None = key(None, "a text to classify [the lines of standard input]")
    input: str | None = key(None, "a file of texts, one a line")
    output: str | None = key(None, "a .jsonl file for labels and probabilities [standard output]")
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class ExplainConfig:
    """What `scripts/explain.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file [the tutorial]")
    text: str | None = key(None, "what the model reads")
    part: str | None = key(
        None,
        "attention within the encoder or decoder (self: the only one), or across [the first]",
        choices=("self", "encoder", "decoder", "cross"),
    )
    layer: int | None = key(None, "which layer, counted from 0 [0]")
    head: int | None = key(None, "which head, counted from 0 [0]")
    truncate: bool = key(False, "cut a text that is longer than the model's context")
    format: str = key("text", "what is written", choices=("text", "html", "markdown"))
    output: str | None = key(None, "a file for it [standard output]")
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class InspectConfig:
    """What `scripts/inspect_attention.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file")
    text: str | None = key(None, "what the model is to read")
    other: str | None = key(None, "another run, to be shown, whole, beside the first")
    target: str | None = key(None, "an output to follow instead of the model's own, or a label")
    layers: list[int] | None = key(None, "layers to keep, as in layers=[0,1] [all]")
    heads: list[int] | None = key(None, "heads to keep [all]")
    truncate: bool = key(False, "cut a text that is longer than the model's context")
    dir: str | None = key(None, "folder for what is written [the run's]")
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class ImportanceConfig:
    """What `scripts/head_importance.py` composes."""

    run: str | None = key(None, "a run's folder, or a .ckpt file")
    split: str = key("val", "part of the corpus", choices=("val", "test"))
    metric: str = key("loss", "what heads are judged by", choices=("loss", "accuracy"))
    prune: int = key(0, "switch off so many of the least important heads together", minimum=0)
    batches: int | None = key(
        None, "measure on the first batches of the split only [all]", minimum=1
    )
    device: str = key("cpu", "cpu, cuda, mps, ...")
    data: DataLocation = key(DataLocation, "where the corpus is now")


@dataclass
class PresetConfig:
    """How thorough a study is. What is empty is taken from the study."""

    seeds: list[int] = key(list, "seeds of each arm at its best rate")
    grid: dict[str, Any] = key(dict, "key: its values, in place of the study's")
    sweep: dict[str, Any] = key(dict, "key: its values, in place of the study's")
    adamw_sweep: dict[str, Any] = key(dict, "the same for optimizer=adamw")
    settings: list[str] = key(list, "words for every run, as on the command line of train.py")
    task_settings: dict[str, Any] = key(dict, "task: words for its runs")


@dataclass
class StudyConfig:
    """A question, as a grid of runs: what a file under conf/study/ holds."""

    name: str = key("", "of the study")
    question: str = key("", "what it is to answer")
    tasks: list[str] = key(list, "those it suits [all]")
    arms: dict[str, Any] = key(dict, "what is compared: name: [words of train.py]")
    pair_arms: dict[str, Any] = key(dict, "the same for sequence to sequence [as arms]")
    grid: dict[str, Any] = key(dict, "key: [values]; every arm is trained with every combination")
    sweep: dict[str, Any] = key(
        dict, "key: [values], of which each arm and combination gets the one that is best on val"
    )
    adamw_sweep: dict[str, Any] = key(dict, "the same for optimizer=adamw [as sweep]")
    settings: list[str] = key(list, "words for every run, as on the command line of train.py")
    parameters: int | None = key(
        None, "size of every run, within 2% [as the first arm has it]", minimum=1
    )
    match: bool = key(True, "give all arms the same number of parameters")
    measures: str = key(
        "training", "train runs, or measure the speed of models", choices=("training", "speed")
    )
    sections: list[str] = key(list, "of the report, in their order")
    quick: PresetConfig = key(PresetConfig, "minutes, to see how it goes")
    full: PresetConfig = key(PresetConfig, "the one to quote")
    dir: str | None = key(None, "the study's folder [studies/STUDY_TASK_PRESET]")
    runs: str = key("studies/runs", "where the runs of all studies are kept, each once")


@dataclass
class CompareConfig(Config):
    """What `scripts/compare.py` composes: a study, and keys that hold for all of its runs."""

    study: StudyConfig = key(StudyConfig, "the question")
    preset: str = key("quick", "how thorough", choices=("quick", "full"))
    report_only: bool = key(False, "draw the report of what there is, train nothing")
    only: str | None = key(None, "do this one run of the study's plan, and draw no report")
