"""Scores and Memory in a browser: vectors moved, scores and pixels chosen by clicks, a picture brought along."""

import io

import pytest

pytestmark = pytest.mark.browser
pytest.importorskip("playwright")

from PIL import Image  # noqa: E402
from playwright.sync_api import expect  # noqa: E402
from serving import FIGURE, settled  # noqa: E402
from test_browser import visit  # noqa: E402, F401  a fixture


def test_a_click_in_the_plane_moves_a_key_and_a_row_chooses_a_score(visit):  # noqa: F811
    page = visit.go("scores", "?moved=3", figures=2)
    first = page.locator(FIGURE).first.locator('[aria-label^="x: 3; y: 3; x2: 5; y2: 3;"]')  # key 1: 2 to the right
    box = first.bounding_box()
    unit = box["width"] / 2
    page.mouse.click(box["x"] - 2 * unit, box["y"] + box["height"] / 2 + unit)  # 2 to the left, 1 down
    visit.wait_for_link(keys="2,0;1,1;-2,-1")
    visit.click(0, 1)
    visit.wait_for_link(score="content")
    page.get_by_role("button", name="Add a key").click()
    visit.wait_for_link(keys="2,0;1,1;-2,-1;1.5,-1")
    expect(page.get_by_text("location has parameters for only 3 places")).to_be_visible()


def test_a_click_chooses_a_pixel_of_a_picture_that_was_brought_along(visit):  # noqa: F811
    page = visit.go("memory", "?part=image", figures=2)
    figure = page.locator(FIGURE).first.locator("svg, canvas").first
    box = figure.bounding_box()
    page.mouse.click(box["x"] + 200, box["y"] + 150)
    page.wait_for_url("**pixel=*")
    settled(page, 2)
    file = io.BytesIO()
    Image.new("RGB", (90, 60), "teal").save(file, format="PNG")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "teal.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    expect(page.get_by_text("A picture of yours is not in the link")).to_be_visible()
    settled(page, 2)
    expect(page.get_by_text("1,024 of 1,024")).to_be_visible()  # all pixels alike
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    expect(page.get_by_text("The file must be a picture")).to_be_visible()
