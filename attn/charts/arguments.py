"""What is given to figures, checked in one way: real numbers, pixels, labels, counts and the theme."""

import functools
import inspect

from attn.charts.options import Pick, Scale, Style
from attn.charts.theme import Theme
from attn.functional import as_real, finite_number, short_repr, whole_number

_TEXTS = "title", "text"
_OPTIONS = {"theme": Theme, "pick": Pick, "scale": Scale, "style": Style}
MOST_PIXELS = 20_000  # along a side: no screen and no browser's canvas has more


def checked_arguments(*, numbers=(), pixels=(), labels=(), counts=(), several=()):
    """Return a decorator for a figure that refuses, by its name, an argument of another kind than is said here.

    Whether shapes fit together is for each figure to say. What may be None is not looked at where it is; a `theme`, a
    `title`, a `text`, a `pick`, a `scale` and a `style` always are.

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
    several : tuple of (str, type, ...)
        Names of those that are several things of one kind or of another, each with the kinds.
    """
    kinds = {name: each for name, *each in several}
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
                    raise ValueError(f"{name} must be a text, got {short_repr(given)}")
                elif name in kinds:
                    _check_several(name, given, kinds[name])
                elif name in _OPTIONS and not isinstance(given, _OPTIONS[name]):
                    such = ", such as charts.LIGHT" if name == "theme" else ""
                    raise ValueError(f"{name} must be a {_OPTIONS[name].__name__}{such}, got {short_repr(given)}")
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
        raise ValueError(f"{name} must be several texts, got {short_repr(given)}")
    for label in given:
        if not isinstance(label, str):
            raise ValueError(f"{name} must hold texts, got {short_repr(label)}")


def _check_several(name, given, kinds):
    """Refuse what are not several things of these kinds."""
    named = " or ".join("text" if kind is str else kind.__name__ for kind in kinds)
    if isinstance(given, str | bytes | dict) or not hasattr(given, "__len__"):
        raise ValueError(f"{name} must be several of {named}, got {short_repr(given)}")
    for one in given:
        if not isinstance(one, tuple(kinds)):
            raise ValueError(f"{name} must hold {named}, got {short_repr(one)}")
