"""What is taken away of a figure: each kind of file is opened, and holds what the screen shows."""

import csv
import io
import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import nbformat
import notebooks
import numpy as np
import pypdfium2
import pytest
from driving import check, opened, said, strokes
from PIL import Image
from setups import SETUPS

from attn import __version__, charts, masks, multi_head, pretrained
from attn.charts.outlines import SVG
from attn.data import examples
from attn.pretrained.loading import smollm2
from attn.ui import page as page_module
from attn.ui import take_away
from attn.ui.link import from_link, to_link
from attn.ui.shown_code import INSTALL, Codes

CHOSEN = {"source": "worked", "mask": "causal", "head": "3"}
MILLIMETRE = 72 / 25.4  # points


def gathered(monkeypatch, page, **choices):
    """Return what the files of each figure of a page are made of, by the key of the figure."""
    found = {}

    def gather(spec, key, *given):
        found[key] = take_away.gathered_figure(spec, key, *given)

    monkeypatch.setattr(page_module, "figure_menu", gather)
    check(opened(page, choices))
    return found


@pytest.fixture(scope="module")
def heads():
    """Return the first figure of Heads: four heads of the worked example, of which the third is chosen."""
    with pytest.MonkeyPatch.context() as patch:
        return gathered(patch, "heads", **CHOSEN)["heads.grid"]


@pytest.fixture(scope="module")
def worked():
    """Return the same heads by the core."""
    e = examples.worked_example()
    return multi_head.multi_head_attention(e.x, examples.worked_example_heads(), mask=masks.causal(6))


def ink(image):
    """Return the share of pixels that are not white."""
    return float((np.asarray(image.convert("RGB")).min(axis=2) < 250).mean())


def test_a_file_says_what_it_shows(heads):
    assert heads.stem == f"heads_grid_head-3_Life-is-short-eat-desse_{__version__}"
    assert heads.about["Title"] == "Heads, head 3: Life is short, eat dessert first."
    assert heads.about["Software"] == f"Attention Lab {__version__}"
    said = json.loads(heads.about["Settings"])
    whole = to_link(from_link(SETUPS["heads"], CHOSEN)[0], whole=True)[0]  # what is at its default, too
    assert whole.items() > CHOSEN.items()
    assert said == {"attention_lab": __version__, "page": "heads", "figure": "heads.grid", "choices": whole}


@pytest.mark.parametrize("width", charts.COLUMNS.values())
def test_svg_has_the_width_of_a_column_and_the_same_letters_everywhere(heads, width):
    root = ElementTree.fromstring(charts.svg(heads.spec, width=width, about=heads.about))
    assert 0.5 * width < float(root.get("width").removesuffix("mm")) <= width + 1e-3
    assert root.find(f"{{{SVG}}}title").text == heads.about["Title"]
    assert json.loads(root.find(f"{{{SVG}}}metadata").text) == heads.about
    assert list(root.iter(f"{{{SVG}}}text")) == []
    assert len(list(root.iter(f"{{{SVG}}}use"))) > 100  # letters


def test_png_has_300_dots_an_inch(heads):
    picture = Image.open(io.BytesIO(charts.png(heads.spec, width=85, about=heads.about)))
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert picture.width == pytest.approx(85 / 25.4 * 300, abs=2)
    assert picture.text == heads.about
    assert ink(picture) > 0.05


def test_pdf_shows_the_cells_where_the_svg_has_them(heads):
    document = pypdfium2.PdfDocument(charts.pdf(heads.spec, width=175, about=heads.about))
    assert document.get_metadata_dict()["Title"] == heads.about["Title"]
    assert "Page: Heads" in document.get_metadata_dict()["Subject"]
    page = document[0]
    assert len(document) == 1
    assert page.get_width() <= 175 * MILLIMETRE + 0.1
    assert "Life" in page.get_textpage().get_text_range()  # fonts are in the file, and words are words
    drawn = page.render(scale=2).to_pil()
    alike = Image.open(io.BytesIO(charts.png(heads.spec, width=175))).resize(drawn.size)
    dark, same = (np.asarray(image.convert("L")) < 150 for image in (drawn, alike))
    assert dark.mean() > 0.01
    assert (dark != same).mean() < 0.01


