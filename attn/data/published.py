"""Numbers that others published, from their tables or read from their figures."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Alignment(NamedTuple):
    """One alignment matrix of a paper."""

    source: tuple  # (T_x,) words read
    target: tuple  # (T_y,) words written
    weights: np.ndarray  # (T_y, T_x)


class Results(NamedTuple):
    """One table of results of a paper."""

    title: str
    source: str
    note: str  # how to read it
    footnote: str  # what only some readers look for
    measures: tuple  # (k,) what the columns are
    names: tuple  # (n,) what was measured
    values: np.ndarray  # (n, k) NaN where the table has no number


def bleu_by_length() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the curves of Bahdanau et al. (2015), Figure 2: BLEU by the number of words.

    Returns
    -------
    lengths : ndarray
    curves : dict of str to ndarray
        The model and the most words of its training sentences -> BLEU. Read from the figure: good
        to 0.3, at length 0 to 1. What the tables of the paper call RNNencdec is RNNenc there.

    Examples
    --------
    >>> lengths, curves = bleu_by_length()
    >>> curves["RNNsearch-30"][lengths == 59], curves["RNNenc-50"][lengths == 59]
    (array([7.6]), array([6.4]))
    """
    curves = {name: np.array(values, dtype=float) for name, values in _figures()["curves"].items()}
    return curves.pop("x"), curves


def bleu_scores() -> dict[str, tuple[float, float]]:
    """Return Table 1 of Bahdanau et al. (2015): BLEU on all sentences, and on those without unknown words.

    Examples
    --------
    >>> bleu_scores()["RNNsearch-50"]
    (26.75, 34.16)
    """
    return {name: tuple(row) for name, row in _figures()["scores"].items()}


def alignments() -> dict[str, Alignment]:
    """Return the four alignment matrices of Bahdanau et al. (2015), Figure 3.

    Returns
    -------
    dict of str to Alignment
        The letter of the panel -> its words and weights, read from the grey of each cell: good to
        0.01, so that rows sum to 1 within 0.05.

    Examples
    --------
    >>> one = alignments()["a"]
    >>> one.weights[one.target.index("zone"), one.source.index("Area")]
    np.float64(0.71)
    """
    return {
        name: Alignment(tuple(one["source"]), tuple(one["target"]), np.array(one["weights"]))
        for name, one in _figures()["alignments"].items()
    }


def results() -> dict[str, Results]:
    """Return tables of results that papers printed.

    Examples
    --------
    >>> table = results()["translation"]
    >>> table.measures[0], table.names[-1], table.values[-1, 0]
    ('BLEU, English to German', 'Transformer, big', np.float64(28.4))
    """
    return {
        name: Results(
            one["title"], one["source"], one["note"], one.get("footnote", ""),
            tuple(one["measures"]), tuple(one["rows"]), np.array(list(one["rows"].values()), dtype=float),
        )
        for name, one in _figures()["results"].items()
    }  # fmt: skip


@cache
def _figures():
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
