"""Test sequence to sequence: every kind of model learns, and its folder has all files."""

import gzip
import json
import math
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from example_corpora import SMALL, number_pairs, part_of_pairs, unigram_loss, write_tsv
from run_files import checkpoint, columns, files, rows, series, summary
from stopping import RANDOM, assert_resumes_exactly, assert_same_run

import minitx
from minitx.config.compose import read_config
from minitx.config.schema import DecodingConfig
from minitx.data.corpora import pairs as pair_corpora
from minitx.data.corpora.pairs import PairCorpus
from minitx.data.tokenizers.sequence import BOS, EOS, SPECIALS, SequenceTokenizer
from minitx.decoding.translation import search, with_end_symbol
from minitx.tasks.open import open_task

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
COUNT = 1200


@pytest.fixture(scope="module")
def corpus():
    return number_pairs(COUNT)


@pytest.fixture(scope="module")
def numbers(corpus, tmp_path_factory):
    """The command line of a run on pairs of numbers."""
    path = write_tsv(tmp_path_factory.mktemp("pairs") / "numbers.tsv", corpus)
    return ["task=pairs", f"data.path={path}", *SMALL, "data.batch_tokens=600"]


LEARNING = ["trainer.val_every=20", "trainer.log_every=20", "task.measure=wer", "decoding.beam=1"]
RECURRENT = ["optimizer.lr=0.02", "trainer.max_steps=80"]

KINDS = {
    "transformer": ["model.dim=48", "trainer.max_steps=160"],
    "lstm": ["model=lstm", "model.dim=64", *RECURRENT],
    "lstm, additive": ["model=lstm", "model.dim=32", "model.attention=additive", *RECURRENT],
    "lstm, dot": ["model=lstm", "model.dim=32", "model.attention=dot", *RECURRENT],
}


