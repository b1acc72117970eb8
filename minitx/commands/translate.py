"""Translate sources with a trained sequence-to-sequence model."""

from minitx.commands.command import Command
from minitx.commands.console import loading
from minitx.commands.text_io import answer_lines, check_texts
from minitx.config.compose import changed
from minitx.config.schema import TranslateConfig
from minitx.config.tasks import SEQUENCE_TO_SEQUENCE
from minitx.data.lines import on_one_line
from minitx.errors import UserError
from minitx.runs.checks import check_run


def translate(config: TranslateConfig, overrides: list[str]) -> None:
    """Translate `config.text`, or the lines of a file or of standard input.

    Writes the best output of each source on a line. With scores or `n_best`, writes `n_best` lines
    for each source, best first, each with a score, a tab and an output. Line breaks in an output
    are written as in JSON, and tabs too if there are scores. Raises UserError as
    `answer_lines` does, for a run of another objective, and for a source that is empty or longer
    than the model's context.
    """
    check_translation(config)
    with loading(f"torch and {config.run}"):
        import torch

        from minitx.decoding.translation import Output, draw, encode_source, search
        from minitx.runs.run import load_for

    run = load_for(SEQUENCE_TO_SEQUENCE, config.run, config.device)
    model, vocabulary = run.model, run.vocabulary
    decoding = changed(run.config.decoding, config.decoding)
    if config.temperature is None and config.n_best > decoding.beam:
        raise UserError(
            f"n_best={config.n_best} is more than decoding.beam={decoding.beam} finds: "
            f"set decoding.beam={config.n_best}"
        )
    with_scores = config.scores or config.n_best > 1
    generator = torch.Generator(run.device).manual_seed(config.seed)

    def prepare(text: str) -> list[int]:
        return encode_source(text, vocabulary, model.context)

    def answer(sources: list[list[int]]) -> list[str]:
        if config.temperature is None:
            found = search(model, vocabulary, sources, decoding, config.n_best)
        else:
            found = draw(model, vocabulary, sources, config, decoding, generator)
        return [line(output) for outputs in found for output in outputs]

    def line(output: Output) -> str:
        text = on_one_line(output.text)
        if not with_scores:
            return text
        untabbed = text.replace("\t", r"\t")
        return f"{output.score:.4f}\t{untabbed}"

    answer_lines(config.text, config.input, config.output, prepare, answer)


def check_translation(config: TranslateConfig) -> None:
    """Raise UserError if the run or the texts are missing, the output exists, or keys contradict
    each other.
    """
    check_run(config.run, SEQUENCE_TO_SEQUENCE)
    check_texts(config.text, config.input, config.output)
    if config.temperature is None and (config.top_k or config.top_p) is not None:
        raise UserError("top_k and top_p are for sampled outputs: set temperature=1 as well")
    for name in ("beam", "length_penalty"):
        value = getattr(config.decoding, name)
        if config.temperature is not None and value is not None:
            raise UserError(
                f"decoding.{name}={value:g} is for a search for outputs, and temperature="
                f"{config.temperature:g} samples them: leave one of them out"
            )


COMMAND = Command(
    name="translate",
    summary="Translate texts with a trained sequence-to-sequence model.",
    function=translate,
    schema=TranslateConfig,
    examples=(
        ('run=runs/... text="attention"', ""),
        ('run=runs/... text="attention" n_best=5', ""),
        ("run=runs/... input=words.txt output=phonemes.txt decoding.beam=10", ""),
        ("run=runs/... < words.txt", ""),
    ),
    texts=("text",),
)