def test_frames_of_what_is_chosen_are_not_in_files(monkeypatch):
    frames = re.compile(f'stroke="{charts.LIGHT.text}" stroke-width="3"')
    drawn = []
    monkeypatch.setattr(page_module, "figure_menu", lambda spec, *_: drawn.append(spec))
    check(opened("heads", CHOSEN))
    assert frames.search(charts.svg(drawn[0]).decode())
    assert not frames.search(charts.svg(charts.without_selection(drawn[0])).decode())


def test_a_space_has_a_sign_that_no_font_must_hold():
    figure = charts.beside(charts.bars([1.0, 2.0], ["␣the", "日本"], charts.LIGHT))
    root = ElementTree.fromstring(charts.svg(figure, width=85))
    assert root.find(f".//{{{SVG}}}path[@id='r2423']") is not None
    assert [text.text for text in root.iter(f"{{{SVG}}}text")] == ["日本"]  # not outlined: the reader's own font


def test_numbers_are_those_of_the_core(heads, worked):
    held = np.load(io.BytesIO(take_away.figure_npz(heads)), allow_pickle=False)
    np.testing.assert_array_equal(held["head_3_weights"], worked.weights[2])
    assert held["head_3_weights.rows"].tolist() == charts.token_labels(examples.worked_example().tokens)
    assert held["settings"].item() == heads.about["Settings"]
    (text,) = (make() for make in heads.tables.values())
    rows = list(csv.reader(io.StringIO(text)))[1:]
    np.testing.assert_allclose([[float(cell) for cell in row[1:]] for row in rows], worked.weights[2], rtol=1e-8)


def test_hidden_numbers_are_told_apart_and_words_stay_words():
    mask = np.array([[False, True], [False, False]])
    held = np.load(io.BytesIO(charts.npz({
        "scores": charts.csv(np.float32([[0.1, 7], [2, 3]]), ["a", "b"], ["c", "d"], mask),
        "written": "step,word\n1,cat\n",
    })))  # fmt: skip
    assert held["scores"].dtype == np.float32
    assert held["scores.hidden"].tolist() == mask.tolist()
    assert held["written"].tolist() == [["cat"]]


def test_a_notebook_makes_the_same_numbers_and_the_same_picture(heads, worked, capsys):
    notebook = nbformat.reads(take_away.figure_notebook(heads), as_version=4)
    nbformat.validate(notebook)
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            names = {"display": shown.append}
            exec(cell.source, names)
            if "weights" in names:  # from scratch
                np.testing.assert_allclose(names["weights"], worked.weights, atol=1e-6)
    (picture,) = shown
    assert strokes(charts.svg(picture).decode()) == strokes(charts.svg(heads.spec).decode())
    assert heads.about["Title"] in notebook.cells[0].source


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_script_says_what_it_needs_and_draws_what_the_other_files_show(theme, monkeypatch, tmp_path):
    around = charts.theme_named(theme)
    monkeypatch.setattr(charts, "theme_named", lambda _: around)
    figure = gathered(monkeypatch, "heads", **CHOSEN)["heads.grid"]
    assert figure.spec["config"]["background"] == around.background
    script = take_away.figure_script(figure)
    assert f"# Needs {INSTALL} once" in script
    monkeypatch.chdir(tmp_path)
    exec(script, {})
    (drawn,) = tmp_path.iterdir()
    assert strokes(drawn.read_text(encoding="utf-8")) == strokes(charts.svg(figure.spec).decode())


def test_a_bundle_holds_all_and_opens_the_page_again(heads):
    bundle = take_away.figure_bundle(heads)
    with zipfile.ZipFile(io.BytesIO(bundle)) as held:
        endings = sorted(name.rpartition(".")[2] for name in held.namelist())
    assert endings == sorted(
        ["json", "txt", "png", "png", "svg", "svg", "pdf", "pdf", "html", "csv", "npz", "py", "ipynb"]
    )
    page, choices = take_away.read_settings(bundle)
    assert (page, from_link(SETUPS[page], choices)) == ("heads", from_link(SETUPS["heads"], CHOSEN))


