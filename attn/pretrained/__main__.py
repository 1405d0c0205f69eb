"""What the package does from the command line: ``python -m attn.pretrained families``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from attn.pretrained.families import check


def main(arguments: list[str] | None = None) -> None:
    """Check the families of transformers and print the table.

    Parameters
    ----------
    arguments
        By default those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m attn.pretrained")
    command = parser.add_subparsers(required=True, metavar="command").add_parser(
        "families", help="check which families of transformers are recorded right; print a table in Markdown"
    )
    command.add_argument("family", nargs="*", help="by default every family of the installed transformers")
    command.add_argument("--write", type=Path, metavar="FILE", help="where to write the table")
    command.add_argument("--processes", type=int, metavar="N", help="by default one for each core")
    given = parser.parse_args(arguments)
    known = check.names()
    if unknown := sorted(set(given.family) - set(known)):
        parser.error(f"transformers knows no family called {unknown[0]}")
    chosen = given.family or known
    print(_checked(chosen, given), end="")


def _checked(chosen, given):
    """Return the table of the chosen families, and write it where it is wanted."""

    def tell(row):
        print(f"{row.family}: {row.verdict}", file=sys.stderr)

    text = check.table(check.walk(chosen, processes=given.processes, progress=tell))
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    main()
