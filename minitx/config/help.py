"""--help, from the same schemas that check the keys."""

import dataclasses
import textwrap
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from minitx.config.compose import CONF, as_typed, keys, options, type_name
from minitx.config.schema import MODELS

INDENT = 34  # where the explanations begin
WIDTH = 100  # of a line

GROUPS = {
    "config": ("task", "model", "optimizer", "trainer", "logger", "experiment"),
    "compare": ("study", "task", "optimizer", "trainer", "logger", "experiment"),
}

EXAMPLES = {
    "config": """\
Train a model on a task: a text to continue, pairs to translate, texts to classify.

  python scripts/train.py                                   the default: minutes on 2 CPU cores
  python scripts/train.py model=lstm                        the same with an LSTM
  python scripts/train.py model.heads=8 trainer.max_steps=500
  python scripts/train.py task=text data.path=my.txt        your own text
  python scripts/train.py task=cmudict                      spelling to phonemes
  python scripts/train.py task=cmudict model=lstm model.attention=additive
  python scripts/train.py task=genre                        which kind of play a speech is from
  python scripts/train.py task=pairs data.path=my.tsv       your own pairs; task=labels likewise
  python scripts/train.py -m model=transformer,lstm seed=1,2,3
  python scripts/train.py resume=runs/...                   go on with a run
""",
    "generate": """\
Let a trained model write.

  python scripts/generate.py run=runs/... prompt="ROMEO:" temperature=0.8
""",
    "evaluate": """\
Measure a trained model on a whole split.

  python scripts/evaluate.py run=runs/... split=test
  python scripts/evaluate.py run=runs/... split=test decoding.beam=10
""",
    "translate": """\
Let a trained sequence-to-sequence model write the outputs of sources.

  python scripts/translate.py run=runs/... text="attention"
  python scripts/translate.py run=runs/... text="attention" n_best=5
  python scripts/translate.py run=runs/... input=words.txt output=phonemes.txt decoding.beam=10
  echo attention | python scripts/translate.py run=runs/...
""",
    "predict": """\
Let a trained classifier tell the class of texts.

  python scripts/predict.py run=runs/... text="O, she doth teach the torches to burn bright!"
  python scripts/predict.py run=runs/... input=texts.txt output=classes.jsonl
""",
    "inspect": """\
Show what every head of a trained model attends to in a text: a page, pictures, data, a table.

  python scripts/inspect_attention.py run=runs/... text="attention"
  python scripts/inspect_attention.py run=runs/... other=runs/... text="attention"
""",
    "importance": """\
Measure a trained model with each of its heads switched off.

  python scripts/head_importance.py run=runs/...
  python scripts/head_importance.py run=runs/... prune=8
""",
    "compare": """\
Answer a question with a grid of runs: train what is missing, and write a report of it.

  python scripts/compare.py study=architectures             attention beside recurrence, in minutes
  python scripts/compare.py study=architectures task=cmudict preset=full
  python scripts/compare.py study=heads report_only=true    draw the report again
  python scripts/compare.py study=distance task=recall      who remembers how far back
  python scripts/compare.py study=mixer model.dim=64        a key of scripts/train.py, for all runs
  python scripts/compare.py study=heads hydra/launcher=joblib hydra.launcher.n_jobs=2
""",
    "explain": """\
Follow one head of attention through its four steps, with every number.

  python scripts/explain.py                                 the tutorial: "The cat sat"
  python scripts/explain.py run=runs/... layer=0 head=3 text="To be, or not to be"
  python scripts/explain.py run=runs/... part=cross text="attention"
  python scripts/explain.py format=html output=explain.html
""",
}


def help_text(config_name: str, schema: type) -> str:
    """The page: examples, the options of each group, every key with its default and meaning."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(config_name)
    lines = [EXAMPLES[config_name]]
    if config_name in GROUPS:
        lines.append("Choices (group=name):")
        for group in GROUPS[config_name]:
            line = f"  {group:<11} {', '.join(options(group))}"
            lines += textwrap.wrap(line, width=WIDTH, subsequent_indent=" " * 14)
        lines.append("")
    lines.append("Keys (key=value), with their defaults:")
    for name, field in _all_keys(schema):
        if dataclasses.is_dataclass(field.type):
            lines.append(f"\n{name}: {field.metadata['help']}")
        else:
            lines += _entry(name, field, OmegaConf.select(composed, name, default=field.default))
    lines += ["", "--cfg job prints the composed config; --hydra-help what Hydra itself offers."]
    return "\n".join(lines)


def _all_keys(schema: type) -> list[tuple[str, dataclasses.Field[Any]]]:
    """The keys of every kind of model, each once, group by group."""
    found = {name: field for model in MODELS.values() for name, field in keys(schema, model)}
    groups = list(dict.fromkeys(name.split(".")[0] for name in found))
    return sorted(found.items(), key=lambda item: groups.index(item[0].split(".")[0]))


def _entry(name: str, field: dataclasses.Field[Any], default: Any) -> list[str]:
    head = f"  {name}={as_typed(default)}".replace("\n", "\\n")
    if len(head) > WIDTH:
        head = f"  {name}=..."  # as in conf/study/*.yaml
    choices = field.metadata.get("choices")
    about = field.metadata["help"]
    about += f": {', '.join(choices)}" if choices else f" ({type_name(field)})"
    wrapped = textwrap.wrap(about, width=WIDTH - INDENT, break_on_hyphens=False)
    if len(head) >= INDENT:
        return [head, *(" " * INDENT + line for line in wrapped)]
    return [f"{head:<{INDENT}}{wrapped[0]}", *(" " * INDENT + line for line in wrapped[1:])]
