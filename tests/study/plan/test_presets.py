"""Test what the included studies promise about their full presets."""

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

from minitx.config.compose import compose, register_schemas, to_typed
from minitx.config.keys import CONF, options
from minitx.config.schema import CompareConfig
from minitx.models.build import language_model
from minitx.models.language_model import count_parameters
from minitx.study.plan.definition import defined
from minitx.tasks.open import open_task

CLAIMS = ["architectures", "context", "data", "distance", "head_width", "heads"]
CHARACTERS = 80  # about as many as in the plays


def study_of(name, preset):
    register_schemas()
    GlobalHydra.instance().clear()
    words = [f"study={name}", f"preset={preset}"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        tasks = hydra.compose("compare", words).study.tasks
        composed = hydra.compose("compare", [*words, f"task={tasks[0]}"])
    config = to_typed(composed, CompareConfig)
    return config, defined(config)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_enough_seeds_and_a_rate_with_neighbours(name):
    assert name in options("study")
    config, study = study_of(name, "full")
    assert len(config.study.full.seeds) >= 4
    assert all(len(values) >= 3 for values in study.sweep.values())


def test_heads_of_one_width_are_in_models_of_one_size():
    _, study = study_of("head_width", "full")
    sizes, widths = [], set()
    for words in study.arms.values():
        model = compose("task=shakespeare", *words, *study.settings).model
        widths.add(model.dim // model.heads)
        sizes.append(count_parameters(language_model(model, CHARACTERS)))
    assert len(widths) == 1
    for one, other in zip(*sizes, strict=True):  # with embeddings, and without
        assert one == pytest.approx(other, rel=0.02)


def test_each_rung_is_twice_as_far_for_models_of_one_size():
    _, study = study_of("distance", "full")
    contexts = study.grid["model.context"]
    assert contexts == [contexts[0] * 2**rung for rung in range(len(contexts))]
    sizes = []
    for words in study.arms.values():
        for context in (contexts[0], contexts[-1]):
            config = compose("task=recall", *words, *study.settings, f"model.context={context}")
            assert config.task.pairs == 2
            assert config.trainer.goal == 0.99
            sizes.append(count_parameters(open_task(config).vocabulary.build(config.model)))
    for found in zip(*sizes, strict=True):  # with embeddings, and without
        assert found == pytest.approx([found[0]] * len(found), rel=0.02)