@pytest.fixture(scope="module", params=KINDS, ids=str)
def finished(request, train, numbers, tmp_path_factory):
    """A finished run of each kind, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(*numbers, f"run.dir={folder}", *LEARNING, *KINDS[request.param]), folder


def unigram_of(corpus):
    """The loss of knowing no more of val than which words are frequent."""
    train, val = ([target for _, target in part_of_pairs(corpus, s)] for s in ("train", "val"))
    return unigram_loss(train, val)


def test_it_learns_more_than_which_words_are_frequent(finished, corpus):
    _, folder = finished
    first, *_, last = series(folder, "val/loss").values()
    assert last < first - 0.2
    unigram = unigram_of(corpus)
    assert 2.2 < unigram < 2.4  # ten words alike, and now and then an end
    assert last < unigram / 2


def test_most_of_what_it_writes_greedily_is_right(finished, corpus):
    run, folder = finished
    test = part_of_pairs(corpus, "test")
    sources = [with_end_symbol(run.vocabulary.source.encode(source)) for source, _ in test]
    found = search(run.model, run.vocabulary, sources, DecodingConfig(beam=1))
    right = [output.text == target for (output,), (_, target) in zip(found, test, strict=True)]
    assert sum(right) / len(right) > 0.6
    # ... which is also what the training itself has measured.
    assert summary(folder)["metrics"]["test/wer"] == pytest.approx(1 - sum(right) / len(right))


def test_validation_is_the_mean_over_every_target_token(finished, corpus):
    """Computed by hand: a pair at a time, without padding, and without the training's smoothing."""
    run, folder = finished
    nats = right = tokens = 0
    for source, target in part_of_pairs(corpus, "val"):
        ids = run.vocabulary.target.encode(target)
        inputs = torch.tensor([with_end_symbol(run.vocabulary.source.encode(source))])
        with torch.no_grad():
            logits = run.model(inputs, None, torch.tensor([[BOS, *ids]]))[0]
        wanted = torch.tensor([*ids, EOS])
        nats += float(F.cross_entropy(logits, wanted, reduction="sum"))
        right += int((logits.argmax(dim=-1) == wanted).sum())
        tokens += len(wanted)
    found = summary(folder)["metrics"]
    assert found["val/loss"] == pytest.approx(nats / tokens, rel=1e-5)
    assert found["val/perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert found["val/accuracy"] == pytest.approx(right / tokens)


def test_the_folder_holds_these_files_and_no_others(finished):
    run, folder = finished
    assert files(folder) == {
        "config.yaml",
        "metrics.csv",
        "metrics.crc32",
        "summary.json",
        "tokenizer/source.json",
        "tokenizer/target.json",
        "samples.txt",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    for side in ("source", "target"):
        text = (folder / "tokenizer" / f"{side}.json").read_text(encoding="utf-8")
        saved = SequenceTokenizer.from_json(text)
        assert saved.fingerprint == getattr(run.vocabulary, side).fingerprint


def test_metrics_have_these_names(finished):
    _, folder = finished
    training = ["train/loss", "grad_norm", "lr", "tokens_per_second"]
    val, test = (
        [f"{split}/{name}" for name in ("loss", "perplexity", "accuracy")]
        for split in ("val", "test")
    )
    test += ["test/wer", "test/per"]
    assert columns(folder) == ["step", *training, *val, "tokens_seen", "train_seconds", *test]
    steps = summary(folder)["steps"]
    assert list(rows(folder)) == list(range(20, steps + 1, 20))
    assert set(summary(folder)["metrics"]) == {*val, *test}
    for name in test:
        assert summary(folder)["metrics"][name] == rows(folder)[steps][name]


def test_the_summary_tells_what_there_was_to_train_on(finished, corpus):
    run, folder = finished
    found = summary(folder)
    assert (found["status"], found["task"]) == ("finished", "pairs")
    assert found["model"] == run.config.model.name
    data = found["data"]
    assert data["train_examples"] == len(part_of_pairs(corpus, "train"))
    assert data["train_examples_left_out"] == 0
    assert 0 < data["padding_share"] < 0.1
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    assert found["parameters"] == parameters
    tables = {
        id(table): table.numel()
        for name, table in run.model.named_parameters()
        if "embedding" in name or "to_logits" in name
    }
    assert found["parameters_non_embedding"] == parameters - sum(tables.values())


def test_samples_show_the_first_pairs_of_val(finished, corpus):
    """They are next to what they should be; at the last validation most of them are right."""
    _, folder = finished
    text = (folder / "samples.txt").read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("--- step ")]
    assert headings == [f"--- step {step} ---" for step in series(folder, "val/loss")]
    *_, last = text.strip().split("\n\n")
    lines = [line for line in last.splitlines() if not line.startswith("--- ")]
    right = 0
    for line, (source, target) in zip(lines, part_of_pairs(corpus, "val")[:8], strict=True):
        start, _, output = line.partition(" -> ")
        written, _, wanted = output.partition("    (")
        assert (start, wanted) == (source, f"{target})")
        right += written == target
    assert right >= 4


@pytest.mark.parametrize("finished", ["lstm, additive"], indirect=True)
def test_a_checkpoint_alone_is_enough(finished, tmp_path, corpus):
    run, folder = finished
    lone = tmp_path / "lone.ckpt"
    lone.write_bytes((folder / "checkpoints" / "best.ckpt").read_bytes())
    kept = torch.load(lone, weights_only=True)
    assert set(kept["hyper_parameters"]["tokenizer"]) == {"source", "target"}
    opened = minitx.load(lone)
    assert not opened.model.training
    source, target = corpus[0]
    ids = with_end_symbol(opened.vocabulary.source.encode(source))
    for model in (opened.model, run.model):
        ((output,),) = search(model, opened.vocabulary, [ids], DecodingConfig())
        assert output.text == target
    with pytest.raises(AttributeError, match="two tokenizers"):
        _ = opened.tokenizer


@pytest.mark.parametrize("finished", ["lstm, dot"], indirect=True)
def test_the_config_alone_repeats_the_run(finished, tmp_path):
    _, folder = finished
    config = read_config(folder / "config.yaml")
    config.run.dir = str(tmp_path / "again")
    minitx.train(config)
    assert_same_run(tmp_path / "again", folder)


@pytest.mark.parametrize("mixer", ["lstm", "average", "none"])
def test_other_mixers_learn_too(mixer, train, numbers, corpus, tmp_path):
    """Which of the words of a source come first, attention alone can tell, or a recurrence."""
    end = ["trainer.max_steps=40", "trainer.val_every=20", "decoding.beam=1"]
    train(*numbers, f"run.dir={tmp_path / 'run'}", f"model.mixer={mixer}", "model.dim=32", *end)
    first, *_, last = series(tmp_path / "run", "val/loss").values()
    assert last < first
    assert last < unigram_of(corpus) - 0.3


FEW = ["model.dim=16", "trainer.max_steps=6", "trainer.val_every=3", "decoding.beam=1"]


@pytest.mark.parametrize(
    "words",
    [
        ["model=gru", "model.dim=16", "model.attention=dot", "model.input_feeding=true"],
        ["model=rnn", "model.dim=16", "model.bidirectional=false", "model.dropout=0.1"],
        ["model.norm_order=post", "model.position=learned", "model.gated=true"],
        ["trainer.precision=bf16-mixed"],
        ["trainer.precision=bf16-true", "model=lstm", "model.dim=16", "model.attention=additive"],
        ["optimizer=muon", "optimizer.schedule=noam"],
        ["data.tokenizer=char", "data.target_tokenizer=word", "model.dropout=0.2"],
        ["model.context=32", "data.tokenizer=unigram", "data.vocab_size=300"],
        ["data.workers=2", "trainer.accumulate=2"],
    ],
    ids=lambda words: ", ".join(words[-2:]),
)
def test_what_can_be_chosen_runs(words, train, numbers, tmp_path):
    train(*numbers, f"run.dir={tmp_path / 'run'}", *FEW, *words)
    first, last = series(tmp_path / "run", "val/loss").values()
    assert last < first
    found = summary(tmp_path / "run")["metrics"]
    assert 0 <= found["test/bleu"] <= 100
    assert 0 <= found["test/chrf"] <= 100


def test_both_sides_may_share_one_vocabulary_and_its_embeddings(train, numbers, tmp_path):
    joint = ["data.tokenizer=bpe", "data.vocab_size=300", "data.shared_vocab=true"]
    shared = "model.share_embeddings=true"
    run = train(*numbers, f"run.dir={tmp_path / 'run'}", *FEW, *joint, shared)
    assert run.vocabulary.source.fingerprint == run.vocabulary.target.fingerprint
    model = run.model  # as it was opened from its checkpoint
    assert model.source_embedding.table.weight is model.target_embedding.table.weight
    assert model.to_logits.weight is model.target_embedding.table.weight
    found = summary(tmp_path / "run")
    tables = run.vocabulary.source.vocab_size * 16
    assert found["parameters"] - found["parameters_non_embedding"] == tables


def test_pairs_may_come_in_any_of_the_formats(train, numbers, corpus, tmp_path):
    """The same pairs are the same training, to the last digit."""
    tsv = [word for word in numbers if not word.startswith("data.path=")]
    (tmp_path / "n.jsonl").write_text(
        "".join(json.dumps({"target": t, "source": s, "note": 1}) + "\n" for s, t in corpus),
        encoding="utf-8",
    )
    for name, side in (("sources", 0), ("targets", 1)):
        with gzip.open(tmp_path / f"{name}.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{pair[side]}\n" for pair in corpus)
    parallel = [
        f"data.path={tmp_path / 'sources.gz'}",
        f"data.target_path={tmp_path / 'targets.gz'}",
    ]
    train(*numbers, *FEW, f"run.dir={tmp_path / 'tsv'}")
    train(*tsv, *FEW, f"data.path={tmp_path / 'n.jsonl'}", f"run.dir={tmp_path / 'jsonl'}")
    train(*tsv, *FEW, *parallel, f"run.dir={tmp_path / 'parallel'}")
    assert rows(tmp_path / "tsv") == rows(tmp_path / "jsonl") == rows(tmp_path / "parallel")


def test_what_is_too_long_to_train_on_is_left_out_and_counted(train, tmp_path, capfd):
    pairs = [(str(n), " ".join(str(n))) for n in range(1000, 1300)]
    assert part_of_pairs(pairs, "train")[0] == pairs[0]
    pairs[0] = (pairs[0][0], "1 " * 24)  # 25 tokens with the end, of a context of 24
    path = write_tsv(tmp_path / "pairs.tsv", pairs)
    words = ["task=pairs", f"data.path={path}", *SMALL, "data.batch_tokens=600", *FEW]
    train(*words, f"run.dir={tmp_path / 'run'}")
    data = summary(tmp_path / "run")["data"]
    assert data["train_examples"] == len(part_of_pairs(pairs, "train"))
    assert data["train_examples_left_out"] == 1
    said = capfd.readouterr().err
    assert f"{data['train_examples'] - 1:,} examples to train on, 1 longer than" in said


@pytest.mark.parametrize("size", [9, 14])
def test_words_that_no_output_can_contain_are_announced(size, train, numbers, corpus, capfd):
    words = Counter(word for _, target in part_of_pairs(corpus, "train") for word in target.split())
    known = words.most_common(size - len(SPECIALS))
    share = 1 - sum(number for _, number in known) / words.total()
    train(*numbers, *FEW, "data.target_tokenizer=word", f"data.vocab_size={size}")
    said = f"{share:.2%} of the words in the targets of train are not in the vocabulary of {size}"
    assert (said in capfd.readouterr().err) == (size == 9)


def test_a_budget_of_parameters_is_kept(train, numbers, tmp_path):
    budget = ["budget.parameters=60000", "model=lstm", "model.attention=additive"]
    folder = tmp_path / "run"
    train(*numbers, f"run.dir={folder}", *FEW, *budget, "trainer.max_steps=3")
    assert summary(folder)["parameters"] == pytest.approx(60_000, rel=0.02)


VARIANTS = {
    "lstm": ["model=lstm", "model.dim=16", "model.attention=additive"],
    "two batches a step, an average, two workers": [
        *("trainer.accumulate=2", "optimizer.ema=0.9", "data.workers=2"),
    ],
    "the best averaged": ["trainer.average=2", "trainer.accumulate=2", "optimizer=muon"],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_interrupted_run_resumes_exactly(variant, train, numbers, monkeypatch, tmp_path):
    words = [*numbers, *FEW, *RANDOM, *VARIANTS[variant]]
    assert_resumes_exactly(train, monkeypatch, tmp_path, 12, *words)


def mean_weights(folder):
    """The mean of the weights of the checkpoints that a run kept, and their steps."""
    files = (folder / "checkpoints").glob("kept*.ckpt")
    kept = [torch.load(file, weights_only=True) for file in files]
    weights = [file["state_dict"] for file in kept]
    mean = {name: sum(each[name] for each in weights) / len(kept) for name in weights[0]}
    return mean, {file["global_step"] for file in kept}


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_better_average_is_tested_and_opened(which, train, numbers, tmp_path):
    """Steps that are too long go around the place that their mean is near to."""
    folder = tmp_path / "run"
    long_steps = ["optimizer.lr=0.1", "optimizer.schedule=constant", "data.batch_tokens=100"]
    model = ["model=lstm", "model.dim=32", "decoding.beam=1"]
    end = ["trainer.max_steps=80", "trainer.val_every=10"]
    average = ["trainer.average=3", f"trainer.average_of={which}"]
    run = train(*numbers, f"run.dir={folder}", *model, *long_steps, *end, *average)
    losses = series(folder, "val/loss")
    weights, steps = mean_weights(folder)
    # Steps that long make much of a rounding: which three are the best, each machine has its own.
    assert steps == set(sorted(losses, key=losses.get if which == "best" else int.__neg__)[:3])
    assert run.path == folder / "checkpoints" / "averaged.ckpt"
    for name, value in checkpoint(folder, "averaged")["state_dict"].items():
        torch.testing.assert_close(value, weights[name])
    assert series(folder, "averaged/loss")[80] < min(losses.values())
    assert summary(folder)["metrics"]["val/loss"] == series(folder, "averaged/loss")[80]
    # What was tested is what is opened.
    examples = open_task(run.config).evaluate(run.model, "test", run.config.decoding)
    assert summary(folder)["metrics"]["test/bleu"] == pytest.approx(examples.metrics["bleu"])
    opened = minitx.load(folder / "checkpoints" / "best.ckpt")
    assert opened.step == min(losses, key=losses.get)


def test_a_worse_average_is_dropped(train, numbers, tmp_path):
    """As early in a training, where what was kept first has learned nothing yet."""
    folder = tmp_path / "run"
    words = ["trainer.max_steps=20", "trainer.val_every=10", "trainer.average=2"]
    run = train(*numbers, f"run.dir={folder}", *FEW, *words)
    losses = series(folder, "val/loss")
    assert series(folder, "averaged/loss")[20] > losses[20]
    assert run.path == folder / "checkpoints" / "best.ckpt"
    assert not (folder / "checkpoints" / "averaged.ckpt").exists()
    assert summary(folder)["metrics"]["val/loss"] == losses[20]
    text = (folder / "samples.txt").read_text(encoding="utf-8")
    assert text.count("--- step 20 ---") == 1  # and it is not shown as what the run writes


def thinned(corpus, every=20):
    """A corpus with every 20th pair only: to tokenise all of it takes seconds."""

    def take(stream):
        return lambda: islice(stream(), 0, None, every)

    return PairCorpus(corpus.name, {name: take(s) for name, s in corpus.splits.items()})


@pytest.fixture
def thin(monkeypatch):
    """Lets tasks have a part of the embedded and of the published corpora of pairs."""
    for name in ("cmudict", "multi30k"):
        whole = getattr(pair_corpora, name)
        part = lambda *args, whole=whole: thinned(whole(*args))  # noqa: E731
        monkeypatch.setattr(pair_corpora, name, part)


def unigram_of_store(run):
    """As `unigram_of`, for a corpus whose tokens are pieces of words."""
    store = open_task(run.config).store
    spelt = (" ".join(map(str, row)) for row in store.split("train").target)
    return unigram_loss(spelt, [" ".join(map(str, row)) for row in store.split("val").target])


SHORT = ["model.layers=1", "optimizer=adamw", "optimizer.warmup_steps=10", "decoding.beam=1"]


def test_pronunciation_is_learned_from_the_embedded_dictionary(train, thin, tmp_path):
    folder = tmp_path / "run"
    words = ["task=cmudict", "data.batch_size=null", "data.tokenizer=char", "model.context=64"]
    model = ["model=lstm", "model.dim=48", "model.attention=dot", *SHORT, "optimizer.lr=0.02"]
    end = ["trainer.max_steps=60", "trainer.val_every=30", "data.path=null"]
    run = train(*words, *model, *end, f"run.dir={folder}")
    assert series(folder, "val/loss")[60] < unigram_of_store(run) - 0.5
    metrics = summary(folder)["metrics"]
    assert metrics["test/per"] < 0.9  # of the phonemes; an empty output has 1
    assert 0 <= metrics["test/wer"] <= 1
    assert not {name for name in metrics if "bleu" in name}
    assert run.vocabulary.source.kind == "char"
    assert run.vocabulary.target.kind == "word"
    assert run.vocabulary.target.vocab_size == 4 + 39  # phonemes without their stress


def test_translation_is_learned_from_multi30k(train, thin, tmp_path):
    if not (DATA / "multi30k").is_dir():
        pytest.skip(f"multi30k is not in {DATA}")
    folder = tmp_path / "run"
    words = ["task=multi30k", f"data.dir={DATA}", "data.batch_size=null", "data.vocab_size=1000"]
    model = ["model.dim=32", "model.context=128", *SHORT, "optimizer.lr=0.02"]
    end = ["trainer.max_steps=60", "trainer.val_every=30", "data.batch_tokens=1000"]
    run = train(*words, *model, *end, "data.path=null", f"run.dir={folder}")
    assert series(folder, "val/loss")[60] < unigram_of_store(run)
    assert {"test/bleu", "test/bleu_lowercase", "test/chrf"} < set(summary(folder)["metrics"])
    assert run.vocabulary.source.fingerprint == run.vocabulary.target.fingerprint
    assert run.config.model.share_embeddings
