"""What must hold on a page for a task to be done: a few kinds of condition, told as data and never run.

A page tells its results by the names of `RESULTS` (see `attn.ui.state.PageState.tell`); its choices are compared as its
link spells them. Nothing here knows Streamlit.
"""

import math
from typing import NamedTuple

import numpy as np

from attn.ui.link import shortened

RESULTS = {  # what a page may tell, and a condition may ask for
    "row": "the row of the chosen cell, counted from 1",
    "column": "the column of the chosen cell, counted from 1",
    "rank": "the place of the chosen cell among all of its figure by size: 1 for the largest",
    "row_sum": "what the chosen row of the figure adds up to",
    "spread": "the standard deviation of the figure's numbers",
    "width": "how many numbers each row of the figure has",
    "tokens": "into how many tokens the sentence is cut",
    "effective": "the effective number of tokens that the chosen one looks at",
    "gap": "the largest difference between what should be the same",
    "leak": "how much leaks through the mask",
    "wrong_sum": "what a row of the wrong route adds up to",
    "undivided": "the largest weight of the widest random queries and keys whose scores are not divided",
    "divided": "the same, their scores divided by the square root of the width",
    "cache_share": "the cache, as a share of that of multi-head attention",
    "left_right": "how many symbols of the answer the left model has right",
    "left_wrong": "how many symbols the left model has wrong or left out",
    "right_right": "how many symbols of the answer the right model has right",
    "symbols": "how many symbols the right answer has",
    "left_share": "the share of inputs of the longest length in training that the left model gets wholly right",
    "right_share": "the same of the right model",
    "left_over": "what is left of the first symbol after the last step",
    "scores": "how many scores a head has",
    "score_bytes": "how many bytes the scores of one layer take",
    "tiles_left": "how many tiles of scores are still to come",
    "metric": "the number by which heads are measured, of the chosen head",
    "highest": "the highest such number of all heads",
    "before": "the number that the model gives, unchanged",
    "after": "the number that it gives with the change",
}
BOUNDS = ("is", "not", "at_least", "at_most")
KINDS = ("setup", "result", "looks")
_MOST = 20  # conditions of one kind


class Bound(NamedTuple):
    """What one choice or one result must be."""

    name: str
    limits: tuple  # of (one of `BOUNDS`, as it is written)

    def holds(self, value):
        """Return whether a value, as a link spells it or as a number, is as it must be; None never is."""
        return value is not None and all(_LIMITS[kind](value, limit) for kind, limit in self.limits)


class Looks(NamedTuple):
    """How much one word must look at another in the figure in view."""

    one: str
    other: str
    bound: Bound

    def holds(self, attention):
        """Return whether some token of that word looks so much at some token of the other.

        Parameters
        ----------
        attention : (list of str, list of str, array_like) or None
            Texts of the tokens that look, of those that are looked at, and the weights between them.
        """
        if attention is None:
            return False
        rows, columns, weights = attention
        found = [
            weights[row][column]
            for row, from_word in enumerate(rows)
            for column, to_word in enumerate(columns)
            if (from_word.casefold(), to_word.casefold()) == (self.one.casefold(), self.other.casefold())
        ]
        return any(self.bound.holds(float(weight)) for weight in found)


class Conditions(NamedTuple):
    """All that must hold at once."""

    setup: tuple = ()  # of Bound, over what the page's link says
    result: tuple = ()  # of Bound, over what the page told
    looks: tuple = ()  # of Looks

    def hold(self, spelled, told):
        """Return whether they hold.

        Parameters
        ----------
        spelled : dict of str to str
            Every choice of the page, as its link spells it.
        told : dict
            What the page told: names of `RESULTS`, and ``attention`` as `Looks.holds` takes it.

        Examples
        --------
        >>> quarter = read_conditions({"setup": {"num_heads": "8"}, "result": {"cache_share": {"at_most": "0.25"}}}, "")
        >>> quarter.hold({"num_heads": "8"}, {"cache_share": 0.25}), quarter.hold({"num_heads": "8"}, {})
        (True, False)
        """
        return (
            all(bound.holds(spelled.get(bound.name)) for bound in self.setup)
            and all(bound.holds(told.get(bound.name)) for bound in self.result)
            and all(looks.holds(told.get("attention")) for looks in self.looks)
        )


