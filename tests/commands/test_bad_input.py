"""Test that bad input gives an error of one line with a hint, and leaves no files."""

import pickle
import warnings
from pathlib import Path

import pytest
import torch

# (what is typed, what must be said)
TRAINING = {
    "heads that do not divide dim": (["model.heads=3"], ["heads", "3", "16"]),
    "heads that do not divide, plain": (["model.heads=3", "model.position=none"], ["heads", "16"]),
    "kv_heads that do not divide": (["model.kv_heads=3"], ["kv_heads", "3", "4"]),
    "odd heads with rotary": (["model.dim=12"], ["rotary", "even"]),
    "dim 0": (["model.dim=0"], ["model.dim=0", "at least 1"]),
    "layers -1": (["model.layers=-1"], ["model.layers=-1", "at least 1"]),
    "heads 0": (["model.heads=0"], ["model.heads=0", "at least 1"]),
    "context 0": (["model.context=0"], ["model.context=0", "at least 1"]),
    "batch_size 0": (["data.batch_size=0"], ["data.batch_size=0", "at least 1"]),
    "no share": (["data.train_fraction=0"], ["data.train_fraction=0", "above 0"]),
    "more than there is": (["data.train_fraction=1.5"], ["data.train_fraction=1.5", "at most 1"]),
    "too little left": (
        ["data.train_fraction=0.0001"],
        ["data.train_fraction=0.0001", "too short"],
    ),
    "a share without end": (
        ["task=recall", "task.pairs=2", "data.train_fraction=0.5"],
        ["data.train_fraction=0.5", "does not use"],
    ),
    "max_steps 0": (["trainer.max_steps=0"], ["trainer.max_steps=0", "at least 1"]),
    "max_minutes 0": (["trainer.max_minutes=0"], ["trainer.max_minutes=0", "above 0"]),
    "dropout 1": (["model.dropout=1"], ["model.dropout=1", "below 1"]),
    "seed -1": (["seed=-1"], ["seed=-1", "at least 0"]),
    "not a number": (["optimizer.lr=nan"], ["optimizer.lr"]),
    "infinite": (["optimizer.lr=inf"], ["optimizer.lr=inf", "a finite number"]),
    "beyond 64 bits": (["data.vocab_size=" + "9" * 30], ["data.vocab_size=9999", "2**63"]),
    "many processes": (["data.workers=1000000"], ["data.workers=1000000", "at most 1000"]),
    "no variable": (
        ["model.dim=${oc.env:NO_SUCH}"],
        ["model.dim=${oc.env:NO_SUCH}: ", "not found"],
    ),
    "no end": (["trainer.max_steps=null"], ["trainer.max_steps", "trainer.max_minutes"]),
    "unknown task": (["task=shakespear"], ["task=shakespear", "did you mean shakespeare?"]),
    "unknown model": (["model=transfromer"], ["did you mean transformer?", "lstm"]),
    "unknown model, unlike any": (
        ["model=xyz"],
        ["model=xyz", "transformer", "lstm", "gru", "rnn"],
    ),
    "unknown optimizer": (["optimizer=adam"], ["did you mean adamw?"]),
    "unknown logger": (["logger=tensorbord"], ["did you mean tensorboard?"]),
    "unknown trainer": (["trainer=tpu"], ["cpu", "ddp", "gpu"]),
    "unknown experiment": (["experiment=plane"], ["did you mean plain?"]),
    "unknown group": (["models=lstm"], ["models", "did you mean model?"]),
    "unknown key": (["model.head=8"], ["model.head", "did you mean model.heads?"]),
    "unknown key with +": (["+model.head=8"], ["model.head", "did you mean model.heads?"]),
    "unknown key with ++": (["++model.head=8"], ["model.head", "did you mean model.heads?"]),
    "unknown group with +": (["+modle.heads=8"], ["modle", "did you mean model"]),
    "key of another group": (["trainer.lr=1"], ["trainer.lr", "optimizer.lr"]),
    "key of another model": (["model=lstm", "model.heads=8"], ["model.heads", "transformer"]),
    "bare word": (["lstm"], ["lstm"]),
    "a comma": (["seed=1,2"], ["seed"]),
    "unknown option": (["model.position=rotery"], ["model.position", "did you mean rotary?"]),
    "unknown option of a group": (["trainer.precision=fp16"], ["trainer.precision", "bf16-mixed"]),
    "word for a number": (["model.heads=eight"], ["model.heads", "eight"]),
    "fraction for a whole number": (["model.heads=2.5"], ["model.heads", "2.5"]),
    "neither yes nor no": (["model.tie_embeddings=maybe"], ["model.tie_embeddings", "maybe"]),
    "null for a number": (["model.dim=null"], ["model.dim"]),
    "a list": (["model.dim=[1,2]"], ["model.dim"]),
    "text without a path": (["data.path=null"], ["task=text", "data.path"]),
    "tiny_shakespeare without a folder": (["task=tiny_shakespeare"], ["data.dir"]),
    "tiny_shakespeare, wrong folder": (
        ["task=tiny_shakespeare", "data.dir=/nowhere"],
        ["/nowhere/tiny_shakespeare/input.txt"],
    ),
    "more pairs than fit": (
        ["task=recall", "task.pairs=6"],
        ["task.pairs=6", "model.context=18", "task.pairs=5"],
    ),
    "pairs that fit no longer": (["task=recall"], ["task.pairs=16", "set model.context=48"]),
    "too few for the mixture": (
        ["task=recall", "task.pairs=4", "data.batch_size=1"],
        ["data.batch_size=1", "4, 2 pairs", "data.batch_size=2 or more"],
    ),
    "no pair": (["task=recall", "task.pairs=0"], ["task.pairs=0", "at least 1"]),
    "pairs of another task": (["task.pairs=4"], ["task.pairs=4", "recall", "task=text"]),
    "a file next to a corpus": (
        ["task=recall", "data.path=verse.txt"],
        ["data.path=HERE/verse.txt", "task=recall", "text, pairs, labels"],
    ),
    "stress of another task": (["data.stress=true"], ["data.stress=True", "cmudict", "task=text"]),
    "two tokenizers of a text": (["data.target_tokenizer=bpe"], ["target_tokenizer", "multi30k"]),
    "error rates of a text": (["task.measure=wer"], ["task.measure=wer", "task=text", "pairs"]),
    "recall in tokens": (
        ["task=recall", "data.batch_size=null", "data.batch_tokens=400"],
        ["task=recall", "data.batch_size", "data.batch_tokens"],
    ),
    "a length beyond the context": (
        ["task=copy", "task.train_length=4", "task.test_lengths=[4,9]"],
        ["task.test_lengths", "length 9 has 18 tokens", "set model.context=18"],
    ),
    "training beyond the context": (
        ["task=parity", "task.test_lengths=[4]"],
        ["task.train_length", "length 40 has 40 tokens", "set model.context=40"],
    ),
    "a length twice": (
        ["task=dyck", "task.train_length=4", "task.test_lengths=[4,4]"],
        ["task.test_lengths=[4, 4]", "each of them once"],
    ),
    "a length of nothing": (
        ["task=dyck", "task.train_length=4", "task.test_lengths=[0]"],
        ["task.test_lengths", "a length of 0 must be at least 1"],
    ),
    "no length": (
        ["task=dyck", "task.train_length=4", "task.test_lengths=[]"],
        ["task.test_lengths=[]", "one length or more"],
    ),
    "words without a bracket that closes": (
        ["task=dyck", "task.train_length=4", "task.test_lengths=[4,1]"],
        ["task.test_lengths", "length 1", "no answer"],
    ),
    "a depth without a bound": (["task=dyck", "task.depth=3"], ["task.depth=3", "bounded_dyck"]),
    "lengths of another task": (["task.train_length=4"], ["task.train_length=4", "task=text"]),
    "missing corpus": (["data.path=no.txt"], ["data.path=HERE/no.txt", "No such file"]),
    "corpus is a folder": (["data.path=folder"], ["data.path=HERE/folder", "directory"]),
    "empty corpus": (["data.path=empty.txt"], ["empty.txt", "empty"]),
    "corpus not UTF-8": (["data.path=latin.txt"], ["latin.txt", "UTF-8"]),
    "corpus shorter than a context": (["data.path=short.txt"], ["too short", "model.context=16"]),
    "split shorter than a context": (["data.path=brief.txt"], ["too short", "model.context=16"]),
    "run folder exists": (
        ["run.dir=taken"],
        ["run.dir=HERE/taken already exists", "resume=HERE/taken"],
    ),
    "run folder is a file": (["run.dir=short.txt"], ["short.txt"]),
    "run folder below a file": (["run.dir=short.txt/run"], ["short.txt/run", "Not a directory"]),
    "no GPU": (["trainer=gpu"], ["trainer.accelerator=gpu"]),
    "unknown accelerator": (["trainer.accelerator=quantum"], ["trainer.accelerator=quantum"]),
    "unknown strategy": (["trainer.strategy=luck"], ["luck"]),
    "no such precision": (["trainer.precision=16-true"], ["trainer.precision"]),
    "16 bits on a CPU": (
        ["trainer.precision=16-mixed"],
        ["16-mixed is not available", "bf16-mixed"],
    ),
    "16 bits on a CPU that was found": (
        ["trainer.accelerator=auto", "trainer.precision=16-mixed"],
        ["16-mixed is not available", "bf16-mixed"],
    ),
    "no GPU by its name": (["trainer.accelerator=cuda"], ["trainer.accelerator=cuda"]),
    "no Apple": (["trainer.accelerator=mps"], ["trainer.accelerator=mps"]),
    "no TPU": (["trainer.accelerator=tpu"], ["trainer.accelerator=tpu"]),
    "more GPUs than there are": (
        ["trainer=gpu", "trainer.devices=9", "data.batch_size=9"],
        ["trainer.devices=9"],
    ),
    "batch not divisible": (
        ["trainer=ddp", "trainer.accelerator=cpu", "data.batch_size=9"],
        ["data.batch_size=9", "trainer.devices=2"],
    ),
    "split too short to share": (
        ["trainer=ddp", "trainer.accelerator=cpu", "data.path=verse.txt"],
        ["val split makes 1 windows", "trainer.devices=2"],
    ),
    "budget too small": (["budget.parameters=10"], ["budget.parameters=10", "model.dim"]),
    "a part of no budget": (["budget.non_embedding=8"], ["budget.non_embedding=8", "=11"]),
    "nothing to resume": (["resume=nowhere"], ["nowhere", "not a run's folder"]),
    "resume from no run": (["resume=taken"], ["taken", "not a run's folder"]),
}

