"""Words as they stand in a sentence: its first letter, and several of a kind in a row."""

from collections.abc import Iterable


def capital(text: str) -> str:
    """Return a text with a capital as its first letter, and the rest as it is.

    Examples
    --------
    >>> capital("no key of the KV cache"), capital("")
    ('No key of the KV cache', '')
    """
    return text[:1].upper() + text[1:]


def small(text: str) -> str:
    """Return a text with a small first letter, to be put into a sentence.

    Examples
    --------
    >>> small("Looks at Q and K.")
    'looks at Q and K.'
    """
    return text[:1].lower() + text[1:]


def listed(items: Iterable[object], last: str = "and") -> str:
    """Return several things in a row.

    Parameters
    ----------
    items
        Of which each is written as it is printed.
    last
        The word before the last one.

    Examples
    --------
    >>> listed([1, 4, 6]), listed(["dot", "general"], "or"), listed(["dot"]), listed([])
    ('1, 4 and 6', 'dot or general', 'dot', '')
    """
    *most, end = [str(item) for item in items] or [""]
    return f"{', '.join(most)} {last} {end}" if most else end