def read_conditions(told, where):
    """Read what must hold, as it stands in a story's file.

    Parameters
    ----------
    told : dict
        ``setup`` and ``result``: name -> what it must be, as a word or as a mapping with `BOUNDS`. ``looks``: a mapping
        with ``from``, ``to`` and `BOUNDS`.
    where : str
        How the sentence begins that says what is wrong.

    Returns
    -------
    Conditions

    Raises
    ------
    ValueError
    """
    if not isinstance(told, dict) or not told:
        raise ValueError(f"{where} must be a mapping with some of {', '.join(KINDS)}")
    for kind in told:
        if kind not in KINDS:
            raise ValueError(f"{where} may have {', '.join(KINDS)}, got {shortened(str(kind))}")
    bounds = {kind: _mapping(told.get(kind, {}), f"{where}: {kind}") for kind in ("setup", "result")}
    for name in bounds["result"]:
        if name not in RESULTS:
            raise ValueError(f"{where}: result may have {', '.join(RESULTS)}, got {shortened(str(name))}")
    setup, result = (
        tuple(_bound(str(name), each, f"{where}: {shortened(str(name))}") for name, each in named.items())
        for named in bounds.values()
    )
    looks = told.get("looks", [])
    looks = looks if isinstance(looks, list) else [looks]
    if len(looks) > _MOST:
        raise ValueError(f"{where}: looks may say at most {_MOST} things, got {len(looks)}")
    return Conditions(setup, result, tuple(_looks(each, f"{where}: looks") for each in looks))


def write_conditions(conditions):
    """Return conditions as they stand in a story's file."""
    told = {}
    for kind in ("setup", "result"):
        if bounds := getattr(conditions, kind):
            told[kind] = {bound.name: _written(bound) for bound in bounds}
    if conditions.looks:
        told["looks"] = [{"from": each.one, "to": each.other, **dict(each.bound.limits)} for each in conditions.looks]
    return told


def _written(bound):
    """Return a bound as a word, or as a mapping where it is more than one word that must be."""
    limits = dict(bound.limits)
    return limits["is"] if list(limits) == ["is"] else limits


def _mapping(told, where):
    """Demand a small mapping."""
    if not isinstance(told, dict) or len(told) > _MOST:
        raise ValueError(f"{where} must be a mapping with at most {_MOST} names")
    return told


def _bound(name, told, where):
    """Read what one value must be."""
    limits = told if isinstance(told, dict) else {"is": told}
    for kind, limit in limits.items():
        if kind not in BOUNDS:
            raise ValueError(f"{where} may have {', '.join(BOUNDS)}, got {shortened(str(kind))}")
        if not isinstance(limit, str) or (kind.startswith("at_") and _number(limit) is None):
            what = "a number" if kind.startswith("at_") else "a word"
            raise ValueError(f"{where}: {kind} must be {what}, got {shortened(str(limit))}")
    if not limits:
        raise ValueError(f"{where} must have some of {', '.join(BOUNDS)}")
    return Bound(name, tuple(limits.items()))


def _looks(told, where):
    """Read who must look at whom, and how much."""
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in ("from", "to")):
        raise ValueError(f"{where} must have from and to, each a word")
    limits = {name: each for name, each in told.items() if name not in ("from", "to")}
    return Looks(told["from"], told["to"], _bound("looks", limits, where))


def _number(raw):
    """Return a number that is written, or None."""
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _same(value, limit):
    """Return whether a value is what is written: as words, or as numbers up to rounding of what is written."""
    if isinstance(value, str):
        return value == limit
    return _number(limit) is not None and bool(np.isclose(float(value), _number(limit), rtol=0, atol=_rounding(limit)))


def _rounding(limit):
    """Return half a unit of the last digit that is written, with a little room for how sums are rounded."""
    digits = limit.partition(".")[2]
    return 0.5 * 10.0 ** -len(digits) * 1.0001 if digits else 1e-9


_LIMITS = {
    "is": _same,
    "not": lambda value, limit: not _same(value, limit),
    "at_least": lambda value, limit: _number(value) is not None and _number(value) >= _number(limit),
    "at_most": lambda value, limit: _number(value) is not None and _number(value) <= _number(limit),
}
