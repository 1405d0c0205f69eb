"""Fine-tuned classifiers: what they say of a text, of its tokens and of an answer is what transformers makes of it."""

import inspect

import numpy as np
import pytest

from attn import pretrained
from attn.pretrained.intervention import classification
from attn.pretrained.intervention.changes import Changes
from attn.pretrained.intervention.classification import (
    answer,
    answer_ends,
    answer_probability_of,
    class_names,
    class_score_of,
    class_scores,
    score_kind,
    word_classes,
)
from attn.pretrained.intervention.head_ablation import ablate_heads
from attn.pretrained.intervention.prediction import compare_runs
from attn.pretrained.intervention.run import output_gap, run

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TEXT, PAIR = "The xylophonist film was great", "I liked it very much"
NAMES = {0: "awful", 1: "fair", 2: "great"}
SMALL = {"hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 3}
SHORT = {"d_model": 24, "num_layers": 2, "num_heads": 3, "d_kv": 8, "d_ff": 37, "pad_token_id": 0, "eos_token_id": 102,
         "decoder_start_token_id": 0}  # fmt: skip
BART = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in
        {"layers": 2, "attention_heads": 3, "ffn_dim": 37}.items()}  # fmt: skip
BART |= {"d_model": 24, "pad_token_id": 0, "bos_token_id": 101, "eos_token_id": 102, "decoder_start_token_id": 102}
CONFIGS = {
    "Bert": SMALL | {"pad_token_id": 0},
    "DistilBert": {"dim": 24, "hidden_dim": 37, "n_layers": 2, "n_heads": 3, "pad_token_id": 0},
    "Roberta": SMALL | {"pad_token_id": 0},
    "Electra": SMALL | {"embedding_size": 24, "pad_token_id": 0},
    "Albert": SMALL | {"embedding_size": 24, "pad_token_id": 0},
    "ModernBert": SMALL
    | {"pad_token_id": 0, "cls_token_id": 101, "sep_token_id": 102, "global_attn_every_n_layers": 1},
    "GPT2": {"n_embd": 24, "n_layer": 2, "n_head": 3, "bos_token_id": 101, "eos_token_id": 102},
    "Llama": SMALL | {"num_key_value_heads": 1, "pad_token_id": 0, "eos_token_id": 102},
    "Bart": BART,
    "T5": SHORT,
}
TASKS = {"SequenceClassification": "text", "TokenClassification": "tokens", "QuestionAnswering": "answer"}
FAMILIES = [(family, head) for family in CONFIGS for head in TASKS if (family, head) != ("Bart", "TokenClassification")]


@pytest.fixture(scope="module")
def tokenizer():
    return pretrained.load().tokenizer


@pytest.fixture(scope="module")
def made(tokenizer, tmp_path_factory):
    """Return a loader of tiny classifiers with random weights, saved as a Trainer saves them."""
    root, known = tmp_path_factory.mktemp("classifiers"), {}

    def load(family, head, **config):
        key = (family, head, str(config))
        if key not in known:
            torch.manual_seed(1)
            kind = getattr(transformers, f"{family}For{head}")
            if head != "QuestionAnswering":
                config = {"id2label": NAMES} | config
            model = kind(kind.config_class(vocab_size=30522, **CONFIGS[family] | config))
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.ndim >= 2:
                        parameter.normal_(0, 1 if "embed" in name else 0.25)
            folder = root / str(len(known))
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            known[key] = folder
        return pretrained.load(known[key])

    return load


def own(loaded, *texts):
    """Return what the model says by itself, of the texts as its tokenizer makes them."""
    encoded = loaded.tokenizer(*texts, return_tensors="pt")
    accepted = inspect.signature(loaded.model.forward).parameters
    with torch.inference_mode():
        return loaded.model(**{name: ids for name, ids in encoded.items() if name in accepted})


@pytest.mark.parametrize("pair", [None, PAIR])
@pytest.mark.parametrize(("family", "head"), FAMILIES)
def test_classes_are_those_of_transformers(made, family, head, pair):
    loaded = made(family, head)
    texts = (TEXT,) if pair is None else (TEXT, pair)
    assert (loaded.task, loaded.predicts_words, loaded.weights.missing) == (TASKS[head], False, ())
    plain, said = run(loaded, TEXT, pair=pair), own(loaded, *texts)
    assert output_gap(loaded, TEXT, pair=pair) < 1e-4
    if head == "QuestionAnswering":
        for ours, theirs in zip(answer_ends(plain), (said.start_logits, said.end_logits), strict=True):
            np.testing.assert_allclose(ours, theirs[0].softmax(-1).numpy(), rtol=0, atol=1e-5)
        return
    theirs = said.logits.softmax(-1).numpy().reshape(-1, 3)
    assert class_names(loaded) == tuple(NAMES.values())
    for place, row in enumerate(theirs):
        np.testing.assert_allclose(class_scores(plain, place), row, rtol=0, atol=1e-5)
    assert len(theirs) == (1 if head == "SequenceClassification" else len(plain.tokens))


