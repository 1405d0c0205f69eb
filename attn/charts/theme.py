"""The two themes: every colour of every figure, and the arithmetic of colours."""

import functools
from dataclasses import dataclass

import numpy as np

# The page's own typeface first, so that figures and prose look alike; then one that whoever saves a figure has.
FONT = '"Source Sans", "Source Sans Pro", "Liberation Sans", Arial, sans-serif'
FONT_SIZE = 14
TITLE_SIZE = 18
_INKS = ("#000000", "#FFFFFF")  # with anything lighter than black, some colours would let neither be read


@dataclass(frozen=True)
class Theme:
    """The colours of one look of the pages, as ``#rrggbb``.

    `query`, `key`, `value` and `output` mean the same thing in figures, formulas and prose.
    `weight` is the colour of weight 1 on a `background` of weight 0; signed values run from
    `negative` over `neutral` to `positive`. The halves lie half way, so that the hue stays the
    same. `hidden` is for what a query may not see, `invalid` for what is not a number. `heads`
    holds one colour per head, in a fixed order. Where a number in a cell would have to be smaller than
    `number_size` pixels, there is none.
    """

    name: str
    background: str
    surface: str
    text: str
    muted: str
    grid: str
    hidden: str
    invalid: str
    weight: str
    weight_half: str
    negative: str
    negative_half: str
    neutral: str
    positive_half: str
    positive: str
    query: str
    key: str
    value: str
    output: str
    heads: tuple[str, ...]
    number_size: float = FONT_SIZE

    def role(self, name):
        """Return the colour of an axis called `name`: that of its role, or of quiet text."""
        roles = {"query": self.query, "key": self.key, "value": self.value}
        roles |= {"queries": self.query, "keys": self.key, "values": self.value}
        roles |= {"output": self.output, "context": self.output}
        return roles.get(name.lower(), self.muted)

    def bar(self, value):
        """Return the colour of a bar of this sign."""
        ends = (self.negative, self.negative_half) if value < 0 else (self.positive, self.positive_half)
        return _mixed(ends, 0.6)

    def head(self, index):
        """Return the colour of head `index`, counted from 0; after the last they start again."""
        return self.heads[index % len(self.heads)]


LIGHT = Theme(
    name="light",
    background="#FFFFFF",
    surface="#F3F5F7",
    text="#14202B",
    muted="#55606E",
    grid="#E3E7EC",
    hidden="#C3C9D1",
    invalid="#FF3388",
    weight="#08306B",
    weight_half="#5596D2",
    negative="#0B5394",
    negative_half="#86BBE3",
    neutral="#FFFFFF",
    positive_half="#F6B26B",
    positive="#B45309",
    query="#0072B2",
    key="#D55E00",
    value="#009E73",
    output="#CC79A7",
    # Okabe and Ito's remaining colours, then those farthest from all before them for any eyes.
    heads=(
        "#E69F00", "#56B4E9", "#F0E442", "#1B1F24", "#992266", "#448866", "#777700", "#1111EE",
        "#DD5577", "#CCBB77", "#661100", "#5588CC", "#006622", "#BB4499", "#999999", "#99DDFF",
    ),
)  # fmt: skip

DARK = Theme(
    name="dark",
    background="#0F1419",
    surface="#182028",
    text="#E8EDF2",
    muted="#A3AFBC",
    grid="#26303A",
    hidden="#3D4752",
    invalid="#FF4488",
    weight="#9BD7FF",
    weight_half="#2173AD",
    negative="#74BDF7",
    negative_half="#225C8C",
    neutral="#0F1419",
    positive_half="#8F5012",
    positive="#FFAF57",
    query="#56B4E9",
    key="#FF8A4C",
    value="#33EDB0",
    output="#DBA7BE",
    heads=(
        "#E69F00", "#56B4E9", "#F0E442", "#F2F4F7", "#CC5588", "#AACC99", "#888855", "#8866EE",
        "#CC9999", "#AAAA66", "#EE5522", "#88AABB", "#77FF99", "#AA77BB", "#CCCCCC", "#AADDEE",
    ),
)  # fmt: skip


def theme_named(name):
    """Return the theme called `name`.

    Raises
    ------
    ValueError
        If `name` is neither "light" nor "dark".

    Examples
    --------
    >>> theme_named("dark").background
    '#0F1419'
    """
    themes = {"light": LIGHT, "dark": DARK}
    if not isinstance(name, str) or name not in themes:
        raise ValueError(f'a theme must be "light" or "dark", got {name!r}')
    return themes[name]


