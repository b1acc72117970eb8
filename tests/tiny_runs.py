"""The smallest runs, and their configs as `minitx train` composes them."""

# The smallest run that has everything: a few steps, two validations, a checkpoint after each.
TINY = (
    "task=text",
    "model.dim=16",
    "model.layers=1",
    "model.context=16",
    "data.batch_size=8",
    "optimizer.warmup_steps=1",  # the default would be shortened to this, with a line that says so
    "trainer.max_steps=10",
    "trainer.val_every=5",
    "trainer.log_every=1",
    "trainer.watch_attention=false",  # drawing takes longer than training this
    "logger=csv",
)


def compose(*overrides):
    """Return the typed config of `minitx train` with these overrides."""
    from hydra.core.global_hydra import GlobalHydra

    from minitx.commands.quoting import quoted
    from minitx.config.compose import compose

    GlobalHydra.instance().clear()
    return compose(*[quoted(str(override)) for override in overrides])
