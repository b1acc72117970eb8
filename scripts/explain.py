"""Shows one head of attention step by step, with its numbers: python scripts/explain.py --help"""

from minitx.cli import main
from minitx.config import ExplainConfig


def explain(config: ExplainConfig, overrides: list[str]) -> None:
    from minitx.inspection.explain import explain as explain_head

    explain_head(config)


if __name__ == "__main__":
    main("explain", ExplainConfig, explain)
