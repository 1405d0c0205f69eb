"""No address that a link, a text or the name of a model brings can be clicked, and each is shown letter by letter.

What else can be clicked and leads away are the sources that a page names.
"""

from urllib.parse import urlencode

import pytest
from driving import PAGES
from setups import SETUPS, fields

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from serving import settled  # noqa: E402

from attn.ui.sources import SOURCES  # noqa: E402

OURS = {publication.address for publication in SOURCES.values()}

FOREIGN = ("https://foreign.example/a", "www.foreign.example", "mailto:a@foreign.example", "b@foreign.example")
TEXTS = {"text", "second", "typed", "scores", "pair", "numbers", "sentence", "caption"}
SHOWING = {  # what else a link says so that a page shows the text
    "step_by_step": {"source": "random"},
    "masks": {"source": "random", "mask": "window"},
    "heads": {"source": "random"},
    "block": {"source": "random"},
    "memory": {"tab": "point"},
    "pretrained": {"special": "1"},
}


def hostile_links(page):
    """Yield links of a page whose every word of a visitor's own is an address: names, values and texts."""
    texts = {name: " ".join(FOREIGN) for name in fields(SETUPS[page]) if name in TEXTS}
    other = next(name for name in fields(SETUPS[page]) if name not in TEXTS | {"model", "tab", "source"})
    yield {other: FOREIGN[0], **dict.fromkeys(FOREIGN, "1")} | texts | SHOWING.get(page, {})
    if "model" in fields(SETUPS[page]):
        yield from ({"model": address} for address in (FOREIGN if page == "pretrained" else FOREIGN[:1]))


@pytest.mark.parametrize("name", PAGES)
def test_no_foreign_address_can_be_clicked(server, tab, name):
    live, unseen = [], []
    for link in hostile_links(name):
        tab.goto(f"{server}/{'' if name == 'home' else name}?{urlencode(link)}")
        settled(tab, figures=0)
        links = tab.locator("a[href]").evaluate_all("links => links.map((link) => link.href)")
        live += [href for href in links if not href.startswith(server) and href not in OURS]
        said = tab.locator("[data-testid=stMain]").inner_text()
        unseen += [each for each in FOREIGN if "model" not in link and each not in said]
    assert (live, unseen) == ([], [])
