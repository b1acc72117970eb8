"""Every task and every objective, and all that is known of them without torch.

A task is a corpus with an objective. Its corpus registers under the same name in
`minitx.data.corpora.sources`, and `conf/task/<name>.yaml` holds the settings that suit it. See
"Adding a task" in docs/architecture.md.
"""

from dataclasses import dataclass

from minitx.config.registry import Registry


@dataclass(frozen=True)
class ObjectiveSpec:
    """What a model learns to predict, and how such a model is used.

    command    the command, and the method of `minitx.Run`, that uses a trained model
    text_key   that command's key for a text
    otherwise  what to type after the command if there is no text to suggest
    corpora    the module of `minitx.data.corpora` with its corpora
    headline   the measure by which models are compared; empty: `task.measure` chooses it
    compared   the metrics that a table of several runs shows
    keys       the config keys that only tasks with this objective use
    output     what a model gives for a text
    unit       what one answer is; `answer` and `to_answer` are phrases that name it
    windows    whether a split is evaluated in windows of one length, position by position
    arms       the key of a study that holds its arms
    """

    name: str
    command: str
    corpora: str
    headline: str
    compared: tuple[str, ...]
    keys: tuple[str, ...] = ()
    text_key: str = "text"
    otherwise: str = "input=my.txt"
    output: str = "output"
    unit: str = "token"
    answer: str = "token generated"
    to_answer: str = "generate a token"
    windows: bool = False
    arms: str = "arms"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class TaskSpec:
    """A task as it is declared.

    example    a text to try a trained model with
    own_keys   the config keys that only this task and others that name them use
    synthetic  whether its examples are generated instead of read
    corpora    the module of `minitx.data.corpora` with its corpus, if not the objective's
    own_headline  the measure by which models are compared, if not the objective's
    """

    name: str
    objective: ObjectiveSpec
    example: str = ""
    own_keys: tuple[str, ...] = ()
    synthetic: bool = False
    corpora: str = ""
    own_headline: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The config keys that this task uses and some others do not."""
        read = () if self.synthetic else ("data.train_fraction",)
        return (*self.own_keys, *self.objective.keys, *read)

    @property
    def headline(self) -> str:
        """The measure by which models are compared; empty: `task.measure` chooses it."""
        return self.own_headline or self.objective.headline


OBJECTIVES: Registry[ObjectiveSpec] = Registry("objective")
TASKS: Registry[TaskSpec] = Registry("task")


def declare_objective(spec: ObjectiveSpec) -> ObjectiveSpec:
    """Add an objective. Raises UserError if there is one of this name."""
    return OBJECTIVES.register(spec.name, spec)


def declare_task(spec: TaskSpec) -> TaskSpec:
    """Add a task. Raises UserError if there is one of this name."""
    return TASKS.register(spec.name, spec)


LANGUAGE_MODELING = declare_objective(
    ObjectiveSpec(
        "language modelling",
        command="generate",
        corpora="text",
        headline="bits_per_byte",
        compared=("val/loss", "val/bits_per_byte"),
        text_key="prompt",
        otherwise="",
        output="next token",
        windows=True,
    )
)
SEQUENCE_TO_SEQUENCE = declare_objective(
    ObjectiveSpec(
        "sequence to sequence",
        command="translate",
        corpora="pairs",
        headline="",
        compared=("val/loss", "test/wer", "test/per", "test/bleu", "test/chrf"),
        keys=("task.measure", "data.target_tokenizer", "data.shared_vocab"),
        arms="pair_arms",
    )
)
CLASSIFICATION = declare_objective(
    ObjectiveSpec(
        "classification",
        command="predict",
        corpora="labels",
        headline="accuracy",
        compared=("val/loss", "val/accuracy", "test/accuracy"),
        output="label",
        unit="text",
        answer="text classified",
        to_answer="classify a text",
    )
)


def length_task(name: str, example: str, *own_keys: str) -> TaskSpec:
    """Return a task whose sequences are generated, and tested beyond the lengths of training."""
    keys = ("task.train_length", "task.test_lengths", *own_keys)
    return TaskSpec(
        name, LANGUAGE_MODELING, example, keys, synthetic=True, own_headline="exact_match"
    )


for _task in (
    TaskSpec("shakespeare", LANGUAGE_MODELING, "ROMEO:"),
    TaskSpec("tiny_shakespeare", LANGUAGE_MODELING, "ROMEO:"),
    TaskSpec("text", LANGUAGE_MODELING, own_keys=("data.path",)),
    TaskSpec(
        "recall",
        LANGUAGE_MODELING,
        "k3 v7 k5 v2 k3",
        own_keys=("task.pairs",),
        synthetic=True,
        own_headline="accuracy",
    ),
    length_task("parity", "1 0 1 1"),
    length_task("permutation", "21345 23451"),
    length_task("dyck", "( [ ]"),
    length_task("bounded_dyck", "( [ ]", "task.depth"),
    length_task("copy", "a b c >"),
    length_task("reverse", "a b c >"),
    length_task("selective_copy", ". a . . b ? ?"),
    TaskSpec("cmudict", SEQUENCE_TO_SEQUENCE, "attention", own_keys=("data.stress",)),
    TaskSpec("multi30k", SEQUENCE_TO_SEQUENCE, "A man is reading a book on a bench."),
    TaskSpec("pairs", SEQUENCE_TO_SEQUENCE, own_keys=("data.path", "data.target_path")),
    TaskSpec("genre", CLASSIFICATION, "O, she doth teach the torches to burn bright!"),
    TaskSpec("sst2", CLASSIFICATION, "A film that nobody who sees it will forget."),
    TaskSpec("trec", CLASSIFICATION, "Who wrote the first dictionary?"),
    TaskSpec("labels", CLASSIFICATION, own_keys=("data.path",)),
):
    declare_task(_task)
