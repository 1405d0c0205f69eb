"""Scores: the keys as a table to type into, and vectors moved by a click in the plane."""

import numpy as np
import streamlit as st

from attn.ui.pages.scores.scores import scores_turned
from attn.ui.pages.scores.setup import MOST_KEYS, REACH

_MORE_KEYS = ((1.5, -1.0), (-2.0, -1.0), (0.5, 2.5), (-1.5, 0.5), (2.5, 1.5))  # what a new key is


def keys_editor(state):
    """Draw the keys as a table to type into, with buttons for more and fewer of them."""
    made, version = state.key("keys.made"), state.key("keys.version")
    keys = [list(pair) for pair in state.get("keys")]
    widget = f"{state.key('keys.table')}.{st.session_state.setdefault(version, 0)}"
    if _typed(st.session_state.get(made, keys), widget) != keys:  # changed from elsewhere: a new table
        st.session_state[version] += 1
        widget = f"{state.key('keys.table')}.{st.session_state[version]}"
        st.session_state.pop(made, None)
    base = st.session_state.setdefault(made, keys)

    def keep():
        state.set(keys=tuple(tuple(pair) for pair in _typed(base, widget)))

    limits = {"min_value": -REACH, "max_value": REACH, "format": "%.4g"}
    st.data_editor(
        {"key": list(range(1, len(base) + 1)), "across": [x for x, _ in base], "up": [y for _, y in base]},
        key=widget,
        on_change=keep,
        hide_index=True,
        disabled=["key"],
        column_config={
            "key": st.column_config.NumberColumn("Key", width=60),
            "across": st.column_config.NumberColumn("Across", width=90, **limits),
            "up": st.column_config.NumberColumn("Up", width=90, **limits),
        },
    )
    more, fewer = st.columns(2)
    more.button(
        "Add a key",
        on_click=_add,
        args=(state,),
        disabled=len(keys) == MOST_KEYS,
        width="stretch",
        help=f"At most {MOST_KEYS} keys.",
    )
    fewer.button(
        "Remove one",
        on_click=_remove,
        args=(state,),
        disabled=len(keys) == 1,
        width="stretch",
        help="Removes the last key.",
    )


def _typed(base, widget):
    """Return the keys with what was typed into the table; a cell left empty keeps its number."""
    keys = [list(pair) for pair in base]
    for row, changed in st.session_state.get(widget, {}).get("edited_rows", {}).items():
        for column, number in changed.items():
            if number is not None and int(row) < len(keys) and abs(float(number)) <= REACH:
                keys[int(row)][column == "up"] = float(number)
    return keys


def _add(state):
    keys = state.get("keys")
    state.set(keys=(*keys, _MORE_KEYS[(len(keys) - 3) % len(_MORE_KEYS)]))


def _remove(state):
    state.set(keys=state.get("keys")[:-1])


def keys_editor_moved(setup):
    """Return what the vector is called that a click on the plane moves."""
    return f"key {min(setup.moved, len(setup.keys))}" if setup.moved else "the query"


def keys_editor_move(state, across, up):
    """Put the chosen vector where the plane was clicked."""
    setup = state.choices()
    # what is seen may be turned, doubled and swapped; what is chosen is not
    x, y = (
        float(min(max(part, -REACH), REACH)) for part in scores_turned(np.array([across, up]), -setup.turn).round(9)
    )
    if setup.moved == 0:
        state.set(across=x, up=y)
        return
    scale = 2 if setup.double else 1
    keys = list(setup.keys)
    keys[min(setup.moved, len(keys)) - 1] = (x / scale, y / scale)
    state.set(keys=tuple(keys))
