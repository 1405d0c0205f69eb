"""Pictures and texts read together: what stands in the text for a place in the picture, and which tower looks where."""

import copy
import importlib

import numpy as np
import pytest
from driving import check, matrices, opened, said

from attn import pretrained
from attn.data import pictures
from attn.pretrained import ModelError
from attn.pretrained.families import tiny_models
from attn.pretrained.recording import registry
from attn.pretrained.recording.layer import Places
from attn.ui import models
from attn.ui.controls.media_notes import media_notes
from attn.ui.word_level import word_level_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 32  # pixels of a picture of four by four patches


def tokenizer(*special, **named):
    """Return a tokenizer of bytes with some special tokens of a family's own, by name where it asks for them so."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.Tokenizer(tokenizers.models.BPE({sign: id for id, sign in enumerate(alphabet)}, []))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, eos_token="<end>", pad_token="<pad>", extra_special_tokens=named
    )
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def picture_processor():
    return transformers.models.clip.image_processing_pil_clip.CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )


def vision(**options):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return sizes | {"image_size": SIDE, "patch_size": 8} | options


def llava(mark, **options):
    """Return a tiny LLaVA whose vision tower has two layers, as its language model has."""
    torch.manual_seed(0)
    text = transformers.LlamaConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=32, max_position_embeddings=128, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision()), text_config=text, image_token_index=mark,
        vision_feature_layer=-1, **options,
    )  # fmt: skip
    return transformers.LlavaForConditionalGeneration(config).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Save a LLaVA with a tokenizer and an image processor, but with no processor that says how they go together."""
    path, reads = tmp_path_factory.mktemp("llava"), tokenizer("<image>")
    llava(reads.convert_tokens_to_ids("<image>")).save_pretrained(path)
    reads.save_pretrained(path)
    picture_processor().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def loaded(folder):
    return pretrained.load(folder)


def picture(height=50, width=70):
    return np.random.default_rng(5).random((height, width, 3))


def test_a_picture_and_a_question_are_read_in_one_pass(loaded):
    assert loaded.takes == "picture and text"
    recording = pretrained.record(loaded, "a cat", images=picture())
    assert len(recording.layers) == loaded.num_layers == 4
    assert [(layer.part, layer.kind, layer.block) for layer in recording.layers] == [
        ("vision", "encoder", 0),
        ("vision", "encoder", 1),
        ("text", "decoder", 0),
        ("text", "decoder", 1),
    ]
    assert max(each.largest for each in pretrained.compare(recording)) < 2e-6
    places = [f"{row}·{column}" for row in range(1, 5) for column in range(1, 5)]
    assert [token.text for token in recording.tokens] == [*places, "a", "␣", "c", "a", "t"]
    assert [token.text for token in recording.layers[0].key_tokens] == ["[0]", *places]
    assert recording.tokens == recording.layers[-1].key_tokens
    assert recording.tokens[6].patch == (1, 2, 4, 4)
    assert [token.picture for token in recording.tokens] == [0] * 16 + [None] * 5
    assert not any(token.special for token in recording.tokens)
    for layer, first in zip(recording.layers, (1, 1, 0, 0), strict=True):
        assert pretrained.patch_grid(recording, layer) == (4, 4, tuple(range(first, first + 16)))


def test_a_text_may_say_itself_where_the_picture_stands(loaded):
    recording = pretrained.record(loaded, "see <image>?", images=picture())
    assert [token.text for token in recording.tokens][3:6] == ["␣", "1·1", "1·2"]
    assert recording.tokens[-1].text == "?"


def test_a_text_alone_is_read_by_the_language_model_alone(loaded):
    recording = pretrained.record(loaded, "a cat")
    assert {layer.part for layer in recording.layers} == {"text"}


