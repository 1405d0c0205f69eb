"""Numbers with their units, short enough to be read aloud."""


def count_in_units(value):
    """Return a number of operations or of numbers, short enough to be read aloud.

    Examples
    --------
    >>> count_in_units(134217728), count_in_units(1000), count_in_units(37)
    ('134 million', '1,000', '37')
    """
    for size, word in ((1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:.3g} {word}" if value < 1000 * size else f"{value / size:,.0f} {word}"
    return f"{value:,.0f}"


def bytes_in_units(value):
    """Return a size in memory.

    Examples
    --------
    >>> bytes_in_units(8388608), bytes_in_units(512)
    ('8.39 MB', '512 bytes')
    """
    for size, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {unit}" if value < 1000 * size else f"{value / size:,.0f} {unit}"
    return f"{value:.0f} bytes"


def seconds_in_units(value):
    """Return a duration.

    Examples
    --------
    >>> seconds_in_units(0.0123), seconds_in_units(1.5), seconds_in_units(2e-5)
    ('12.3 ms', '1.5 s', '20 µs')
    """
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= size * 0.9995 or unit == "µs":
            return f"{value / size:.3g} {unit}"
    return None


def growth_in_units(exponent):
    """Return how something grows with n, as text that stays as large as the rest of it.

    Examples
    --------
    >>> growth_in_units(1.97), growth_in_units(0.5)
    ('n^1.97', 'n^0.50')
    """
    return f"n^{exponent:.2f}".replace("-", "−")


def ratio_in_units(one, other):
    """Return how many times one number is another.

    Examples
    --------
    >>> ratio_in_units(6, 3), ratio_in_units(1, 500)
    ('2 times', '1/500 of')
    """
    ratio = one / other
    return f"{ratio:.3g} times" if ratio >= 0.01 else f"1/{1 / ratio:,.0f} of"