# What there is on a machine with a GPU.
OF_A_GPU = {"no GPU", "no GPU by its name", "no Apple", "16 bits on a CPU that was found"}
OF_A_GPU |= {"missing device"}

RUNNING = {
    "no run": ([], ["run="]),
    "missing run": (["run=nowhere"], ["nowhere", "does not exist"]),
    "folder without a checkpoint": (["run=taken"], ["taken", "holds no checkpoint"]),
    "a text": (["run=short.txt"], ["short.txt", "refused"]),
    "an empty file": (["run=empty.txt"], ["empty.txt"]),
    "truncated checkpoint": (["run=truncated.ckpt"], ["truncated.ckpt", "damaged"]),
    "another's checkpoint": (["run=other.ckpt"], ["other.ckpt", "not one of minitx"]),
    "a checkpoint of a tensor": (["run=tensor.ckpt"], ["tensor.ckpt", "not one of minitx"]),
    "a pickle that runs code": (["run=evil.ckpt"], ["evil.ckpt", "refused"]),
    "a raw pickle that runs code": (["run=evil.pkl"], ["evil.pkl", "refused"]),
    "missing device": (["run=good.ckpt", "device=cuda"], ["device=cuda"]),
    "unknown device": (["run=good.ckpt", "device=abacus"], ["device=abacus", "cpu"]),
    "device without memory": (["run=good.ckpt", "device=meta"], ["device=meta", "cpu"]),
    "device of another library": (["run=good.ckpt", "device=hpu"], ["device=hpu", "cpu"]),
    "unknown key": (["run=good.ckpt", "smaples=3"], ["smaples"]),
}

