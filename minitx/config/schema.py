"""Every key that a user can set: its type, meaning and allowed values.

The YAML files in `conf/` are checked against these dataclasses, so a misspelt key or a value of the
wrong type is an error. `--help` prints them. The defaults here are the plain choices. The settings
that train best are in the YAML files.
"""

from dataclasses import dataclass, field
from typing import Any


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """Return a key with rules: minimum <= value <= maximum, above < value < below, or choices."""
    rules = {
        "choices": choices,
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "below": below,
    }
    metadata = {"help": help, **{name: rule for name, rule in rules.items() if rule is not None}}
    if isinstance(default, type):  # a group of keys, or a container
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


LANGUAGE_MODELING = "language modelling"
SEQUENCE_TO_SEQUENCE = "sequence to sequence"
CLASSIFICATION = "classification"

# The objective of each task.
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
        0.0, "fraction of the target's probability spread over all classes", minimum=0, below=1
    )
    measure: str = key(
        "bleu",
        "sequence to sequence: bleu (with chrf), or wer (with per) if outputs are phonemes",
        choices=("bleu", "wer"),
    )
    pairs: int | None = key(None, "task=recall: key-value pairs in a sequence", minimum=1)

    @property
    def objective(self) -> str:
        """The name of the task's objective."""
        return OBJECTIVES[self.name]


TOKENIZERS = ("char", "byte", "word", "bpe", "unigram")


@dataclass
class DataConfig:
    dir: str | None = key(None, "folder with the files of corpora")
    path: str | None = key(
        None, "your own file: .txt, or pairs or labels as .tsv or .jsonl, or .gz"
    )
    target_path: str | None = key(None, "your file of targets, if data.path has only the sources")
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
    workers: int = key(0, "processes that prepare batches", minimum=0)
    cache_dir: str | None = key(
        None, "folder for tokenised corpora [$MINITX_CACHE or ~/.cache/minitx]"
    )


@dataclass
class ModelConfig:
    name: str = key("", "the architecture")
    dim: int = key(128, "width of the model", minimum=1)
    layers: int = key(4, "depth", minimum=1)
    context: int = key(64, "longest input, in tokens", minimum=1)
    dropout: float = key(0.0, "share of features dropped in training", minimum=0, below=1)
    tie_embeddings: bool = key(True, "one matrix for input and output embeddings")
    share_embeddings: bool = key(False, "one for source and target, where their vocabulary is one")
    pooling: str = key("mean", "of tokens, to classify the whole", choices=("mean", "first"))


@dataclass
class TransformerConfig(ModelConfig):
    heads: int = key(4, "attention heads; they divide dim", minimum=1)
    kv_heads: int | None = key(None, "key/value heads; they divide heads [heads]", minimum=1)
    ff_dim: int | None = key(None, "width of the feed-forward [4 * dim]", minimum=1)
    mixer: str = key(
        "attention",
        "what moves information between positions",
        choices=("attention", "lstm", "gru", "rnn", "average", "none"),
    )
    window: int | None = key(None, "attend to this many latest tokens only [all]", minimum=1)
    position: str = key(
        "sinusoidal",
        "how order is told (rotary and alibi act in attention only)",
        choices=("sinusoidal", "learned", "rotary", "alibi", "none"),
    )
    norm: str = key("layernorm", "kind of norm", choices=("layernorm", "rmsnorm"))
    norm_order: str = key("pre", "norm before or after a sublayer", choices=("pre", "post"))
    qk_norm: bool = key(False, "normalise each head's queries and keys")
    scaled: bool = key(True, "divide attention's scores by sqrt(dim / heads)")
    residual: bool = key(True, "add what a sublayer gives to what it was given")
    feedforward: bool = key(True, "a feed-forward in every block")
    activation: str = key("gelu", "of the feed-forward", choices=("relu", "gelu", "silu", "relu2"))
    gated: bool = key(False, "gate the feed-forward (with silu: SwiGLU)")
    bias: bool = key(True, "biases in the linear maps")


@dataclass
class RecurrentConfig(ModelConfig):
    cell: str = key("lstm", "kind of recurrence", choices=("rnn", "gru", "lstm"))
    bidirectional: bool | None = key(None, "an encoder reads in both directions [true]")
    attention: str = key(
        "none", "how a decoder attends to its source", choices=("none", "additive", "dot")
    )
    input_feeding: bool = key(False, "a decoder's next input includes what it attended to")


