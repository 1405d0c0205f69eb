"""What a visitor takes away of a figure: its link, files for a paper, its numbers, its code, and all of it in one file.

A file is made when it is asked for, of what the figure on the screen was made of; the menu is drawn when it is opened.
"""

import ast
import functools
import io
import json
import math
import re
import zipfile
from typing import NamedTuple
from urllib.parse import urlencode

import streamlit as st

from attn import __version__, charts
from attn.pretrained.loading.catalogue import weights_note
from attn.ui.embed import FIGURE as EMBED
from attn.ui.link import to_link
from attn.ui.menu import MENU
from attn.ui.settings import MEGABYTE, visitor_settings
from attn.ui.shown_code import INSTALL, in_theme
from attn.ui.state import LOOK, choose_look, chosen_look, figure_place, opened_settings
from attn.words import capital

SETTINGS = "settings.json"  # the name in a bundle
_LONGEST_SETTINGS = 2_000_000  # bytes: twenty times the longest text
_WORDS = 24  # characters of a sentence in the name of a file
_NAMED = {  # choices that a file says by name, where a page has them
    "model": "Model",
    "layer": "Layer",
    "head": "Head",
    "text": "Sentence",
}
# the menu lies outside the part of the page that knows whether it is light or dark
_STYLE = """<style>
[data-testid="stPopoverBody"] { color-scheme: SCHEME; }
[data-testid="stPopoverBody"] .stVerticalBlock { gap: 0.6rem; }
</style>"""
_NEEDS = f"Needs {INSTALL} once, in the folder of Attention Lab."
_EMBED_HEIGHT = 480  # pixels of the frame that is suggested


class Figure(NamedTuple):
    """What a figure's files are made of, gathered when its menu is opened."""

    spec: dict  # as `attn.charts.specification` returns it
    stem: str  # of file names
    about: dict  # what files say of themselves, by name
    tables: dict  # name -> function that returns the CSV text
    codes: object  # function that returns its `Codes`, or None


class Measured(NamedTuple):
    """What a figure measured, where the layer, the head and the sentence chosen on its page do not say it."""

    named: tuple  # of str: what its files are named by
    facts: dict  # name -> text or number


def figure_menu(spec, key, tables=None, codes=None, measured=None):
    """Draw the menu "Take it away" of a figure: closed it is one element.

    Parameters
    ----------
    spec : dict
        As `attn.ui.page.page_draw` returns it.
    key : str
        Of the figure.
    tables : dict of str to callable, optional
    codes : callable, optional
    measured : Measured, optional
        As in `attn.ui.page.page_figure`.
    """
    menu = st.popover(
        "Take it away", icon=":material/ios_share:", type="tertiary", key=f"{key}.away", on_change="rerun",
        help="Pictures for a paper, the numbers, the code, all of it, or the link to this.",
    )  # fmt: skip
    if menu.open:
        with menu:
            _draw_menu(spec, key, tables, codes, measured)


def gathered_figure(spec, key, tables=None, codes=None, measured=None):
    """Return what files of a figure on the present page are made of; arguments as for `figure_menu`.

    Returns
    -------
    Figure
    """
    page, setup = figure_place()
    about = figure_facts(page, key, setup, f"{st.context.url or ''}?{urlencode(_link(setup))}", measured)
    return Figure(charts.without_selection(spec), file_stem(page, key, setup, measured), about, tables or {}, codes)


def _link(setup):
    """Return the query of the present screen, as it is when it is not presented; it outlives other defaults."""
    shown = {name: value for name, value in st.query_params.to_dict().items() if name != "present"}
    return to_link(setup, whole=True)[0] | shown


