"""From a number to a colour, the same in the browser and in a picture made here."""

from dataclasses import dataclass

import altair as alt
import numpy as np

from attn.charts.labels import lookup, number
from attn.charts.theme import Theme, blend

KINDS = ("weights", "signed", "magnitude")
_DECADES = 4  # a logarithmic scale spans so many powers of ten below its limit


@dataclass(frozen=True)
class ColourScale:
    """A scale of colour from 0, or around 0, to `limit`."""

    kind: str
    limit: float
    log: bool
    theme: Theme
    exceeded: bool = False  # some value lies beyond the limit

    @property
    def stops(self):
        """The colours, evenly spaced along the domain."""
        theme = self.theme
        if self.kind == "signed":
            return [theme.negative, theme.neutral, theme.positive]
        return [theme.background, theme.weight]

    @property
    def floor(self):
        """The smallest size that still gets a colour of its own on a logarithmic scale."""
        return self.limit * 10.0**-_DECADES

    @property
    def domain(self):
        """The values at the stops."""
        if self.kind == "signed":
            return [-self.limit, 0, self.limit]
        return [self.floor if self.log else 0, self.limit]

    def shade(self, values):
        """Return `values` moved into the domain; what is not a number becomes its lower end."""
        shade = np.clip(values, self.domain[0], self.domain[-1])
        return np.where(np.isnan(shade), self.domain[-2], shade)

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

    def encoding(self, field, title, *, length=200, legend=True):
        """Return the colour channel for `field`, with its legend below the figure."""
        scale = {"domain": self.domain, "range": self.stops, "interpolate": "lab", "clamp": True}
        if self.log:
            scale |= {"type": "symlog", "constant": self.floor} if self.kind == "signed" else {"type": "log"}
        return alt.Color(
            f"{field}:Q", scale=alt.Scale(**scale), legend=self._legend(title, length) if legend else None
        )

    def _legend(self, title, length):
        """Return a level gradient with numbers under it."""
        at = self._ticks()
        texts = [number(value) for value in at]
        if self.exceeded:
            texts[-1] = f"≥ {texts[-1]}"
            texts[0] = f"≤ {texts[0]}" if self.kind == "signed" else texts[0]
        if self.log and self.kind != "signed":
            texts[0] = f"≤ {texts[0]}"
        return alt.Legend(
            title=title,
            orient="bottom",
            direction="horizontal",
            gradientLength=length,
            gradientThickness=12,
            gradientOpacity=1,
            gradientStrokeColor=self.theme.grid,
            gradientStrokeWidth=1,
            values=at,
            labelExpr=lookup(texts, at),
            labelOverlap=False,
            titlePadding=6,
            offset=16,
        )

    def _ticks(self):
        """Return the values that the legend names."""
        if self.kind == "signed":
            return [-self.limit, 0.0, self.limit]
        if self.log:
            return [self.limit * 10.0**-e for e in range(_DECADES, -1, -2)]
        return [0.0, self.limit / 2, self.limit]


def colour_scale(values, theme, kind="weights", limit=None, log=False, shown=None):
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
    largest = float(np.abs(values[counts]).max(initial=0)) if values.size else 0.0
    if limit is None:
        limit = 1.0 if kind == "weights" else largest or 1.0
    return ColourScale(kind, float(limit), log, theme, exceeded=largest > limit * (1 + 1e-6))