GENERATING = {
    "empty prompt": (["run=good.ckpt", "prompt="], ["prompt", "empty"]),
    "unknown character": (["run=good.ckpt", "prompt=ROMEO§"], ["§"]),
    "top_p 2": (["run=good.ckpt", "top_p=2"], ["top_p=2"]),
    "top_k 0": (["run=good.ckpt", "top_k=0"], ["top_k=0", "at least 1"]),
    "length 0": (["run=good.ckpt", "length=0"], ["length=0", "at least 1"]),
    "samples 0": (["run=good.ckpt", "samples=0"], ["samples=0", "at least 1"]),
    "temperature -1": (["run=good.ckpt", "temperature=-1"], ["temperature=-1", "at least 0"]),
    "misspelt key": (["run=good.ckpt", "smaples=3"], ["smaples", "did you mean samples?"]),
}

EVALUATING = {
    "unknown split": (["run=good.ckpt", "split=valid"], ["split=valid", "did you mean val?"]),
    "other corpus": (["run=good.ckpt", "data.path=kings.txt"], ["not the one", "trained on"]),
    "corpus gone": (["run=good.ckpt", "data.path=no.txt"], ["no.txt"]),
    "nothing to search for": (["run=good.ckpt", "decoding.beam=3"], ["decoding.*", "no outputs"]),
}


