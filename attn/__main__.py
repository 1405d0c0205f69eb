"""What the project does from the command line: ``python -m attn check`` says whether this machine can give a talk."""

import argparse
import logging
import os
import sys

READY, NOT_READY, NO_STORY = 0, 1, 2  # exit status of ``check``


def main(arguments: list[str] | None = None) -> int:
    """Run a command and print what it finds.

    Parameters
    ----------
    arguments
        By default those of the command line.

    Returns
    -------
    int
        The exit status. Of ``check`` 0 if the talk can be given, 1 if not, 2 if there is no such story.
    """
    parser = argparse.ArgumentParser(prog="python -m attn")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    check = commands.add_parser(
        "check",
        help="say whether this machine can give a talk without a network, and load everything that it needs",
        epilog="The exit status is 0 if it can, 1 if not, 2 if there is no such story.",
    )
    check.add_argument(
        "--story", action="append", metavar="NAME",
        help="one that comes along, or a story's file; may be given several times; by default all that come along",
    )  # fmt: skip
    return _check(parser.parse_args(arguments).story)


def _check(names):
    """Print one line for each thing that was looked at, as soon as it is known."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.disable(logging.WARNING)  # Streamlit would warn at every screen that no server runs
    from attn.ui import present_check

    try:
        stories = {name: present_check.checked_story(name) for name in names or present_check.COME_ALONG}
    except ValueError as error:
        print(error, file=sys.stderr)
        return NO_STORY
    holds = True
    for finding in present_check.talk_findings(stories):
        print(finding, flush=True)
        holds = holds and finding.holds is not False
    print("Ready: this machine can give the talk." if holds else "Not ready: see the lines with NO.")
    return READY if holds else NOT_READY


if __name__ == "__main__":
    sys.exit(main())