def theme_config(theme):
    """Return what every figure of `theme` shares: background, type, axes, legends and titles."""
    small = {"labelFont": FONT, "labelFontSize": FONT_SIZE, "titleFont": FONT, "titleFontSize": FONT_SIZE}
    return {
        "background": theme.background,
        "font": FONT,
        "view": {"stroke": None, "continuousWidth": 320, "continuousHeight": 320},
        "axis": small
        | {
            "labelColor": theme.text,
            "titleColor": theme.muted,
            "titleFontWeight": 700,
            "domain": False,
            "ticks": False,
            "grid": False,
            "gridColor": theme.grid,
            "labelLimit": 0,
            "labelOverlap": False,
        },
        "legend": small
        | {
            "labelColor": theme.text,
            "titleColor": theme.text,
            "titleFontWeight": 400,
            "labelLimit": 0,
            "titleLimit": 0,
        },
        "title": {
            "font": FONT,
            "fontSize": TITLE_SIZE,
            "fontWeight": 600,
            "color": theme.text,
            "subtitleFont": FONT,
            "subtitleFontSize": FONT_SIZE,
            "subtitleColor": theme.muted,
            "anchor": "start",
            "frame": "group",
            "offset": 10,
            "limit": 0,
        },
        "text": {"font": FONT, "fontSize": FONT_SIZE, "color": theme.text},
    }


def rgb(colour):
    """Return a colour ``#rrggbb`` as three floats from 0 to 255.

    Examples
    --------
    >>> rgb("#0072B2")
    array([  0., 114., 178.])
    """
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)


def hex_of(colour):
    """Return red, green and blue from 0 to 255 as ``#rrggbb``.

    Examples
    --------
    >>> hex_of([0, 114, 178])
    '#0072B2'
    """
    return "#" + "".join(f"{round(float(part)):02X}" for part in colour)


def theme_ink(fill):
    """Return the ink, black or white, that reads better on colours `fill`.

    Parameters
    ----------
    fill : ndarray, shape (..., 3)
        Red, green and blue from 0 to 255.

    Returns
    -------
    ndarray of str, shape (...)

    Notes
    -----
    By the contrast ratio of the Web Content Accessibility Guidelines 2.1, which is above 4.5,
    the least for text, on any colour.

    Examples
    --------
    >>> theme_ink(rgb("#FFFFFF")).item(), theme_ink(rgb("#08306B")).item()
    ('#000000', '#FFFFFF')
    """
    light = _light(fill)
    return np.where(light / _BLACK >= _WHITEST / light, *_INKS)


def blend(stops, fraction):
    """Return the colours at `fraction` of the way along evenly spaced `stops`, mixed in CIELAB.

    Parameters
    ----------
    stops : sequence of str
        At least two colours ``#rrggbb``.
    fraction : array_like
        From 0, the first stop, to 1, the last.

    Returns
    -------
    ndarray, shape (..., 3)
        Red, green and blue from 0 to 255.

    Notes
    -----
    The constants are those of d3-color, which draws the same scales in the browser.

    Examples
    --------
    >>> blend(["#FFFFFF", "#000000"], [0, 0.5, 1]).round().astype(int)[:, 0]
    array([255, 119,   0])
    """
    at, lab = _stops(tuple(stops))
    return _rgb(np.stack([np.interp(fraction, at, channel) for channel in lab], axis=-1))


@functools.cache
def _stops(stops):
    """Return where the stops of a scale lie, (n_stops,), and the channels of their colours in CIELAB, (3, n_stops)."""
    return np.linspace(0, 1, len(stops)), to_lab(np.stack([rgb(stop) for stop in stops])).T


@functools.cache
def _mixed(stops, fraction):
    """Return one colour along stops as ``#rrggbb``."""
    return hex_of(blend(stops, fraction))


_WHITE = np.array([0.96422, 1.0, 0.82521])
_TO_XYZ = np.array([
    [0.4360747, 0.3850649, 0.1430804],
    [0.2225045, 0.7168786, 0.0606169],
    [0.0139322, 0.0971045, 0.7141733],
])  # fmt: skip
_FROM_XYZ = np.array([
    [3.1338561, -1.6168667, -0.4906146],
    [-0.9787684, 1.9161415, 0.0334540],
    [0.0719453, -0.2289914, 1.4052427],
])  # fmt: skip


def _linear(colour):
    """Return sRGB from 0 to 255 as linear light from 0 to 1."""
    c = np.asarray(colour) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_lab(colour):
    """Return sRGB as CIELAB."""
    t = _linear(colour) @ _TO_XYZ.T / _WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _rgb(lab):
    """Return CIELAB as sRGB, clipped to 0 to 255."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = _WHITE * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    light = np.clip(xyz @ _FROM_XYZ.T, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


_BLACK, _WHITEST = 0.05, 1.05  # what `_light` says of the two inks


def _light(colour):
    """Return the relative luminance of a colour with what a screen reflects, as contrasts count it."""
    return _linear(colour) @ [0.2126, 0.7152, 0.0722] + _BLACK


def contrast_ratio(a, b):
    """Return the contrast ratio of two colours, from 1 to 21."""
    a, b = _light(a), _light(b)
    return np.maximum(a, b) / np.minimum(a, b)
