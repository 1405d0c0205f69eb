"""The pages on pretrained models with a model that sees instead of reading."""

import numpy as np
import pytest
from driving import check, matrices, opened
from test_pictures import saved

from attn import pretrained


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    saved("vit", folder)
    return str(folder)


@pytest.mark.parametrize("page", ["inside", "pretrained"])
def test_a_picture_takes_the_place_of_the_text(page, vit):
    app = check(opened(page, model=vit))
    assert app.selectbox(key=f"{page}.picture").value == "shapes"
    assert not app.text_area
    app.selectbox(key=f"{page}.picture").select("stripes").run()
    assert check(app).query_params["picture"] in ("stripes", ["stripes"])


def test_the_picture_is_drawn_with_what_a_patch_sees(vit):
    app = check(opened("inside", model=vit, layer="1", head="1", cell="4,3"), charts=3)
    (weights,) = matrices(app)["Layer 1, head 1"]
    assert weights.shape == (17, 17)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)


def test_back_to_a_model_that_reads(vit):
    app = check(opened("inside", model=vit))
    app.selectbox(key="inside.model").set_value(pretrained.DEFAULT).run()
    assert check(app).text_area(key="inside.text").value


def test_the_code_sees_the_same_picture(vit, tmp_path, monkeypatch):
    (code,) = check(opened("inside", model=vit, tab="Code", code="draw")).code
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "copied"}
    exec(code.value, namespace)
    assert {file.name for file in tmp_path.iterdir()} == {"heads.svg", "head.svg"}
    assert pretrained.patch_grid(namespace["recording"], namespace["layer"])[:2] == (4, 4)