class Bomb:
    """Runs code where it is unpickled: it makes a file."""

    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.fixture(scope="module")
def good(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "run"
    return train(f"run.dir={folder}", "trainer.max_steps=2").path.read_bytes()


@pytest.fixture
def here(tmp_path, monkeypatch, good):
    """A folder to stand in: files that are wrong in every way, and one good checkpoint."""
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    Path("taken", "thesis.txt").write_text("years of work", encoding="utf-8")
    Path("folder").mkdir()
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes("naïve\n".encode("latin-1") * 500)
    Path("short.txt").write_text("To be", encoding="utf-8")
    Path("brief.txt").write_text("To be or not to be\n" * 10, encoding="utf-8")
    Path("verse.txt").write_text(("to be " * 100)[:340], encoding="utf-8")
    Path("kings.txt").write_text("kings and queens\n" * 100, encoding="utf-8")
    Path("good.ckpt").write_bytes(good)
    Path("truncated.ckpt").write_bytes(good[: len(good) // 2])
    torch.save({"a": 1}, "other.ckpt")
    torch.save(torch.ones(2), "tensor.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": Bomb()}, "evil.ckpt")
    Path("evil.pkl").write_bytes(pickle.dumps(Bomb()))
    return tmp_path


def refuses(script, here, name, arguments, parts):
    """Runs the script and checks how it refuses. HERE in a part is the working folder."""
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning would be one more line on standard error
        answer = script(name, *arguments)
    assert answer.status == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.endswith("\n")
    assert answer.out == ""
    for part in parts:
        assert part.replace("HERE", str(here)) in answer.err, answer.err
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


def without_accelerator(cases):
    """The cases, of which some are skipped where there is a GPU."""
    there = pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
    return [pytest.param(case, marks=there if case in OF_A_GPU else ()) for case in cases]


@pytest.mark.parametrize("case", without_accelerator(TRAINING))
def test_training_refuses(case, script, tiny, here):
    arguments, parts = TRAINING[case]
    given = ("task=recall", "task=tiny_shakespeare", "task=copy", "task=dyck", "task=parity")
    own_file = not any(word in arguments for word in given)
    words = tiny if own_file else [word for word in tiny if not word.startswith("data.path=")]
    refuses(script, here, "train", [*words, *arguments], parts)


@pytest.mark.parametrize("case", without_accelerator(RUNNING))
def test_a_bad_run_is_refused(case, script, here):
    arguments, parts = RUNNING[case]
    refuses(script, here, "generate", arguments, parts)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("case", ["no run", "truncated checkpoint", "a pickle that runs code"])
def test_evaluation_refuses_them_too(case, script, here):
    arguments, parts = RUNNING[case]
    refuses(script, here, "evaluate", arguments, parts)


@pytest.mark.parametrize("case", GENERATING)
def test_generation_refuses(case, script, here):
    arguments, parts = GENERATING[case]
    refuses(script, here, "generate", arguments, parts)


@pytest.mark.parametrize("case", EVALUATING)
def test_evaluation_refuses(case, script, here):
    arguments, parts = EVALUATING[case]
    refuses(script, here, "evaluate", arguments, parts)


def test_the_pickle_of_these_tests_would_run_code(here):
    torch.load("evil.ckpt", weights_only=False)
    assert Path("exploded").exists()


def test_a_device_count_that_is_not_there(script, tiny, here):
    refuses(script, here, "train", [*tiny, "trainer.devices=0"], ["trainer.devices=0"])


def test_a_checkpoint_with_other_weights_than_its_config(script, here):
    kept = torch.load("good.ckpt", weights_only=True)
    kept["hyper_parameters"]["config"]["model"]["layers"] = 2
    torch.save(kept, "other.ckpt")
    refuses(script, here, "generate", ["run=other.ckpt"], ["other.ckpt", "do not fit"])


def test_a_checkpoint_that_names_a_class(script, here):
    """Names choose among our own: nothing is built from what a file says."""
    kept = torch.load("good.ckpt", weights_only=True)
    kept["hyper_parameters"]["config"]["model"]["_target_"] = "os.system"
    torch.save(kept, "other.ckpt")
    refuses(script, here, "generate", ["run=other.ckpt"], ["_target_"])