def _draw_menu(spec, key, tables, codes, measured):
    """Draw what is in the open menu."""
    figure = gathered_figure(spec, key, tables, codes, measured)
    about = figure.about
    st.html(_STYLE.replace("SCHEME", st.context.theme.type or "light"))
    columns = st.segmented_control(
        "Width on paper", list(charts.COLUMNS), default="one", key=f"{key}.columns", required=True,
        format_func=lambda name: f"{name.capitalize()} column{'s' * (name != 'one')}, {charts.COLUMNS[name]} mm",
        help="Pictures are laid out anew for this width, with words of 7 to 10 points where it has room for them, and "
        "of 6 at least: one that cannot be so narrow becomes wider.",
    )  # fmt: skip
    _light_control(key)
    width = charts.COLUMNS[columns]
    picture, drawn = picture_stem(figure, columns), drawn_stem(figure)
    pictures = {
        "PNG": (f"{picture}.png", lambda: charts.png(figure.spec, width=width, about=about), "image/png"),
        "SVG": (f"{picture}.svg", lambda: charts.svg(figure.spec, width=width, about=about), "image/svg+xml"),
        "PDF": (f"{picture}.pdf", lambda: charts.pdf(figure.spec, width=width, about=about), "application/pdf"),
    }
    _buttons(key, pictures, "A picture for a paper, without frames around what is chosen; a PNG has 300 dots an inch.")
    if tables:
        numbers = {
            f"{name}.csv": (f"{figure.stem}_{name}.csv", make, "text/csv") for name, make in tables.items()
        }  # the name alone on the button, which a long one would not fit
        numbers["NPZ"] = (f"{figure.stem}.npz", functools.partial(figure_npz, figure), "application/octet-stream")
        _buttons(key, numbers, "The numbers of this picture: a table with nine digits, or all digits for numpy.")
    whole = {"HTML": (f"{drawn}.html", lambda: charts.html(figure.spec, about=about), "text/html")}
    if codes:
        whole["Python"] = (f"{drawn}.py", functools.partial(figure_script, figure), "text/x-python")
        whole["Notebook"] = (f"{drawn}.ipynb", functools.partial(figure_notebook, figure), "application/json")
    whole["Everything"] = (f"{drawn}.zip", functools.partial(figure_bundle, figure), "application/zip")
    _buttons(
        key, whole, "HTML: a page that draws this without any network and says numbers under the pointer. Python and "
        "Notebook: the lines that make it. Everything: all files at once, and the settings, which Home opens again.",
    )  # fmt: skip
    with st.expander("Link to this screen, and the figure in a page of yours"):
        st.code(about["Link"], language=None, wrap_lines=True)
        if address := st.context.url:
            framed = frame_code(address, _link(figure_place()[1]), key, about["Title"])
            st.caption("For a page of yours, in its HTML")
            st.code(framed, language="html", wrap_lines=True)


def _light_control(key):
    """Draw the switch for light figures, where they would be dark."""
    if (st.context.theme.type or "light") == "light":
        return
    name = f"{key}.light"
    st.session_state[name] = chosen_look().light

    def take():
        choose_look(light=st.session_state[name])

    st.toggle(
        "Light, as on paper", key=name, on_change=take,
        help="Figures on all pages are drawn in light colours, so that files of them are, too.",
    )  # fmt: skip


def _buttons(key, files, about):
    """Draw a row of buttons that each save a file: label -> its name, the function that makes it, its kind."""
    with st.container(horizontal=True, gap="small"):
        for label, (name, make, kind) in files.items():
            st.download_button(
                label, make, name, kind, key=f"{key}.{label}", on_click="ignore", type="tertiary", help=about,
                icon=":material/download:",
            )  # fmt: skip


def figure_facts(page, key, setup, link="", measured=None):
    """Return what a file says of its figure, by name.

    Parameters
    ----------
    page : str
        Its key in the menu.
    key : str
        Of the figure.
    setup
        What is chosen on the page.
    link : str
    measured : Measured, optional
        As in `attn.ui.page.page_figure`.

    Returns
    -------
    dict of str to str
        "Settings" are in the words of JSON, and `read_settings` reads them. Of a model whose weights were rounded
        for its file "Weights" says so, and so do the settings.
    """
    label = next(entry.label for entry in MENU if entry.page == page)
    named = {_NAMED[name]: value for name, value in _named(setup, measured).items()}
    settings = {"page": page, "figure": key, "choices": to_link(setup, longest=_LONGEST_SETTINGS, whole=True)[0]}
    note = {"weights": told} if (told := weights_note(named.get("Model", ""))) else {}
    title = ", ".join([label, *(f"{word.lower()} {named[word]}" for word in ("Layer", "Head") if word in named)])
    if measured:
        title, note = ", ".join([label, *measured.named]), note | {"measured": measured.facts}
    return {
        "Title": f"{title}: {named['Sentence']}" if "Sentence" in named else title,
        "Software": f"Attention Lab {__version__}",
        "Page": label,
        "Figure": key,
        **named,
        **{capital(name): text for name, text in note.items() if isinstance(text, str)},
        "Link": link,
        "Settings": json.dumps({"attention_lab": __version__} | settings | note, ensure_ascii=False),
    }


