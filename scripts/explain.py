"""Shows one head of attention step by step, with its numbers: python scripts/explain.py --help"""

from minitx.commands.cli import main
from minitx.commands.console import loading
from minitx.config.schema import ExplainConfig
from minitx.runs.checks import check_explanation


def explain(config: ExplainConfig, overrides: list[str]) -> None:
    check_explanation(config)
    with loading(f"torch and {config.run or 'the tutorial'}"):
        from minitx.inspection.explain import explain as explain_head

    explain_head(config)


if __name__ == "__main__":
    main("explain", ExplainConfig, explain)
