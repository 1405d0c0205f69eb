"""The menu "Take it away" in a browser: all of it opened again, a page without a network, a figure in a frame."""

import zipfile

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from playwright.sync_api import expect  # noqa: E402
from serving import FIGURE, settled, taken_away  # noqa: E402

LINK = "heads?source=worked&mask=causal&head=3"


def test_all_is_taken_away_and_opened_again_and_drawn_without_a_network(tab, server, chromium, tmp_path):
    tab.goto(f"{server}/{LINK}")
    settled(tab, 2)
    bundle = tmp_path / "all.zip"
    bundle.write_bytes(taken_away(tab, "Everything").read_bytes())
    tab.goto(server)
    settled(tab)
    tab.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(bundle)
    expect(tab.get_by_role("heading", name="What do several heads see at once?")).to_be_visible()
    settled(tab, 2)
    tab.wait_for_function("location.search.includes('head=3') && location.search.includes('mask=causal')")
    with zipfile.ZipFile(bundle) as held:
        name = next(name for name in held.namelist() if name.endswith(".html"))
        (tmp_path / "figure.html").write_bytes(held.read(name))
    alone = chromium.new_context(offline=True)
    file, asked = alone.new_page(), []
    file.on("request", lambda request: asked.append(request.url))
    file.goto(f"file://{tmp_path}/figure.html")
    file.locator("#figure svg [aria-roledescription='rect mark'][aria-label*='weight']").first.hover(force=True)
    expect(file.locator("#vg-tooltip-element")).to_contain_text("1 Life")
    assert file.title() == "Heads, head 3: Life is short, eat dessert first."
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    drawn = file.locator("#figure svg")
    whole = drawn.bounding_box()["width"]
    for window, across in ((0.9 * whole, 0.9 * whole - 32), (0.2 * whole, 11 / 14 * whole)):  # 32 pixels of margin
        file.set_viewport_size({"width": int(window), "height": 500})
        assert drawn.bounding_box()["width"] == pytest.approx(across, abs=2)
        assert file.evaluate("document.documentElement.scrollWidth <= innerWidth")
    alone.close()


@pytest.mark.parametrize(("link", "figure"), [(LINK, "heads.grid"), (f"{LINK}&tab=one", "heads.one")])
def test_a_figure_stands_alone_in_a_frame(tab, server, link, figure):
    tab.goto(f"{server}/{link}&embed=true&embed_figure={figure}")
    settled(tab)
    around = [tab.get_by_test_id("stSidebar"), tab.get_by_role("heading"), tab.get_by_role("button")]
    seen = [one for kind in around for one in kind.all() if one.is_visible()]
    assert seen == []
    shown = [one for one in tab.locator(FIGURE).all() if one.is_visible()]
    assert len(shown) == 1
    assert shown[0].bounding_box()["y"] < 60


def test_a_frame_says_that_the_page_has_no_such_figure(tab, server):
    tab.goto(f"{server}/{LINK}&embed=true&embed_figure=heads.nothing")
    expect(tab.get_by_text("This page shows no figure heads.nothing")).to_be_visible()