@pytest.mark.parametrize(("model", "note"), [(smollm2.NAME, smollm2.NOTE), (pretrained.DEFAULT, "")])
def test_a_file_says_that_the_weights_of_its_model_were_rounded(model, note):
    if note and not (smollm2.packaged() or smollm2.cached()):
        pytest.skip("no SmolLM2 here")
    setup = from_link(SETUPS["next_word"], {"model": model, "layer": "3"})[0]
    about = take_away.figure_facts("next_word", "next_word.weights", setup, "http://localhost/")
    assert about.get("Weights", "") == json.loads(about["Settings"]).get("weights", "") == note
    assert take_away.read_settings(about["Settings"].encode())[0] == "next_word"
    codes = Codes(draw=lambda: "charts.save(picture, 'x.svg')", attn=lambda: "1")
    spec = {"config": {"background": charts.LIGHT.background}}
    figure = take_away.Figure(spec, "next_word", about, {"one": lambda: "a,b\r\n1,2\r\n"}, lambda: codes)
    assert (f"# {smollm2.NOTE}\n" in take_away.figure_script(figure)) == bool(note)
    assert (smollm2.NOTE in take_away.figure_notebook(figure)) == bool(note)
    with np.load(io.BytesIO(take_away.figure_npz(figure))) as held:
        assert json.loads(held["settings"].item()).get("weights", "") == note


def test_files_of_a_patch_say_what_was_measured(monkeypatch):
    figure = gathered(monkeypatch, "why", tab="patch")["why.patch"]
    version = figure.stem.rsplit("_", 1)[1]
    assert figure.stem == (f"why_patch_residual_The-animal-didn-t-cross_tired.-for-wide._all-MiniLM-L6-v2_{version}")
    assert not {"Layer", "Head", "Sentence"} & figure.about.keys()
    facts = json.loads(figure.about["Settings"])["measured"]
    tired, wide = (f"The animal didn't cross the street because it was too {word}." for word in ("tired", "wide"))
    assert (facts["run"], facts["step_taken_from"], facts["direction"]) == (wide, tired, "denoising")
    assert (facts["state_of"], facts["run_measures"]) == ("11 it", 0)
    assert facts["step_taken_from_measures"] == pytest.approx(1)
    with np.load(io.BytesIO(take_away.figure_npz(figure))) as held:
        first = held["shares"][0]
        assert np.isnan(first).tolist() == held["shares.hidden"][0].tolist() == [at != 13 for at in range(16)]
        assert dict(zip(held["measured.rows"], held["measured"][:, 0], strict=True))["step"] == "residual"


def test_a_bundle_keeps_a_text_too_long_for_a_link(monkeypatch):
    text = "every word of it " * 300
    figures = gathered(monkeypatch, "masks", source="random", text=text)
    figure = next(figure for key, figure in figures.items() if key.startswith("masks.picture"))
    page, choices = take_away.read_settings(figure.about["Settings"].encode())
    assert choices["text"] == text
    app = opened(page)
    app.session_state["page.opened"] = page, choices
    check(app.run())
    assert app.text_area[0].value == text
    assert any("Too long for a link" in sentence for sentence in said(app))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no file", b"[]", b"{}", b'{"page": "heads"}', b'{"page": "nowhere", "choices": {}}',
        b'{"page": "heads", "choices": {"head": 3}}', b'{"page": "heads", "choices": "head"}', b"[" * 100_000,
        b'{"page": "heads", "choices": {}}' + b" " * 3_000_000, b"PK\x05\x06" + b"\0" * 18,
    ],
)  # fmt: skip
def test_another_file_is_refused_in_one_sentence(content):
    with pytest.raises(ValueError, match=r"^a bundle must be the ZIP file that “Everything” saves, or its settings"):
        take_away.read_settings(content)


def test_a_bundle_that_unpacks_to_much_is_refused():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(take_away.SETTINGS, b'{"page": "heads", "choices": {}}' + b" " * 50_000_000)
    with pytest.raises(ValueError, match=r"^a bundle must be"):
        take_away.read_settings(held.getvalue())


