"""A page that is open while its server dies goes on with the next one, from its link, and nobody has to touch it."""

import pytest
from serving import free_port, serve, settled

LINK = "source=random&text=The+cat+sat+on+the+mat&seed=7&num_heads=6&num_kv_heads=3&head=3"
CONNECTED = ".stApp[data-test-connection-state=CONNECTED]"
DRAWN = "[...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].map((svg) => svg.textContent)"


@pytest.mark.browser
def test_a_page_goes_on_when_its_server_was_killed(chromium):
    port = free_port()
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(60_000)
    with serve(port=port) as first:
        page.goto(f"{first.address}/heads?{LINK}")
        settled(page, 2)
        shown = page.url, page.evaluate(DRAWN)
        first.process.kill()
        page.wait_for_function(f"!document.querySelector('{CONNECTED}')")
    with serve(port=port):
        page.wait_for_selector(CONNECTED)
        settled(page, 2, rest=1000)
        assert (page.url, page.evaluate(DRAWN)) == shown
        with page.expect_download() as waiting:
            page.get_by_role("button", name="head_3_weights.csv", exact=False).first.click()
        rows = waiting.value.path().read_text(encoding="utf-8-sig").splitlines()
        assert len(rows) == 7
        assert "1 The" in rows[0]
    page.close()
