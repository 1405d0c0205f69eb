"""Pictures and texts read together: what stands in the text for a place in the picture, and which tower looks where."""

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained.families import tiny_models
from attn.pretrained.recording import registry
from attn.pretrained.recording.layer import Places
from attn.ui.word_level import word_level_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 32  # pixels of a picture of four by four patches


def tokenizer(*special):
    """Return a tokenizer of bytes with some special tokens of a family's own."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    model = tokenizers.Tokenizer(tokenizers.models.BPE({sign: id for id, sign in enumerate(alphabet)}, []))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<end>", pad_token="<pad>")
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
    recording = pretrained.record(pretrained.wrap(tiny.model), inputs=tiny.inputs)
    before = given_to_text(tiny.model, tiny.inputs)
    layer = next(layer for layer in recording.layers if layer.part == "text")
    grid = pretrained.patch_grid(recording, layer)
    pixels = tiny.inputs["pixel_values"]
    height, width = pixels.shape[-2] // grid.rows, pixels.shape[-1] // grid.columns
    for row, column in ((0, 0), (0, 1), (1, 0), (grid.rows - 1, grid.columns - 1)):
        changed = pixels.clone()
        changed[0][..., row * height : (row + 1) * height, column * width : (column + 1) * width] += 1
        after = given_to_text(tiny.model, tiny.inputs | {"pixel_values": changed})
        moved = np.flatnonzero((after - before).abs().amax(1) > 1e-6)
        assert moved.tolist() == [grid.keys[row * grid.columns + column]]
        assert layer.key_tokens[moved[0]].patch == (row, column, grid.rows, grid.columns)
