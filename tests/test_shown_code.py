"""Code shown on a page: the source of what the page ran, with what it needs above it."""

import numpy as np
import pytest

from attn import softmax
from attn.ui.shown_code import Source, shown_code

HALF = 2


def halved(scores):
    return scores / HALF


def weights_of(scores, mask=None):
    """Return weights; of this sentence nothing is shown."""
    scores = np.asarray(halved(scores))  # (n,)
    return softmax(scores)


def both(query, key):
    return query, key


def early(x):
    if x:
        return 1
    return 2


def test_a_body_is_shown_with_its_imports_and_helpers():
    code = shown_code({"scores": [1.0, 2.0]}, ("weights", weights_of), "print(weights)")
    assert code == (
        "import numpy as np\n"
        "from attn import softmax\n"
        "\n"
        "HALF = 2\n"
        "scores = [1.0, 2.0]\n"
        "\n"
        "def halved(scores):\n"
        "    return scores / HALF\n"
        "\n"
        "scores = np.asarray(halved(scores))  # (n,)\n"
        "weights = softmax(scores)\n"
        "print(weights)\n"
    )


def test_what_is_shown_gives_what_the_function_gives():
    found = {}
    exec(shown_code({"scores": np.array([1.0, 2.0])}, ("weights", weights_of)), found)
    np.testing.assert_array_equal(found["weights"], weights_of(np.array([1.0, 2.0])))


def test_a_result_of_the_same_name_is_not_bound_again():
    assert shown_code({"query": 1, "key": 2}, ("query, key", both)) == "query = 1\nkey = 2\n"


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'a "word"',
        "it's",
        'it\'s a "word" \\ \n\u202e',
        (1,),
        (),
        [float("-inf"), float("inf"), 1e300],
        {"a": {"b": [[0.1, -2], []]}, "c": None},
        {"long": ["a long word " * 4] * 9, "more": {"x": list(range(60))}},
        [[float(x) for x in range(40)]] * 3,
    ],
)
def test_a_literal_reads_back(value):
    found, code = {}, shown_code({"value": value})
    exec(code, found)
    assert found["value"] == value
    assert type(found["value"]) is type(value)
    assert code.isascii() or code.replace("\n", "").isprintable()


def test_long_literals_stand_on_several_lines():
    code = shown_code({"parameters": {"w": [[0.5] * 12] * 3, "v": [1, 2]}})
    assert max(map(len, code.splitlines())) <= 100
    assert '    "v": [1, 2],\n' in code


def test_imports_come_first_and_a_function_that_lines_call_before_them():
    code = shown_code({}, "from math import pi\nhalf = halved(pi)\n", halved, "import zlib\nprint(half, charts, zlib)")
    assert code == (
        "import zlib\n"
        "from math import pi\n"
        "from attn import charts\n"
        "\n"
        "HALF = 2\n"
        "\n"
        "def halved(scores):\n"
        "    return scores / HALF\n"
        "\n"
        "half = halved(pi)\n"
        "\n"
        "print(half, charts, zlib)\n"
    )


def test_a_source_is_shown_as_it_is():
    assert shown_code({"x": Source("np.eye(2)")}, "print(x)") == "import numpy as np\n\nx = np.eye(2)\n\nprint(x)\n"


@pytest.mark.parametrize(
    ("steps", "error", "message"),
    [
        (["print(nothing)"], NameError, "the shown code must be given nothing"),
        ([("x", early)], ValueError, "early must return once, at its end, to be shown"),
    ],
)
def test_what_cannot_be_shown(steps, error, message):
    with pytest.raises(error, match=message):
        shown_code({"x": 1}, *steps)