@dataclass
class OptimizerConfig:
    name: str = key("adamw", "the optimizer", choices=("adamw", "muon"))
    lr: float = key(1e-3, "peak learning rate of AdamW", above=0)
    muon_lr: float = key(0.02, "peak learning rate of Muon, for the hidden matrices", above=0)
    weight_decay: float = key(0.1, "decoupled weight decay, of matrices only", minimum=0)
    beta1: float = key(0.9, "AdamW: decay of the gradient's mean", minimum=0, below=1)
    beta2: float = key(0.99, "AdamW: decay of its square's mean", minimum=0, below=1)
    momentum: float = key(0.95, "Muon: decay of the gradient's sum", minimum=0, below=1)
    schedule: str = key(
        "cosine",
        "the learning rate after warm-up",
        choices=("cosine", "linear", "noam", "constant"),
    )
    warmup_steps: int = key(
        100, "steps from zero to the peak; a tenth of max_steps, if it is not smaller", minimum=0
    )
    min_lr_ratio: float = key(0.1, "share of the peak left at the end", minimum=0, maximum=1)
    clip_norm: float | None = key(1.0, "gradients longer than this are shortened to it", above=0)
    ema: float | None = key(
        None, "decay of a moving average of the weights, which is what is kept", above=0, below=1
    )


@dataclass
class TrainerConfig:
    max_steps: int | None = key(2000, "optimizer steps [no limit]", minimum=1)
    max_minutes: float | None = key(None, "minutes of training [no limit]", above=0)
    val_every: int = key(250, "steps between validations, each with a checkpoint", minimum=1)
    val_tokens: int | None = key(
        None,
        "tokens in a validation, always the same ones; the last validation reads all [all]",
        minimum=1,
    )
    log_every: int = key(10, "steps between rows of metrics", minimum=1)
    accumulate: int = key(1, "batches whose gradients are summed for one step", minimum=1)
    average: int | None = key(
        None, "checkpoints whose weights are averaged at the end if that is better", minimum=2
    )
    average_of: str = key("best", "checkpoints to average", choices=("best", "last"))
    patience: int | None = key(
        None, "stop after this many validations without improvement", minimum=1
    )
    accelerator: str = key("cpu", "cpu, gpu, mps, auto, ...")
    devices: int = key(1, "number of devices", minimum=1)
    strategy: str = key("auto", "Lightning's strategy: auto, ddp, ...")
    precision: str = key(
        "32-true",
        "number format",
        choices=("32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true"),
    )
    compile: bool = key(False, "torch.compile the model")
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
    group: str | None = key(None, "group in W&B [the name of the run's folder]")


@dataclass
class BudgetConfig:
    parameters: int | None = key(None, "choose the width for this number of parameters", minimum=1)


@dataclass
class DecodingConfig:
    beam: int = key(5, "number of hypotheses; 1 is greedy search", minimum=1)
    length_penalty: float = key(
        0.6, "exponent of the length; 0 prefers short outputs, 1 averages over tokens", minimum=0
    )
    min_length: int = key(0, "minimum number of tokens in an output", minimum=0)
    max_length: int | None = key(
        None, "maximum number of tokens in an output [twice the source, plus 10]", minimum=1
    )


@dataclass
class RunConfig:
    dir: str | None = key(None, "folder of the run [runs/DATE_TIME_TASK_MODEL_SEED]")


@dataclass
class Config:
    """The keys of `scripts/train.py` and of a run's config.yaml."""

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
    resume: str | None = key(None, "folder of a run to continue with its own config")


# A model's name decides its keys.
MODELS: dict[str, type[ModelConfig]] = {
    "transformer": TransformerConfig,
    "lstm": RecurrentConfig,
    "gru": RecurrentConfig,
    "rnn": RecurrentConfig,
}


@dataclass
class GenerateConfig:
    """The keys of `scripts/generate.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file")
    prompt: str = key("\n", "text to continue; \\n is a line break")
    length: int = key(500, "number of tokens to generate", minimum=1)
    samples: int = key(1, "number of texts to generate", minimum=1)
    temperature: float = key(
        0.8, "below 1 prefers likely tokens; 0 always takes the likeliest", minimum=0
    )
    top_k: int | None = key(None, "sample only from the k likeliest tokens", minimum=1)
    top_p: float | None = key(
        None, "sample only from the likeliest tokens with total probability p", above=0, maximum=1
    )
    seed: int = key(1, "seed of sampling", minimum=0, below=2**32)
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class DataLocation:
    dir: str | None = key(None, "folder with the files of corpora [as in the run]")
    path: str | None = key(None, "your own file [as in the run]")
    target_path: str | None = key(None, "your file of targets [as in the run]")
    cache_dir: str | None = key(None, "folder for tokenised corpora [as in the run]")


@dataclass
class DecodingChange:
    beam: int | None = key(
        None, "number of hypotheses; 1 is greedy search [as in the run]", minimum=1
    )
    length_penalty: float | None = key(
        None,
        "exponent of the length; 0 prefers short outputs, 1 averages over tokens [as in the run]",
        minimum=0,
    )
    min_length: int | None = key(
        None, "minimum number of tokens in an output [as in the run]", minimum=0
    )
    max_length: int | None = key(
        None, "maximum number of tokens in an output [as in the run]", minimum=1
    )


@dataclass
class EvaluateConfig:
    """The keys of `scripts/evaluate.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file")
    split: str = key("val", "split of the corpus", choices=("train", "val", "test"))
    device: str = key("cpu", "cpu, cuda, mps, ...")
    data: DataLocation = key(DataLocation, "location of the corpus")
    decoding: DecodingChange = key(DecodingChange, "search for outputs")


@dataclass
class TranslateConfig:
    """The keys of `scripts/translate.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file")
    text: str | None = key(None, "source text [the lines of standard input]")
    input: str | None = key(None, "file with a source on each line")
    output: str | None = key(None, "file for outputs, one line for each source [standard output]")
    n_best: int = key(1, "number of outputs for each source; above 1, with scores", minimum=1)
    scores: bool = key(False, "write the score before each output")
    temperature: float | None = key(
        None, "sample outputs instead of searching; below 1 prefers likely tokens", minimum=0
    )
    top_k: int | None = key(None, "sample only from the k likeliest tokens", minimum=1)
    top_p: float | None = key(
        None, "sample only from the likeliest tokens with total probability p", above=0, maximum=1
    )
    seed: int = key(1, "seed of sampling", minimum=0, below=2**32)
    device: str = key("cpu", "cpu, cuda, mps, ...")
    decoding: DecodingChange = key(DecodingChange, "search for outputs")


