"""The colours of both themes are told apart by all eyes: those that lack a kind of cone as well.

Seen as in Machado, Oliveira and Fernandes (2009), A Physiologically-based Model for Simulation of Color Vision
Deficiency, IEEE TVCG 15(6), table 1, at full severity, on linear light; distances are those of CIEDE2000 (Sharma, Wu
and Dalal, 2005, The CIEDE2000 Color-Difference Formula, Color Research & Application 30(1)).
"""

from itertools import combinations

import numpy as np
import pytest

from attn.charts import DARK, LIGHT
from attn.charts.theme import blend, rgb, to_lab

EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
STEPS = 9  # along a scale
pytestmark = [
    pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"]),
    pytest.mark.parametrize("eyes", EYES.values(), ids=EYES),
]


def seen(colours, eyes):
    """Return colours ``#rrggbb`` or rows of red, green and blue as these eyes see them, in CIELAB."""
    c = np.stack([rgb(colour) if isinstance(colour, str) else colour for colour in colours]) / 255
    light = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    light = np.clip(light @ np.asarray(eyes).T, 0, 1)
    return to_lab(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def apart(a, b):
    """Return the CIEDE2000 distance of colours in CIELAB."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretched = 1 + 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))
    a1, a2 = stretched * a1, stretched * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1), np.arctan2(b2, a2)
    turned = (h2 - h1 + np.pi) % (2 * np.pi) - np.pi
    hue = 2 * np.sqrt(c1 * c2) * np.sin(turned / 2)
    mean_l, mean_c, mean_h = (l1 + l2) / 2, (c1 + c2) / 2, np.degrees(h1 + turned / 2)

    def cos(degrees):
        return np.cos(np.radians(degrees))

    t = 1 - 0.17 * cos(mean_h - 30) + 0.24 * cos(2 * mean_h) + 0.32 * cos(3 * mean_h + 6) - 0.2 * cos(4 * mean_h - 63)
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    around_blue = np.sin(np.radians(60 * np.exp(-(((mean_h % 360 - 275) / 25) ** 2))))
    rotation = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * around_blue
    parts = (l2 - l1) / s_l, (c2 - c1) / s_c, hue / s_h
    return np.sqrt(sum(part**2 for part in parts) + rotation * parts[1] * parts[2])


def closest(colours, eyes):
    """Return the least distance of two of the colours."""
    return min(float(apart(a, b)) for a, b in combinations(seen(colours, eyes), 2))


def scales(theme):
    """Return the colours along the scale of weights and along that of signed values."""
    along = np.linspace(0, 1, STEPS)
    signed = theme.negative, theme.negative_half, theme.neutral, theme.positive_half, theme.positive
    return blend((theme.background, theme.weight_half, theme.weight), along), blend(signed, along)


def test_the_distance_is_that_of_its_paper(theme, eyes):
    """Of pairs 1, 7, 13 and 19 in table 1 of Sharma, Wu and Dalal."""
    a = np.array([[50, 2.6772, -79.7751], [50, 0, 0], [50, -0.0010, 2.4900], [50, 2.5, 0]])
    b = np.array([[50, 0, -82.7485], [50, -1, 2], [50, 0.0011, -2.4900], [50, 3.1736, 0.5854]])
    np.testing.assert_allclose(apart(a, b), [2.0425, 2.3669, 4.7461, 1.0000], atol=1e-4)


def test_query_key_value_and_output(theme, eyes):
    assert closest([theme.query, theme.key, theme.value, theme.output], eyes) >= 12


def test_heads(theme, eyes):
    assert closest(theme.heads[:8], eyes) >= 11
    assert closest(theme.heads, eyes) >= 8.9


def test_each_step_of_a_scale(theme, eyes):
    for scale in scales(theme):
        colours = seen(scale, eyes)
        assert apart(colours[:-1], colours[1:]).min() >= 6


def test_below_zero_and_above(theme, eyes):
    colours = seen(scales(theme)[1], eyes)
    half = STEPS // 2
    assert apart(colours[:half], colours[::-1][:half]).min() >= 24


def test_what_is_hidden_or_no_number_is_no_value(theme, eyes):
    cells = seen(np.concatenate(scales(theme)), eyes)
    hidden, invalid = seen([theme.hidden, theme.invalid], eyes)
    assert apart(cells, hidden).min() >= 6.5
    assert min(apart(cells, invalid).min(), apart(hidden, invalid)) >= 10
