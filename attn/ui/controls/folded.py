"""Controls that are seldom used: folded away, until one of them is not as the page opens."""

import streamlit as st

MORE = "More"


def folded_controls(state, label, names):
    """Return a place for controls, folded while all are as the page opens; it stays open once one was not.

    Parameters
    ----------
    state : PageState
    label : str
    names : tuple of str
        Choices that are made there.
    """
    opens, plain = _opens(state, label), state.cls()
    if any(state.get(name) != getattr(plain, name) for name in names):
        st.session_state[opens] = True
    return st.expander(label, expanded=st.session_state.get(opens, False))


def unfold_controls(state, label):
    """Open such a place though all is as the page opens; in a callback."""
    st.session_state[_opens(state, label)] = True


def _opens(state, label):
    """Return where the session holds whether a place is open."""
    return state.key(f"{label}.open")
