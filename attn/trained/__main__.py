"""Train the models that come along: ``python -m attn.trained``. What is already there is left as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from attn.trained import MODELS, TASKS, TRAINED_ON, WEIGHTS, training


def main(arguments: list[str] | None = None) -> None:
    """Train what is missing and write weights and accuracies.

    Parameters
    ----------
    arguments
        By default those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m attn.trained", description=main.__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where they are kept")
    parser.add_argument("--task", choices=TASKS, action="append", help="by default every task")
    parser.add_argument("--model", choices=MODELS, action="append", help="by default every model")
    parser.add_argument("--again", action="store_true", help="train also what is already there")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for task in given.task or TASKS:
        for trained_on in TRAINED_ON:
            for model in given.model or MODELS:
                training.keep(model, TASKS[task], trained_on, given.folder, again=given.again)


if __name__ == "__main__":
    main()