def test_several_pictures_are_told_apart(loaded):
    recording = pretrained.record(loaded, "a <image> b <image>", images=[picture(), picture(40, 40)])
    names = [token.text for token in recording.tokens if token.picture is not None]
    assert names[0] == "picture 1, 1·1"
    assert names[-1] == "picture 2, 4·4"
    at = [place for place, token in enumerate(recording.tokens) if token.picture == 1]
    assert pretrained.patch_grid(recording, recording.layers[-1], picture=1) == (4, 4, tuple(at))


def test_patches_stay_apart_where_words_are_put_together(loaded):
    recording = pretrained.record(loaded, "a cat <image>dog", images=picture())
    layer = recording.layers[-1]
    words = [word.text for word in layer.key_words if len(word.pieces) > 1]
    assert words == ["cat", "dog"]
    assert sum(len(word.pieces) == 1 for word in layer.key_words) == 16 + len(["a", "␣"])
    level, grid = word_level_of("words", layer.query_tokens, layer.key_tokens), pretrained.patch_grid(recording, layer)
    assert [level.columns[key].text for key in level.on_patches(grid).keys][:5] == ["1·1", "1·2", "1·3", "1·4", "2·1"]


def test_the_chat_template_asks_the_question(folder, tmp_path):
    template = (
        "{% for one in messages %}{{ one.role }}: {% for part in one.content %}"
        "{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}{% endfor %}!"
    )
    reads = tokenizer("<image>")
    reads.chat_template = template
    model = llava(reads.convert_tokens_to_ids("<image>"))
    processor = transformers.LlavaProcessor(
        picture_processor(), reads, patch_size=8, vision_feature_select_strategy="default", chat_template=template,
        num_additional_image_tokens=1,
    )  # fmt: skip
    with_processor = pretrained.wrap(model, processor=processor)
    without = pretrained.wrap(model, reads, image_processor=picture_processor())
    for loaded in (with_processor, without):
        recording = pretrained.record(loaded, "a cat", images=picture())
        read = "".join(token.text for token in recording.tokens if token.picture is None)
        assert read == "user:␣a␣cat!"
        assert len(recording.tokens) == len(read) + 16
    expected = processor(text="user: <image>a cat!", images=processor_picture(), return_tensors="pt")
    made = pretrained.image_inputs(with_processor, picture(), "a cat")
    for name in ("input_ids", "pixel_values"):
        np.testing.assert_array_equal(made[name], expected[name])


def processor_picture():
    from PIL import Image

    return Image.fromarray(np.rint(255 * picture()).astype(np.uint8))


class Unmixed:
    """Lets no place of a vision tower look at another, and keeps what a language model is given."""

    def __init__(self, model):
        self.places, self.given = Places(model), None

    def __call__(self, call):
        output, weights = registry.eager(call)
        if self.places.next(call, False).part == "vision":
            return torch.zeros_like(output), weights
        if self.given is None:
            self.given = call.hidden[0]
        return output, weights


def given_to_text(model, inputs):
    """Return what a language model is given for each token while its vision tower mixes nothing, (n, d)."""
    unmixed = Unmixed(model)
    with registry.handling(unmixed, model), torch.inference_mode():
        model(**inputs, use_cache=False)
    return unmixed.given


@pytest.mark.parametrize("family", ["llava", "vipllava", "aya_vision"])
def test_the_place_of_a_token_is_the_place_in_the_picture(family):
    """Change one patch of a picture: of the tokens of the text only that one changes that is named after its place."""
    tiny = tiny_models.tiny(family)
    inputs = {name: value[:1] for name, value in tiny.inputs.items()}
    recording = pretrained.record(pretrained.wrap(tiny.model), inputs=inputs)
    before = given_to_text(tiny.model, inputs)
    layer = next(layer for layer in recording.layers if layer.part == "text")
    grid = pretrained.patch_grid(recording, layer)
    pixels = inputs["pixel_values"]
    height, width = pixels.shape[-2] // grid.rows, pixels.shape[-1] // grid.columns
    for row, column in ((0, 0), (0, 1), (1, 0), (grid.rows - 1, grid.columns - 1)):
        changed = pixels.clone()
        changed[0][..., row * height : (row + 1) * height, column * width : (column + 1) * width] += 1
        after = given_to_text(tiny.model, inputs | {"pixel_values": changed})
        moved = np.flatnonzero((after - before).abs().amax(1) > 1e-6)
        assert moved.tolist() == [grid.keys[row * grid.columns + column]]
        assert layer.key_tokens[moved[0]].patch == (row, column, grid.rows, grid.columns)


