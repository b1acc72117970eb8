"""Shows one head of attention step by step, with its numbers: python scripts/explain.py --help"""

from minitx.checks import check_explanation
from minitx.cli import main
from minitx.config import ExplainConfig
from minitx.console import loading


def explain(config: ExplainConfig, overrides: list[str]) -> None:
    check_explanation(config)
    with loading(f"torch and {config.run or 'the tutorial'}"):
        from minitx.inspection.explain import explain as explain_head

    explain_head(config)


if __name__ == "__main__":
    main("explain", ExplainConfig, explain)