def file_stem(page, key, setup, measured=None):
    """Return the name of a figure's files without ending: page, figure, model, layer, head, sentence, version.

    Of a figure that says itself what it measured that stands in place of layer, head and sentence, before the model.
    """
    parts = [page, *(part for part in key.split(".") if part != page), *(measured.named if measured else ())]
    for name, value in _named(setup, measured).items():
        value = value.rsplit("/", 1)[-1] if name == "model" else value[:_WORDS]
        short = re.sub(r"[^\w.]+", "-", value).strip("-.")
        parts.append(short if name in ("model", "text") else f"{name}-{short}")
    return "_".join(filter(None, [*(re.sub(r"[^\w.-]+", "-", part).strip("-") for part in parts), __version__]))


def drawn_stem(figure):
    """Return the name, without ending, of a figure's files that are in its colours: it says whether it is dark."""
    return f"{figure.stem}_{'dark' if _is_dark(figure) else 'light'}"


def picture_stem(figure, columns):
    """Return the name of a figure's picture without ending.

    Parameters
    ----------
    figure : Figure
    columns : str
        One of `attn.charts.COLUMNS`: how wide it is on paper. The name says it and whether the picture is dark, so that
        no other takes its place in a folder.
    """
    width = f"{columns}-column{'s' * (columns != 'one')}"
    return drawn_stem(figure._replace(stem=f"{figure.stem}_{width}"))


def _is_dark(figure):
    """Return whether a figure is drawn in the colours of a dark screen."""
    return figure.spec["config"]["background"] == charts.DARK.background


def _named(setup, measured=None):
    """Return the choices that files name, as far as a page has them; its `about` says what a choice does not."""
    said = {name: getattr(setup, name, "") for name in _NAMED} | getattr(setup, "about", {})
    names = ("model",) if measured else _NAMED
    return {name: str(said[name]) for name in names if said[name] != ""}


def frame_code(address, shown, key, title):
    """Return the HTML that shows one figure in another page, as wide as there is room.

    Parameters
    ----------
    address : str
        Of the page, without its query.
    shown : dict of str to str
        The query.
    key : str
        Of the figure.
    title : str
        For those who do not see it.
    """
    shown = {name: value for name, value in shown.items() if name not in LOOK or name in ("large", "light")}
    query = urlencode(shown | {"embed": "true", EMBED: key}).replace("&", "&amp;")
    title = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return (
        f'<iframe src="{address}?{query}" title="{title}" width="100%" height="{_EMBED_HEIGHT}" '
        'style="border: 0"></iframe>'
    )


def figure_npz(figure):
    """Return the numbers of a figure as a file of numpy."""
    return charts.npz({name: make() for name, make in figure.tables.items()}, figure.about["Settings"])


def figure_script(figure):
    """Return the lines that make a figure, under what it is and what they need."""
    about = (figure.about["Title"], figure.about["Link"], figure.about.get("Weights", ""), _NEEDS)
    return "".join(f"# {_one_line(line)}\n" for line in filter(None, about)) + f"\n{_drawing_lines(figure)}"


def _one_line(text):
    """Return a text without line breaks."""
    return " ".join(text.split())


