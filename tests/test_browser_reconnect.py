"""A page that is open while its server dies goes on with the next one, from its link, and nobody has to touch it."""

import pytest
from PIL import Image
from serving import free_port, serve, settled, taken_away

LINK = "source=random&text=The+cat+sat+on+the+mat&seed=7&num_heads=6&num_kv_heads=3&head=3"
YOURS = "A picture of yours is not in the link"
CONNECTED = ".stApp[data-test-connection-state=CONNECTED]"
DRAWN = "[...document.querySelectorAll('[data-testid=stVegaLiteChart] svg')].map((svg) => svg.textContent)"


@pytest.mark.browser
def test_two_tabs_go_on_each_with_its_own_when_their_server_was_killed(chromium):
    port = free_port()
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page, beside = context.new_page(), context.new_page()
    with serve(port=port) as first:
        page.goto(f"{first.address}/heads?{LINK}")
        beside.goto(f"{first.address}/heads?{LINK.replace('seed=7', 'seed=8')}")
        settled(page, 2)
        settled(beside, 2)
        shown = [(tab.url, tab.evaluate(DRAWN)) for tab in (page, beside)]
        assert shown[0] != shown[1]
        first.process.kill()
        for tab in (page, beside):
            tab.wait_for_function(f"!document.querySelector('{CONNECTED}')")
    with serve(port=port):
        for tab in (page, beside):
            tab.wait_for_selector(CONNECTED)
            settled(tab, 2, rest=1000)
        assert [(tab.url, tab.evaluate(DRAWN)) for tab in (page, beside)] == shown
        rows = taken_away(page, "head_3_weights.csv").read_text(encoding="utf-8-sig").splitlines()
        assert len(rows) == 7
        assert "1 The" in rows[0]
    context.close()


@pytest.mark.browser
def test_a_picture_that_went_with_its_server_is_asked_for_again(chromium, tmp_path):
    port, picture = free_port(), tmp_path / "teal.png"
    Image.new("RGB", (90, 60), "teal").save(picture)
    lost = "The connection was lost, and with it the picture that you gave: choose the file again."
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    with serve(port=port) as first:
        page.goto(f"{first.address}/memory?part=image")
        settled(page, 2)
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(picture)
        page.get_by_text(YOURS).wait_for()
        assert not page.get_by_text(lost).count()
        first.process.kill()
        page.wait_for_function(f"!document.querySelector('{CONNECTED}')")
    with serve(port=port):
        page.get_by_text(lost).wait_for()
        assert not page.get_by_text(YOURS).count()
        with page.expect_file_chooser() as chooser:  # as a visitor does: the same file once more
            page.get_by_test_id("stFileUploader").get_by_role("button").last.click()
        chooser.value.set_files(picture)
        page.get_by_text(YOURS).wait_for()
        assert not page.get_by_text(lost).count()
    context.close()