@dataclass
class PredictConfig:
    """The keys of `scripts/predict.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file")
    text: str | None = key(None, "text to classify [the lines of standard input]")
    input: str | None = key(None, "file with a text on each line")
    output: str | None = key(None, ".jsonl file for labels and probabilities [standard output]")
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class ExplainConfig:
    """The keys of `scripts/explain.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file [the tutorial]")
    text: str | None = key(None, "input of the model")
    part: str | None = key(
        None,
        "attention in the encoder, in the decoder, or across; self is the only one [the first]",
        choices=("self", "encoder", "decoder", "cross"),
    )
    layer: int | None = key(None, "index of the layer, from 0 [0]")
    head: int | None = key(None, "index of the head, from 0 [0]")
    truncate: bool = key(False, "shorten a text that is longer than the model's context")
    format: str = key("text", "format of the output", choices=("text", "html", "markdown"))
    output: str | None = key(None, "file for the output [standard output]")
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class InspectConfig:
    """The keys of `scripts/inspect_attention.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file")
    text: str | None = key(None, "input of the model")
    other: str | None = key(None, "folder of a second run to compare with")
    target: str | None = key(None, "output or label to use instead of the model's own")
    layers: list[int] | None = key(None, "layers to show, such as layers=[0,1] [all]")
    heads: list[int] | None = key(None, "heads to show [all]")
    truncate: bool = key(False, "shorten a text that is longer than the model's context")
    dir: str | None = key(None, "folder for the files [the run's folder]")
    device: str = key("cpu", "cpu, cuda, mps, ...")


@dataclass
class ImportanceConfig:
    """The keys of `scripts/head_importance.py`."""

    run: str | None = key(None, "folder of a run, or a .ckpt file")
    split: str = key("val", "split of the corpus", choices=("val", "test"))
    metric: str = key("loss", "measure of importance", choices=("loss", "accuracy"))
    prune: int = key(0, "number of least important heads to switch off together", minimum=0)
    batches: int | None = key(
        None, "number of first batches of the split to measure on [all]", minimum=1
    )
    device: str = key("cpu", "cpu, cuda, mps, ...")
    data: DataLocation = key(DataLocation, "location of the corpus")


@dataclass
class PresetConfig:
    """How thorough a study is. Empty values are taken from the study."""

    seeds: list[int] = key(list, "seeds of each arm at its best learning rate")
    grid: dict[str, Any] = key(dict, "key: values, in place of the study's grid")
    sweep: dict[str, Any] = key(dict, "key: values, in place of the study's sweep")
    settings: list[str] = key(list, "overrides of train.py for every run")
    task_settings: dict[str, Any] = key(dict, "task: overrides of train.py for its runs")


@dataclass
class StudyConfig:
    """A question and its grid of runs, as in a file of conf/study/."""

    name: str = key("", "name of the study")
    question: str = key("", "question that the study answers")
    tasks: list[str] = key(list, "tasks that the study suits [all]")
    arms: dict[str, Any] = key(dict, "models to compare, name: [overrides of train.py]")
    pair_arms: dict[str, Any] = key(dict, "models to compare in sequence to sequence [as arms]")
    grid: dict[str, Any] = key(dict, "key: [values]; trains every arm with every combination")
    sweep: dict[str, Any] = key(
        dict, "key: [values]; each arm and combination gets the value that is best on val"
    )
    settings: list[str] = key(list, "overrides of train.py for every run")
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
    dir: str | None = key(None, "folder of the study [studies/STUDY_TASK_PRESET]")
    runs: str = key("studies/runs", "folder with the runs of all studies")


@dataclass
class CompareConfig(Config):
    """The keys of `scripts/compare.py`: a study, and keys for all of its runs."""

    study: StudyConfig = key(StudyConfig, "question and grid of runs")
    preset: str = key("quick", "thoroughness", choices=("quick", "full"))
    report_only: bool = key(False, "write the report of the finished runs, and train nothing")
    only: str | None = key(None, "key of a single run to do, without a report")