def figure_notebook(figure):
    """Return a Jupyter notebook that makes the same numbers and the same picture.

    Returns
    -------
    str
        In notebook format 4.
    """
    import nbformat

    v4, codes, about = nbformat.v4, figure.codes(), figure.about
    told = "\n".join(
        f"- {name}: {_one_line(text)}" for name, text in about.items() if name not in ("Title", "Settings")
    )
    install = f"The lines need `{INSTALL}` once, in the folder of Attention Lab."
    cells = [v4.new_markdown_cell(f"# {_one_line(about['Title'])}\n\n{told}\n\n{install}")]
    for heading, make in (("The numbers from scratch", codes.numpy), ("The same with `attn`", codes.attn)):
        if make:
            cells += [v4.new_markdown_cell(f"## {heading}"), v4.new_code_cell(make())]
    cells += [v4.new_markdown_cell("## The picture"), v4.new_code_cell(_drawing_lines(figure, display=True))]
    for at, cell in enumerate(cells):
        cell["id"] = f"cell-{at}"  # the same each time
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.writes(v4.new_notebook(cells=cells, metadata=kernel))


def _drawing_lines(figure, display=False):
    """Return the lines that draw a figure as all its files show it: in its colours, without what is only chosen.

    Parameters
    ----------
    figure : Figure
    display : bool, default False
        Whether they show in a notebook what they would save.
    """
    lines = in_theme(figure.codes().draw(), charts.DARK if _is_dark(figure) else charts.LIGHT)
    calls = [node for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Call)]
    for call in reversed(calls):  # from the end, so that places before it stay
        if ast.unparse(call.func) == "charts.save":
            saved, drawn = (ast.get_source_segment(lines, part) for part in (call, call.args[0]))
            shown = f"charts.without_selection({drawn})"
            lines = lines.replace(saved, f"display({shown})" if display else saved.replace(drawn, shown, 1))
    return lines


def figure_bundle(figure):
    """Return all files of a figure and its settings as one ZIP file, which `read_settings` reads."""
    spec, stem, about, drawn = figure.spec, figure.stem, figure.about, drawn_stem(figure)
    files = {SETTINGS: about["Settings"], "link.txt": about["Link"]}
    for name, width in charts.COLUMNS.items():
        for ending, make in (("png", charts.png), ("svg", charts.svg), ("pdf", charts.pdf)):
            files[f"{picture_stem(figure, name)}.{ending}"] = make(spec, width=width, about=about)
    files[f"{drawn}.html"] = charts.html(spec, about=about)
    files |= {f"{stem}_{name}.csv": make() for name, make in figure.tables.items()}
    if figure.tables:
        files[f"{stem}.npz"] = figure_npz(figure)
    if figure.codes:
        files |= {f"{drawn}.py": figure_script(figure), f"{drawn}.ipynb": figure_notebook(figure)}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return held.getvalue()


def read_settings(content):
    """Read which page a bundle was taken from, and what was chosen there.

    Parameters
    ----------
    content : bytes
        Of a ZIP file that `figure_bundle` made, or of the settings in it.

    Returns
    -------
    page : str
    choices : dict of str to str
        As a link spells them.

    Raises
    ------
    ValueError
        If it is something else.
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as bundle, bundle.open(SETTINGS) as file:
                content = file.read(_LONGEST_SETTINGS + 1)  # whatever size it claims
        if len(content) > _LONGEST_SETTINGS:
            raise ValueError
        said = json.loads(content)
        page, choices = said["page"], said["choices"]
        pages = [entry.page for entry in MENU]
        if page not in pages or not all(isinstance(part, str) for pair in choices.items() for part in pair):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, NotImplementedError, RuntimeError,
            EOFError, OSError, zipfile.BadZipFile) as error:  # fmt: skip
        raise ValueError(
            f"a bundle must be the ZIP file that “Everything” saves, or its {SETTINGS}, got another file"
        ) from error
    return page, choices


def bundle_control():
    """Draw where a bundle is opened again, and open its page."""
    settings = visitor_settings()
    if not settings.uploads:
        return
    file = st.file_uploader(
        "Open what you took away", ["zip", "json"], key="bundle",
        max_upload_size=math.ceil(settings.upload_size / MEGABYTE),
        help="The file that “Everything” saves in the menu “Take it away” of any figure: its page opens with all that "
        "was chosen, a long text too.",
    )  # fmt: skip
    if file is None:
        return
    try:
        page, choices = read_settings(file.getvalue())
    except ValueError as error:
        st.error(f"{capital(str(error))}.")
        return
    opened_settings(page, choices)
    st.switch_page(next(entry.script for entry in MENU if entry.page == page))
