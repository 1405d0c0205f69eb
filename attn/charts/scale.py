"""From a number to a colour, the same in the browser and in a picture made here."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from attn.charts.labels import label_lookup, label_pixels, number
from attn.charts.marks import mark_channel
from attn.charts.outlines import text_width
from attn.charts.theme import FONT_SIZE, Theme, blend

KINDS = ("weights", "signed", "magnitude")
_BESIDE_TITLE = 8  # pixels from the name of a scale to its colours
_DECADES = 4  # a logarithmic scale spans so many powers of ten below its limit


@dataclass(frozen=True)
class ColourScale:
    """A scale of colour from 0, or around 0, to `limit`."""

    kind: str
    limit: float
    log: bool
    theme: Theme
    name: str  # what a number is called
    exceeded: bool = False  # some value lies beyond the limit
    flat: bool = False  # every value is 0, and no limit was asked for: the colours stand for no numbers

    @property
    def title(self):
        """What its legend is headed by: a logarithmic scale says that it is one, in the words of such bars."""
        if self.flat:
            return "0 everywhere"
        return logarithmic(self.name) if self.log else self.name

    @property
    def stops(self):
        """The colours, evenly spaced along the domain."""
        theme = self.theme
        if self.kind == "signed":
            return [theme.negative, theme.negative_half, theme.neutral, theme.positive_half, theme.positive]
        return [theme.background, theme.weight_half, theme.weight]

    @property
    def floor(self):
        """The smallest size that still gets a colour of its own on a logarithmic scale."""
        return self.limit * 10.0**-_DECADES

    @property
    def ends(self):
        """The smallest and the largest value with a colour of its own."""
        if self.kind == "signed":
            return -self.limit, self.limit
        return self.floor if self.log else 0.0, self.limit

    @property
    def domain(self):
        """The values at the stops."""
        half = self.limit / 2
        if self.log:
            half = (
                self.floor * ((1 + self.limit / self.floor) ** 0.5 - 1)
                if self.kind == "signed"
                else (self.floor * self.limit) ** 0.5
            )
        if self.kind == "signed":
            return [-self.limit, -half, 0.0, half, self.limit]
        return [self.ends[0], half, self.limit]

    def shade(self, values):
        """Return `values` moved into the domain; what is not a number becomes 0 or the lower end."""
        low, high = self.ends
        return np.nan_to_num(np.clip(values, low, high), nan=max(low, 0.0))

    def fraction(self, values):
        """Return how far along the scale each value lies, from 0 to 1."""
        shade = self.shade(np.asarray(values, dtype=float))
        if self.kind == "signed":
            size = np.abs(shade)
            size = np.log1p(size / self.floor) / np.log1p(self.limit / self.floor) if self.log else size / self.limit
            return (1 + np.copysign(size, shade)) / 2
        return np.log10(shade / self.floor) / _DECADES if self.log else shade / self.limit

    def colours(self, values):
        """Return red, green and blue, (..., 3), from 0 to 255."""
        return blend(self.stops, self.fraction(values))

    def encoding(self, field, length=200, legend=True, room=math.inf):
        """Return the colour channel for `field`, with its legend below the figure, which has so much room across."""
        scale = {"domain": self.domain, "range": self.stops, "interpolate": "lab", "clamp": True}
        if self.log:
            scale |= {"type": "symlog", "constant": self.floor} if self.kind == "signed" else {"type": "log"}
        return mark_channel(f"{field}:Q", scale=scale, legend=self._legend(length, room) if legend else None)

    def _legend(self, length, room):
        """Return a level gradient with numbers under it.

        The name of a logarithmic one is long: where there is no room beside it the gradient is shorter, and where its
        numbers would then not stand apart it names its ends alone.
        """
        at = self._ticks()
        texts = [number(value) for value in at]
        if self.exceeded:
            texts[-1] = f"≥ {texts[-1]}"
        if (self.exceeded and self.kind == "signed") or (self.log and self.kind != "signed"):
            texts[0] = f"≤ {texts[0]}"
        if self.log:
            left = room - text_width(self.title, FONT_SIZE) - _BESIDE_TITLE - label_pixels(texts[-1]) / 2
            length = min(length, max(0, left))
            if least_gradient(texts) > left:
                at, texts = at[:: len(at) - 1], texts[:: len(texts) - 1]
        return {
            "title": self.title,
            "titleOrient": "left",
            "titlePadding": _BESIDE_TITLE,
            "orient": "bottom",
            "direction": "horizontal",
            "gradientLength": max(length, least_gradient(texts)),
            "gradientThickness": 12,
            "gradientOpacity": 1,
            "gradientStrokeColor": self.theme.grid,
            "gradientStrokeWidth": 1,
            "values": at,
            "labelExpr": label_lookup(texts, at),
            "labelOverlap": False,
            "offset": 12,
        }

    def _ticks(self):
        """Return the values that the legend names."""
        if self.flat:
            return [0.0]
        if self.kind == "signed":
            return [-self.limit, 0.0, self.limit]
        if self.log:
            return [self.limit * 10.0**-e for e in range(_DECADES, -1, -2)]
        return [0.0, self.limit / 2, self.limit]


def logarithmic(name):
    """Return what stands on a logarithmic scale of colours or lengths, as everywhere it says that it is one.

    Examples
    --------
    >>> logarithmic("weight")
    'weight (logarithmic)'
    """
    return f"{name} (logarithmic)"


def least_gradient(texts):
    """Return the pixels of the shortest scale under which numbers, the first and the last at its ends, stand apart.

    Examples
    --------
    >>> round(least_gradient(["0", "0.5", "1"])), round(least_gradient(["≤ 0.00125", "0.5", "1"]))
    (52, 159)
    """
    wide = [label_pixels(text) for text in texts]
    reach = [wide[0], *(each / 2 for each in wide[1:-1]), wide[-1]]  # of each number towards its neighbours
    return (len(texts) - 1) * max((a + b + 8 for a, b in itertools.pairwise(reach)), default=0) or wide[0]


def colour_scale(values, theme, kind="weights", limit=None, log=False, shown=None, name=None):
    """Return the scale of `kind` for `values`.

    Parameters
    ----------
    values : ndarray
    theme : Theme
    kind : {"weights", "signed", "magnitude"}
        From 0 to 1, around 0, or from 0 to the largest.
    limit : float, optional
        The value at the end of the scale; by default 1 for weights, else the largest size.
    log : bool, default False
    shown : ndarray of bool, optional
        Which values count.
    name : str, optional
        What a number is called.

    Raises
    ------
    ValueError
        If `kind` is unknown or `limit` is not positive.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if limit is not None and not (np.isfinite(limit) and limit > 0):
        raise ValueError(f"limit must be a positive number, got {limit}")
    counts = np.isfinite(values) if shown is None else np.isfinite(values) & shown
    ends = values.max(where=counts, initial=0), -values.min(where=counts, initial=0)  # without a copy
    largest = float(max(ends))
    flat = limit is None and kind != "weights" and not log and largest == 0
    if limit is None:
        limit = 1.0 if kind == "weights" else largest or 1.0
    name = name or {"weights": "weight", "signed": "number", "magnitude": "size"}[kind]
    return ColourScale(kind, float(limit), log, theme, name, largest > limit * (1 + 1e-6), flat)