def test_text_classes_are_those_of_the_pipeline(made):
    loaded = made("Bert", "SequenceClassification")
    pipeline = transformers.pipeline("text-classification", loaded.model, tokenizer=loaded.tokenizer, top_k=None)
    said = {each["label"]: each["score"] for each in pipeline([TEXT])[0]}
    comparison = compare_runs(run(loaded, TEXT), run(loaded, TEXT, Changes(off=[(0, 1), (1, 2)])))
    assert [shift.text for shift in comparison.classes] == list(NAMES.values())
    assert {shift.text: shift.before for shift in comparison.classes} == pytest.approx(said, abs=1e-5)
    assert sum(shift.after for shift in comparison.classes) == pytest.approx(1, abs=1e-5)
    assert any(abs(shift.after - shift.before) > 1e-3 for shift in comparison.classes)
    assert (comparison.words, comparison.starts) == ((), ())


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({}, "softmax"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "number"),
        ({"num_labels": 1, "id2label": {0: "stars"}}, "number"),
    ],
)
def test_scores_are_what_the_problem_makes_of_them(made, config, kind):
    loaded = made("Bert", "SequenceClassification", **config)
    assert score_kind(loaded) == kind
    (logits,) = own(loaded, TEXT).logits
    expected = {"softmax": logits.softmax(-1), "sigmoid": logits.sigmoid(), "number": logits}[kind]
    np.testing.assert_allclose(class_scores(run(loaded, TEXT)), expected.numpy(), rtol=0, atol=1e-5)


def test_names_that_a_configuration_lacks_are_numbers(made):
    assert class_names(made("Bert", "SequenceClassification", id2label={0: "LABEL_0", 1: "LABEL_1"})) == (
        "LABEL_0",
        "LABEL_1",
    )


def test_words_have_the_class_of_their_first_token(made):
    loaded = made("Bert", "TokenClassification")
    pipeline = transformers.pipeline(
        "token-classification", loaded.model, tokenizer=loaded.tokenizer, aggregation_strategy="first", ignore_labels=[]
    )
    with torch.no_grad():  # or all words would be of the class that this random head likes best
        loaded.model.classifier.bias -= own(loaded, TEXT).logits[0].mean(dim=0)
    found = word_classes(run(loaded, TEXT))
    assert len({word.name for word in found}) > 1
    assert [word.text for word in found] == TEXT.split()
    theirs = {}
    for group in pipeline(TEXT):
        theirs |= dict.fromkeys(range(group["start"], group["end"]), group["entity_group"])
    assert [word.name for word in found] == [theirs[TEXT.index(word.text)] for word in found]
    assert found[2].place == found[1].place + len(loaded.tokenizer.tokenize("xylophonist"))


@pytest.mark.parametrize("family", ["Bert", "Bart"])
def test_an_answer_is_a_piece_of_the_second_text(made, family):
    loaded = made(family, "QuestionAnswering")
    question, context = "What was great?", TEXT + ", and the music was, too. " * 3
    plain = run(loaded, question, pair=context)
    said = own(loaded, question, context)
    start, end = said.start_logits[0].softmax(-1).numpy(), said.end_logits[0].softmax(-1).numpy()
    encoded = loaded.tokenizer(question, context)
    inside = [place for place, text in enumerate(encoded.sequence_ids()) if text == 1]
    best = max(
        ((i, j) for i in inside for j in inside if i <= j < i + 15), key=lambda span: start[span[0]] * end[span[1]]
    )
    found = answer(plain)
    assert (found.start, found.end) == best
    assert found.probability == pytest.approx(start[best[0]] * end[best[1]], rel=1e-3)
    first, last = (encoded.token_to_chars(place) for place in best)
    assert found.text == context[first.start : last.end]
    assert answer_probability_of(*best)(plain) == pytest.approx(found.probability)
    comparison = compare_runs(plain, run(loaded, question, Changes(off=[(0, 0)]), pair=context), 4)
    assert max(shift.before for shift in comparison.starts) == pytest.approx(start.max(), rel=1e-3)
    assert len(comparison.starts) == len(comparison.ends) == 4


@pytest.mark.parametrize("family", ["Bert", "GPT2", "Llama", "Bart"])
def test_ablation_follows_a_class(made, family):
    loaded = made(family, "SequenceClassification")
    measure = class_score_of(2)
    ablation = ablate_heads(loaded, TEXT, measure)
    assert ablation.before == pytest.approx(measure(run(loaded, TEXT)), abs=1e-6)
    for head in ((0, 1), (1, 2)):
        alone = measure(run(loaded, TEXT, Changes(off=[head])))
        assert ablation.after[head] == pytest.approx(alone, abs=1e-5)
    assert np.isfinite(ablation.effect).all()
    assert np.abs(ablation.effect).max() > 1e-3


def test_what_is_no_classifier_says_so(made):
    minilm = pretrained.load()
    assert minilm.task is None
    plain = run(minilm, TEXT)
    assert plain.class_logits is None
    for ask, sentence in (
        (class_scores, "be a classifier of texts or tokens, got B"),
        (answer, "that answers questions, got B"),
    ):
        with pytest.raises(pretrained.ModelError, match=sentence):
            ask(plain)
    tokens = run(made("Bert", "TokenClassification"), TEXT)
    with pytest.raises(pretrained.ModelError, match=r"a token must be among 0 to \d+, got 99"):
        class_scores(tokens, 99)
    with pytest.raises(pretrained.ModelError, match="a token must be among 0 to"):
        class_scores(tokens)
    assert classification.LONGEST_ANSWER == 15


def test_a_file_without_the_head_is_shown_without_classes(made, tmp_path):
    loaded = made("Bert", "SequenceClassification")
    loaded.model.base_model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    loaded.model.config.architectures = ["BertForSequenceClassification"]
    loaded.model.config.save_pretrained(tmp_path)
    bare = pretrained.load(tmp_path)
    assert bare.task is None
    assert "classifier" in bare.note
    assert run(bare, TEXT).class_logits is None