def of_pillow(module, name, **options):
    """Return an image processor that wants no torchvision."""
    home = importlib.import_module(f"transformers.models.{module}.image_processing_pil_{module}")
    return getattr(home, f"{name}ImageProcessorPil")(**options)


def square(side):
    return {"height": side, "width": side}


TILES = {"size": square(56), "crop_to_patches": True, "min_patches": 1, "max_patches": 6}
FOLDERS = {  # family -> class of its processor, its image processor, its tokenizer's own tokens, its options, its mark
    "llava_next": (
        "LlavaNextProcessor",
        lambda: of_pillow("llava_next", "LlavaNext", size={"shortest_edge": 56}, crop_size=square(56),
                          image_grid_pinpoints=[[56, 112], [112, 56], [112, 112]]),
        {"image_token": "<image>"},
        {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}, "<image>",
    ),
    "qwen2_vl": (
        "Qwen2VLProcessor",
        lambda: of_pillow("qwen2_vl", "Qwen2VL", patch_size=14, merge_size=2,
                          size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 24}),
        {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}, {}, "<|image_pad|>",
    ),
    "qwen2_5_vl": (
        "Qwen2_5_VLProcessor",
        lambda: of_pillow("qwen2_vl", "Qwen2VL", patch_size=14, merge_size=2,
                          size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 24}),
        {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}, {}, "<|image_pad|>",
    ),
    "gemma3": (
        "Gemma3Processor",
        lambda: of_pillow("gemma3", "Gemma3", size=square(64), do_pan_and_scan=False),
        {"image_token": "<img>", "boi_token": "<begin>", "eoi_token": "<stop>"}, {"image_seq_length": 4}, "<img>",
    ),
    "idefics3": (
        "Idefics3Processor",
        lambda: of_pillow("idefics3", "Idefics3", size={"longest_edge": 256}, max_image_size={"longest_edge": 128}),
        {"image_token": "<image>"}, {"image_seq_len": 4}, "<image>",
    ),
    "internvl": (
        "InternVLProcessor", lambda: of_pillow("got_ocr2", "GotOcr2", **TILES),
        {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG>",
         "video_token": "<v>"},
        {"image_seq_length": 4}, "<IMG>",
    ),
    "aya_vision": (
        "AyaVisionProcessor", lambda: of_pillow("got_ocr2", "GotOcr2", **TILES),
        {"start_of_image": "<|START_OF_IMG|>", "patch": "<|IMG_PATCH|>", "whole": "TILE_GLOBAL", "image": "<image>"},
        {"patch_size": 14, "img_size": 56, "downsample_factor": 2}, "<|IMG_PATCH|>",
    ),
    "ovis2": (
        "Ovis2Processor", lambda: of_pillow("ovis2", "Ovis2", **TILES),
        {name: f"<IMG_{name.upper()}>" for name in ("atom", "start", "grid", "col", "row", "end")}
        | {"image": "<image>"},
        {"image_seq_length": 16}, "<IMG_ATOM>",
    ),
}  # fmt: skip


def with_processor(family):
    """Return a tiny model of a family with a processor as its checkpoints have it."""
    name, picture_processor, named, options, mark = FOLDERS[family]
    whole = getattr(transformers, name)
    without_films = [part for part in whole.get_attributes() if part != "video_processor"]
    made = type(name, (whole,), {"get_attributes": classmethod(lambda cls: without_films)})
    reads, model = tokenizer(**named), copy.deepcopy(tiny_models.tiny(family).model)
    torch.manual_seed(0)
    model.resize_token_embeddings(len(reads) + 40)
    processor = made(picture_processor(), reads, **options)
    id = reads.convert_tokens_to_ids(mark)
    for field in {"image_token_id", "image_token_index"} & {*vars(model.config)}:
        setattr(model.config, field, id)
    if hasattr(model.config, "image_grid_pinpoints"):
        model.config.image_grid_pinpoints = processor.image_processor.image_grid_pinpoints
    model.config.get_text_config().max_position_embeddings = 512
    return pretrained.wrap(model, processor=processor)


