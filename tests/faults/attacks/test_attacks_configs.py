"""Read configs that an attacker wrote: of a run, and in a folder for --config-dir."""

import yaml
from hostile import EXPECTED, OLD, hostile_models, old_checkpoint, saved, yaml_files

from minitx.config.compose import read_config
from minitx.config.yaml_files import FileConfigSource
from minitx.runs.run import StoredRun


def test_the_config_of_a_run(attack, tally, guard, tmp_path, train):
    row = tally("config of an attacker", EXPECTED)
    file = tmp_path / "config.yaml"
    for name, text in yaml_files(guard.sprung).items():
        file.write_text(text, encoding="utf-8")
        attack(row, name, read_config, file)
    plain = yaml.safe_load((OLD / "language_modeling/config.yaml").read_text(encoding="utf-8"))
    for changes in hostile_models():
        file.write_text(yaml.safe_dump(plain | {"model": plain["model"] | changes}))
        attack(row, f"{changes}", StoredRun.open, _moved(file))
    for word in ("model.dim=1000000", "model.layers=1000000", "budget.parameters=1000000000000"):
        attack(row, word, train, word)
    for secret in ("${oc.env:MINITX_SECRET}", "${oc.decode:${oc.env:MINITX_SECRET}}", "${seed}"):
        for group, key in (("run", "dir"), ("data", "path"), ("logger", "group")):
            file.write_text(yaml.safe_dump(plain | {group: plain[group] | {key: secret}}))
            name = f"{group}.{key}={secret}"
            attack(row, name, _value, file, group, key, harmless=secret.__eq__)


def _value(file, group, key):
    return getattr(getattr(read_config(file), group), key)


def _moved(file):
    """A checkpoint that has the config of this file."""
    found = old_checkpoint()
    found["hyper_parameters"]["config"] = yaml.safe_load(file.read_text(encoding="utf-8"))
    target = file.with_name("moved.ckpt")
    target.write_bytes(saved(found))
    return target


def test_config_files_of_hydra(attack, tally, guard, tmp_path, script, tiny):
    """--config-dir may be a folder from somebody else."""
    row = tally("config of an attacker", EXPECTED)
    call = f"{{_target_: os.mkdir, path: '{guard.sprung}'}}"
    factory = f"{{version: 1, handlers: {{x: {{(): os.mkdir, path: '{guard.sprung}'}}}}}}"
    texts = yaml_files(guard.sprung) | {
        "callback": f"# @package _global_\nhydra: {{callbacks: {{x: {call}}}}}",
        "callback of the package": f"# @package hydra.callbacks\nx: {call}",
        "callback in hydra": f"# @package hydra\ncallbacks: {{x: {call}}}",
        "logging": f"# @package _global_\nhydra: {{job_logging: {factory}}}",
        "launcher": f"# @package _global_\nhydra: {{launcher: {call}}}",
        "search path": "# @package _global_\nhydra: {searchpath: [pkg://evil]}",
        "environment": "# @package _global_\nhydra: {job: {env_set: {LD_PRELOAD: evil.so}}}",
        "a list": f"# @package _global_\nx: [{call}]",
    }
    folder = tmp_path / "configs" / "experiment"
    folder.mkdir(parents=True)
    harmless = {"empty": lambda found: not found.config}
    for name, text in texts.items():
        (folder / "evil.yaml").write_text(text, encoding="utf-8")
        source = FileConfigSource("evil", f"file://{folder.parent}")
        load = source.load_config
        attack(row, name, load, "experiment/evil", harmless=harmless.get(name))
    for name in ("callback", "apply"):
        (folder / "evil.yaml").write_text(texts[name], encoding="utf-8")
        with row.trial(f"the command, {name}"):
            answer = script("train", "--config-dir", folder.parent, "experiment=evil", *tiny)
            assert answer.status == 1
            assert answer.err.count("\n") == 1
            assert "evil.yaml" in answer.err
            guard.check()
