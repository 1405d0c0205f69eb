"""What is given to figures, checked in one way: real numbers, pixels, labels, counts and the theme."""

import functools
import inspect

from attn.charts.theme import Theme
from attn.functional import as_real, finite_number, whole_number

_TEXTS = "title", "text"
MOST_PIXELS = 20_000  # along a side: no screen and no browser's canvas has more


def checked_arguments(*, numbers=(), pixels=(), labels=(), counts=()):
    """Return a decorator for a figure that refuses, by its name, an argument of another kind than is said here.

    Whether shapes fit together is for each figure to say. What may be None is not looked at where it is; a `theme`, a
    `title` and a `text` always are.

    Parameters
    ----------
    numbers : tuple of str or (str, int)
        Names of arguments that hold real numbers, with the number of their axes.
    pixels : tuple of str
        Names of those that are pixels, along one side or along two. What is left for a figure beside others may be
        less than none: it then takes as many as it needs.
    labels : tuple of str
        Names of those that are several texts.
    counts : tuple of str
        Names of those that are whole numbers of at least 1.
    """
    axes_of = dict(each if isinstance(each, tuple) else (each, None) for each in numbers)

    def decorated(figure):
        signature = inspect.signature(figure)
        optional = {name for name, parameter in signature.parameters.items() if parameter.default is None}

        @functools.wraps(figure)
        def checked(*args, **kwargs):
            for name, given in signature.bind(*args, **kwargs).arguments.items():
                if given is None and name in optional:
                    continue
                if name in axes_of:
                    _check_numbers(name, given, axes_of[name])
                elif name in pixels:
                    for side in given if isinstance(given, tuple) else (given,):
                        finite_number(side, name, least=-MOST_PIXELS, most=MOST_PIXELS)
                elif name in labels:
                    _check_labels(name, given)
                elif name in counts:
                    whole_number(name, given, least=1)
                elif name in _TEXTS and not isinstance(given, str):
                    raise ValueError(f"{name} must be a text, got {given!r:.80}")
                elif name == "theme" and not isinstance(given, Theme):
                    raise ValueError(f"theme must be a Theme, such as charts.LIGHT, got {given!r:.80}")
            return figure(*args, **kwargs)

        return checked

    return decorated


def _check_numbers(name, given, axes):
    """Refuse what is no array of real numbers, or has another number of axes."""
    shape = as_real(given, name).shape
    if axes is not None and len(shape) != axes:
        raise ValueError(f"{name} must have {axes} {'axis' if axes == 1 else 'axes'}, got shape {shape}")


def _check_labels(name, given):
    """Refuse what are not several texts."""
    if isinstance(given, bytes) or not hasattr(given, "__len__"):
        raise ValueError(f"{name} must be several texts, got {given!r:.80}")
    for label in given:
        if not isinstance(label, str):
            raise ValueError(f"{name} must hold texts, got {label!r:.80}")