@pytest.mark.parametrize("merged", [1, 2])
def test_rows_of_pixtral_end_in_tokens_of_their_own(merged):
    """As PixtralProcessor lays them out, which wants torchvision: a break behind each row, an end behind the last."""
    reads = tokenizer("[IMG]", "[IMG_BREAK]", "[IMG_END]")
    mark, row_end, end = reads.convert_tokens_to_ids(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    tiny = tiny_models.tiny("mistral3").model
    config = copy.deepcopy(tiny.config)
    config.image_token_id, config.spatial_merge_size = mark, merged
    model = type(tiny)(config).eval()
    model.resize_token_embeddings(len(reads) + 40)
    side = model.config.vision_config.patch_size * merged
    seen = of_pillow("pixtral", "Pixtral", size={"longest_edge": 4 * side}, patch_size=side)
    loaded = pretrained.wrap(model, reads, image_processor=seen)
    recording = pretrained.record(loaded, "a", images=picture(2 * side, 3 * side))
    row = [mark] * 3 + [row_end]
    assert recording.inputs["input_ids"][0].tolist()[:8] == [*row, *row[:3], end]
    named = [token.text for token in recording.tokens]
    assert named == ["1·1", "1·2", "1·3", "[IMG_BREAK]", "2·1", "2·2", "2·3", "[IMG_END]", "a"]
    assert recording.tokens[5].patch == (1, 1, 2, 3)
    assert pretrained.input_finding(recording).holds is None  # there is nothing of transformers to hold it against


def test_patches_of_a_window_are_named_by_their_place_in_the_picture():
    """Some layers of Qwen 2.5's tower read windows, others all: one after another their patches are the same."""
    recording = pretrained.record(with_processor("qwen2_5_vl"), "a cat", images=np.full((120, 180, 3), 0.5))
    layers = {}
    for layer in recording.layers:
        if layer.part == "vision":
            layers.setdefault(layer.name, []).append(layer)
    whole = next(layers.pop(name)[0] for name in [*layers] if len(layers[name]) == 1)
    assert layers
    assert len({token.patch for token in whole.key_tokens}) == len(whole.key_tokens)
    assert [token.text for token in whole.key_tokens[12:18]] == ["1·7", "1·8", "2·7", "2·8", "3·1", "3·2"]  # 8 across
    assert whole.key_tokens[64].text == "1·9"  # where the second window begins
    for windows in layers.values():
        assert len(windows) > 1
        assert sum((window.key_tokens for window in windows), ()) == whole.key_tokens
        assert all(window.query_tokens == window.key_tokens for window in windows)


def test_a_processor_that_counts_other_patches_than_its_model_says_where_to_look():
    loaded = with_processor("llava_next")
    loaded.processor.patch_size = 28
    with pytest.raises(ModelError, match=r"do not match.*its processor counts them by the patch_size, vision_feature_"):
        pretrained.record(loaded, "a cat", images=picture())


@pytest.mark.parametrize("family", FOLDERS)
def test_what_a_processor_cuts_into_tiles_is_named_by_the_place_in_the_whole_picture(family):
    """Paint over one cell of the finest grid: of its tokens, the one that is named after the cell moves the most."""
    loaded = with_processor(family)
    seen = np.full((120, 180, 3), 0.5)
    recording = pretrained.record(loaded, "a cat", images=seen)
    assert pretrained.input_finding(recording).holds
    layer = next(layer for layer in recording.layers if layer.part == "text")
    grid = pretrained.patch_grid(recording, layer)
    assert grid.rows * grid.columns > 1
    before = given_to_text(loaded.model, pretrained.image_inputs(loaded, seen, "a cat"))
    for row, column in ((0, 0), (0, grid.columns - 1), (grid.rows - 1, 0), (grid.rows // 2, grid.columns // 2)):
        painted, height, width = seen.copy(), 120 / grid.rows, 180 / grid.columns
        rows = slice(round((row + 0.2) * height), round((row + 0.8) * height))
        painted[rows, round((column + 0.2) * width) : round((column + 0.8) * width)] = 1
        after = given_to_text(loaded.model, pretrained.image_inputs(loaded, painted, "a cat"))
        moved = np.asarray((after - before).abs().amax(1))[list(grid.keys)]
        assert grid.patch_of(grid.keys[int(moved.argmax())]) == (row, column)


TOWERS = {"clip": 17, "metaclip_2": 17, "chinese_clip": 17, "altclip": 17, "clipseg": 17, "siglip": 16}


@pytest.mark.parametrize("family", TOWERS)
def test_both_towers_are_recorded_in_one_pass_and_neither_takes_the_names_of_the_other(family):
    """Also of a text that has as many tokens as the picture has patches, the class token with it."""
    tiny = tiny_models.tiny(family)
    ids = tiny.inputs["input_ids"][:1].repeat(1, 3)[:, : TOWERS[family]]
    given = {"input_ids": ids, "pixel_values": tiny.inputs["pixel_values"][:1]}
    recording = pretrained.record(pretrained.wrap(tiny.model), inputs=given)
    assert {layer.part for layer in recording.layers} >= {"vision", "text"}
    for layer in recording.layers:
        if layer.part == "vision":
            assert pretrained.patch_grid(recording, layer)[:2] == (4, 4)
        elif layer.part == "text":
            assert [token.id for token in layer.key_tokens] == ids[0].tolist()
    assert max(each.largest for each in pretrained.compare(recording)) < 2e-6


@pytest.mark.parametrize("with_processor", [True, False])
def test_clip_reads_a_picture_and_a_text_side_by_side(with_processor):
    torch.manual_seed(0)
    text = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = transformers.CLIPConfig(
        text_config=text | {"num_attention_heads": 2, "max_position_embeddings": 20, "eos_token_id": 256},
        vision_config=vision(), projection_dim=8,
    )  # fmt: skip
    parts = {"tokenizer": tokenizer(), "image_processor": picture_processor()}
    if with_processor:
        parts = {"processor": transformers.CLIPProcessor(**parts)}
    loaded = pretrained.wrap(transformers.CLIPModel(config), **parts)
    assert loaded.takes == "picture and text"
    recording = pretrained.record(loaded, "a cat", images=picture())
    names = {layer.part: [token.text for token in layer.key_tokens] for layer in recording.layers}
    assert names["text"] == ["a", "␣", "c", "a", "t"]
    assert names["vision"][:3] == ["[0]", "1·1", "1·2"]
    assert [layer.block for layer in recording.layers] == [0, 1, 0, 1]
    assert pretrained.input_finding(recording).holds
    with pytest.raises(pretrained.ModelError, match="reads one text with a picture"):
        pretrained.record(loaded, "a cat", pair="a dog", images=picture())


def test_the_share_of_the_picture_is_the_weight_on_its_tokens(loaded):
    recording = pretrained.record(loaded, "a cat", images=picture())
    layer = recording.layers[-1]
    shares = pretrained.picture_share(layer, [1, 3])
    np.testing.assert_allclose(shares, layer.weights([1, 3])[0][:, :, :16].sum(-1), atol=1e-7)
    np.testing.assert_allclose(pretrained.picture_share(recording.layers[0]), 1, atol=1e-5)


def test_notes_say_whose_layers_are_whose(loaded):
    recording = pretrained.record(loaded, "a cat", images=picture())
    (note,) = media_notes(loaded, recording, recording.layers[0])
    assert note == "Layers 1 to 2 belong to the vision tower, 3 to 4 to the language model."
    assert media_notes(loaded, pretrained.record(loaded, "a cat"), recording.layers[0]) == []


@pytest.mark.parametrize("page", ["inside", "pretrained"])
def test_a_picture_stands_beside_the_text(page, folder):
    app = check(opened(page, model=str(folder), text="a cat", layer="4", head="1", cell="18,3"))
    assert app.selectbox(key=f"{page}.picture").value
    assert app.text_area(key=f"{page}.text").value == "a cat"
    assert any("belong to the vision tower" in each for each in said(app))
    app.selectbox(key=f"{page}.picture").select_index(1).run()
    check(app)


def test_a_words_look_is_drawn_over_the_picture_and_its_share_word_by_word(folder, loaded):
    app = check(opened("inside", model=str(folder), text="a cat", layer="4", head="1", cell="18,3"), charts=4)
    titles = [chart.proto.spec for chart in app.get("vega_lite_chart")]
    assert any("19 c looks in the picture" in spec for spec in titles)
    assert any("Share of the picture, word by word" in spec for spec in titles)


def test_the_share_on_the_picture_is_a_metric_where_a_picture_is(folder, loaded):
    app = check(opened("inside", model=str(folder), text="a cat", metric="picture_tokens", layer="4", head="2"))
    picture = app.selectbox(key="inside.picture").value
    recording = pretrained.record(loaded, "a cat", images=pictures.PICTURES[picture].draw(models.SIDE))
    expected = [pretrained.picture_share(layer)[:, 16:].mean(-1) for layer in recording.layers[2:]]
    (drawn,) = matrices(app)["Share on the picture"]
    np.testing.assert_allclose(drawn[2:], expected, atol=1e-6)
    assert np.isnan(drawn[:2]).all()  # the vision tower sees nothing else
    words = check(opened("inside", model=str(folder), text="a cat", metric="picture_tokens", level="words"))
    assert np.isfinite(matrices(words)["Share on the picture"][0][2:]).all()
    assert "Share on the picture" not in check(opened("inside", text="a cat")).selectbox(key="inside.metric").options


def test_the_same_words_are_read_without_the_picture(folder, loaded):
    app = check(opened("inside", model=str(folder), text="see <image>a cat", layer="4", head="1", cell="22,20"))
    app.toggle(key="inside.without_picture").set_value(True).run()
    assert check(app).query_params["without_picture"] in ("1", ["1"])
    alone = pretrained.record(loaded, "see a cat")
    assert [token.text for token in alone.tokens] == ["s", "e", "e", "␣", "a", "␣", "c", "a", "t"]
    seen = np.where(alone.layers[1].mask[0, 0], alone.layers[1].weights(0)[0, 0], np.nan)
    np.testing.assert_allclose(matrices(app)["Layer 2, head 1"][0], seen, atol=1e-6)
    assert app.query_params["layer"] in ("2", ["2"])  # the layer in view, which is now the second
    assert app.query_params["cell"] in ("6,4", ["6,4"])  # and the same words
    assert any(each.startswith("Read without the picture") for each in said(app))
    assert any("Agrees" in each.value for each in app.success)
    app.toggle(key="inside.without_picture").set_value(False).run()
    assert check(app).slider(key="inside.layer").value == 4
    assert app.query_params["cell"] in ("22,20", ["22,20"])


def test_without_the_picture_the_template_is_the_same(tmp_path):
    template = "{% for one in messages %}{% for part in one.content %}<{{ part.text or '' }}>{% endfor %}{% endfor %}!"
    reads = tokenizer("<image>")
    reads.chat_template = template
    model = pretrained.wrap(llava(reads.convert_tokens_to_ids("<image>")), reads, image_processor=picture_processor())
    assert pretrained.prompt_without_picture(model, "a <image>cat") == "<a cat>!"
    assert pretrained.prompt_without_picture(pretrained.load(), "a cat") is None