def test_a_closed_menu_makes_nothing_and_an_open_one_offers_all():
    app = check(opened("heads", CHOSEN))
    assert len(app.get("download_button")) == 0
    app.session_state["heads.grid.away"] = True
    labels = [button.proto.label for button in check(app.run()).get("download_button")]
    assert labels == [
        "PNG", "SVG", "PDF", "head_3_weights.csv", "NPZ", "HTML", "Python", "Notebook", "Everything",
    ]  # fmt: skip


def test_names_of_pictures_say_width_and_colours_so_that_none_takes_the_place_of_another(heads):
    dark = heads._replace(spec=heads.spec | {"config": heads.spec["config"] | {"background": charts.DARK.background}})
    names = [take_away.picture_stem(one, columns) for one in (heads, dark) for columns in charts.COLUMNS]
    assert [name.removeprefix(heads.stem) for name in names] == [
        "_one-column_light", "_two-columns_light", "_one-column_dark", "_two-columns_dark",
    ]  # fmt: skip
    assert take_away.drawn_stem(dark) == f"{heads.stem}_dark"


def test_words_in_a_figure_end_no_script():
    spec = charts.specification(charts.bars([1.0], ["</script><b>"], charts.LIGHT))
    page = charts.html(spec, about={"Title": "</title><b>"}).decode()
    assert "</script><b>" not in page
    assert "<title>&lt;/title&gt;&lt;b&gt;</title>" in page


def test_the_example_notebook_shows_what_it_holds():
    notebook = nbformat.read(notebooks.FILE, as_version=4)
    kept = [output.data["image/svg+xml"] for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [value._repr_mimebundle_() for value in notebooks.run(notebook)]
    assert [list(one) for one in shown] == [["image/svg+xml"]] * 3  # which needs neither a network nor scripts
    assert [strokes(one["image/svg+xml"]) for one in shown] == [strokes(one) for one in kept]


def test_figures_need_no_more_than_an_array():
    weights = np.array([[1.0, 0.0], [0.5, 0.5]])
    alone, named = charts.heatmap(weights), charts.heatmap(weights, ["1", "2"], ["1", "2"], charts.LIGHT)
    assert strokes(charts.svg(alone).decode()) == strokes(charts.svg(named).decode())
    wide = charts.heatmap(np.ones((2, 3)), ["1", "2"], ["1", "2", "3"])
    assert charts.specification(charts.heatmap(np.ones((2, 3)))) == charts.specification(wide)
    with pytest.raises(ValueError, match=r"^values must have 2 axes, got shape \(3,\)$"):
        charts.heatmap(np.ones(3))


def pixels(file):
    """Return what a PNG or PDF file shows."""
    if file.startswith(b"%PDF"):
        return np.asarray(pypdfium2.PdfDocument(file)[0].render(scale=2).to_pil())
    return np.asarray(Image.open(io.BytesIO(file)))


def test_files_are_whole_while_others_draw_and_save(heads):
    def one():
        sized = {"width": 85, "about": heads.about}
        return [make(heads.spec, **sized) for make in (charts.png, charts.pdf)], charts.svg(heads.spec, **sized)

    alone, drawn = one()
    with ThreadPoolExecutor(3) as visitors:
        others = [visitors.submit(charts.svg, charts.heatmap(np.eye(5))) for _ in range(4)]
        files = [future.result() for future in [visitors.submit(one) for _ in range(3)]]
        assert all(b"</svg>" in other.result() for other in others)
    for pictures, again in files:
        assert strokes(again.decode()) == strokes(drawn.decode())
        for picture, first in zip(pictures, alone, strict=True):
            np.testing.assert_array_equal(pixels(picture), pixels(first))


@pytest.mark.parametrize("page", ["why", "heads"])
def test_a_link_to_take_away_says_what_is_at_its_default_too(page, monkeypatch):
    """So that it opens the same when defaults are others."""
    found = gathered(monkeypatch, page)
    link = dict(parse_qsl(next(iter(found.values())).about["Link"].removeprefix("?"), keep_blank_values=True))
    whole = to_link(SETUPS[page](), whole=True)[0]
    assert link == whole
    assert len(link) > 5
    if page == "why":
        assert (link["layer"], link["head"], link["cell"]) == ("4", "2", "11.3")
    assert from_link(SETUPS[page], link) == (SETUPS[page](), [])
