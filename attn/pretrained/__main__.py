"""What the package does from the command line: ``python -m attn.pretrained check``, ``families`` and ``whole``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from attn.data import examples, pictures, sounds
from attn.pretrained.families import check, whole_models
from attn.pretrained.inputs.audio import audio_inputs
from attn.pretrained.loading.load import load
from attn.pretrained.recording.record import own_weights, record
from attn.pretrained.tolerances import STATE
from attn.pretrained.verdict import Verdict, input_finding, not_recorded, verdict_of, weights_finding

HOLDS, SHORT, NOT_OPENED = 0, 1, 2  # exit status of ``check``
_SIDE = 224  # pixels of the picture that a model sees
_WORDS = {True: "Agrees: all three hold.", False: "Does not agree.", None: "Not all three can be told."}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and print what it finds.

    Parameters
    ----------
    arguments
        By default those of the command line.

    Returns
    -------
    int
        The exit status. Of ``check`` 0 if all three things hold that a verdict names, 1 if not, 2 if the model cannot
        be opened. Of ``whole`` 1 if a model differs.
    """
    parser = argparse.ArgumentParser(prog="python -m attn.pretrained")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    _add_check(commands)
    _add_families(commands)
    commands.add_parser(
        "whole",
        help="hold every state and score of whole models in numpy against transformers; print a table in Markdown",
        epilog=f"The exit status is 1 if a difference, relative to its token's largest number, is above {STATE:g}.",
    )
    given = parser.parse_args(arguments)
    if given.command == "check":
        return _check(given)
    if given.command == "whole":
        return _whole()
    known = check.names()
    if unknown := sorted(set(given.family) - set(known)):
        parser.error(f"transformers knows no family called {unknown[0]}")
    print(_families(given.family or known, given), end="")
    return 0


def _add_check(commands):
    """Say what can be told to ``check``."""
    command = commands.add_parser(
        "check",
        help="say whether a model's weights are those of its file, its input that of its own preparation, and its "
        "attention ours",
        epilog="The exit status is 0 if all three hold, 1 if not, 2 if the model cannot be opened.",
    )
    command.add_argument("model", help="a hub id (owner/name), a folder, or a link to one of them")
    command.add_argument("--text", help="what the model reads; by default a sentence, a drawn picture or three notes")
    command.add_argument("--pair", help="a second text, or what the decoder reads")
    command.add_argument("--revision", help="of a model on the hub: a branch, a tag or a commit")


def _add_families(commands):
    """Say what can be told to ``families``."""
    command = commands.add_parser(
        "families", help="check which families of transformers are recorded right; print a table in Markdown"
    )
    command.add_argument("family", nargs="*", help="by default every family of the installed transformers")
    command.add_argument("--write", type=Path, metavar="FILE", help="where to write the table")
    command.add_argument("--processes", type=int, metavar="N", help="by default one for each core")


def _check(given):
    """Open a model, let it read, and print the verdict; what cannot be opened or read is said in one sentence."""
    _quieten()
    try:
        loaded = load(f"{given.model}@{given.revision}" if given.revision else given.model)
        verdict = _judged(loaded, given.text, given.pair)
    except ValueError as error:
        print(error, file=sys.stderr)
        return NOT_OPENED
    print(f"{loaded.name}: {loaded.family}, {loaded.num_layers} layers", verdict, _WORDS[verdict.holds], sep="\n")
    return HOLDS if verdict.holds else SHORT


def _quieten():
    """Let transformers say nothing below an error."""
    from transformers.utils import logging

    logging.set_verbosity_error()


def _judged(loaded, text, pair):
    """Let a model read a text or, where it takes none, see a picture or hear a sound, and judge that."""
    made_of, sentence = {}, examples.SENTENCES[0].text if text is None else text
    if "picture" in loaded.takes:
        made_of = {"picture": pictures.shapes(_SIDE)}
        read = {"images": made_of["picture"], "text": sentence if "text" in loaded.takes else text, "pair": pair}
    elif loaded.takes == "sound":
        made_of = {"sound": sounds.notes(loaded.feature_extractor.sampling_rate), "text": pair or text}
        read = {"inputs": audio_inputs(loaded, *made_of.values())}
    else:
        read = {"text": sentence, "pair": pair}
    if loaded.recordable:
        return verdict_of(record(loaded, **read), **made_of)
    own = own_weights(loaded, **read)
    return Verdict(weights_finding(loaded), input_finding(own, **made_of), not_recorded(loaded))


def _whole():
    """Print how far whole models in numpy are from transformers."""
    _quieten()
    rows = list(whole_models.walk())
    print(whole_models.table(rows), end="")
    return HOLDS if all(max(row.states, row.scores or 0) <= STATE for row in rows) else SHORT


def _families(chosen, given):
    """Return the table of the chosen families, and write it where it is wanted."""

    def tell(row):
        print(f"{row.family}: {row.verdict}", file=sys.stderr)

    text = check.table(check.walk(chosen, processes=given.processes, progress=tell))
    if given.write:
        given.write.write_text(text, encoding="utf-8")
    return text


if __name__ == "__main__":
    sys.exit(main())
