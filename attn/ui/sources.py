"""What each page stands on: the papers, articles and books, with the section, and where to read them."""

from typing import NamedTuple


class Publication(NamedTuple):
    """One thing to read."""

    who: str  # authors and year
    title: str
    address: str


class Cited(NamedTuple):
    """One source of a page."""

    source: str  # its key in SOURCES
    where: str  # section, and what the page has from it


def _arxiv(who, title, number):
    return Publication(who, title, f"https://arxiv.org/abs/{number}")


SOURCES = {
    "raschka": Publication(
        "Raschka, 2024",
        "Understanding and Coding Self-Attention, Multi-Head Attention, Causal-Attention, and Cross-Attention in LLMs",
        "https://magazine.sebastianraschka.com/p/understanding-and-coding-self-attention",
    ),
    "raschka_book": Publication(
        "Raschka, 2024",
        "Build a Large Language Model (From Scratch)",
        "https://www.manning.com/books/build-a-large-language-model-from-scratch",
    ),
    "weng": Publication(
        "Weng, 2018", "Attention? Attention!", "https://lilianweng.github.io/posts/2018-06-24-attention/"
    ),
    "ai_summer": Publication(
        "Adaloglou (AI Summer), 2020", "How Attention works in Deep Learning", "https://theaisummer.com/attention/"
    ),
    "ai_summer_heads": Publication(
        "Adaloglou (AI Summer), 2021", "Why multi-head self attention works", "https://theaisummer.com/self-attention/"
    ),
    "vaswani": _arxiv("Vaswani et al., 2017", "Attention Is All You Need", "1706.03762"),
    "bahdanau": _arxiv(
        "Bahdanau, Cho and Bengio, 2015",
        "Neural Machine Translation by Jointly Learning to Align and Translate",
        "1409.0473",
    ),
    "luong": _arxiv(
        "Luong, Pham and Manning, 2015",
        "Effective Approaches to Attention-based Neural Machine Translation",
        "1508.04025",
    ),
    "sutskever": _arxiv(
        "Sutskever, Vinyals and Le, 2014", "Sequence to Sequence Learning with Neural Networks", "1409.3215"
    ),
    "cho": _arxiv("Cho et al., 2014", "Learning Phrase Representations using RNN Encoder–Decoder", "1406.1078"),
    "hinton": _arxiv("Hinton, Vinyals and Dean, 2015", "Distilling the Knowledge in a Neural Network", "1503.02531"),
    "miller": Publication(
        "Miller, 2023", "Attention Is Off By One", "https://www.evanmiller.org/attention-is-off-by-one.html"
    ),
    "gpt_oss": _arxiv("OpenAI, 2025", "gpt-oss-120b & gpt-oss-20b Model Card", "2508.10925"),
    "zhao": _arxiv("Zhao et al., 2019", "Explicit Sparse Transformer", "1912.11637"),
    "xiao": _arxiv("Xiao et al., 2023", "Efficient Streaming Language Models with Attention Sinks", "2309.17453"),
    "shazeer": _arxiv("Shazeer, 2019", "Fast Transformer Decoding: One Write-Head is All You Need", "1911.02150"),
    "ainslie": _arxiv("Ainslie et al., 2023", "GQA", "2305.13245"),
    "qiu": _arxiv("Qiu et al., 2025", "Gated Attention for Large Language Models", "2505.06708"),
    "carion": _arxiv("Carion et al., 2020", "End-to-End Object Detection with Transformers", "2005.12872"),
    "beltagy": _arxiv("Beltagy, Peters and Cohan, 2020", "Longformer", "2004.05150"),
    "child": _arxiv("Child et al., 2019", "Generating Long Sequences with Sparse Transformers", "1904.10509"),
    "raffel": _arxiv("Raffel et al., 2020", "Exploring the Limits of Transfer Learning (T5)", "1910.10683"),
    "shaw": _arxiv(
        "Shaw, Uszkoreit and Vaswani, 2018", "Self-Attention with Relative Position Representations", "1803.02155"
    ),
    "su": _arxiv("Su et al., 2021", "RoFormer (rotary positions)", "2104.09864"),
    "press": _arxiv("Press, Smith and Lewis, 2021", "Train Short, Test Long (ALiBi)", "2108.12409"),
    "peng": _arxiv("Peng, Quesnelle, Fan and Shippole, 2023", "YaRN", "2309.00071"),
    "sun": _arxiv("Sun et al., 2022", "A Length-Extrapolatable Transformer (xPos)", "2212.10554"),
    "ba": _arxiv("Ba, Kiros and Hinton, 2016", "Layer Normalization", "1607.06450"),
    "xiong": _arxiv("Xiong et al., 2020", "On Layer Normalization in the Transformer Architecture", "2002.04745"),
    "szegedy": _arxiv("Szegedy et al., 2015", "Rethinking the Inception Architecture (label smoothing)", "1512.00567"),
    "wu": _arxiv("Wu et al., 2016", "Google's Neural Machine Translation System", "1609.08144"),
    "shrikumar": _arxiv("Shrikumar et al., 2016", "Not Just a Black Box", "1605.01713"),
    "dao": _arxiv("Dao, Fu, Ermon, Rudra and Ré, 2022", "FlashAttention", "2205.14135"),
    "milakov": _arxiv("Milakov and Gimelshein, 2018", "Online normalizer calculation for softmax", "1805.02867"),
    "devlin": _arxiv("Devlin et al., 2019", "BERT", "1810.04805"),
    "minilm": _arxiv("Wang et al., 2020", "MiniLM", "2002.10957"),
    "hu": _arxiv("Hu et al., 2021", "LoRA", "2106.09685"),
    "clark": _arxiv("Clark et al., 2019", "What Does BERT Look At?", "1906.04341"),
    "vig": _arxiv("Vig and Belinkov, 2019", "Analyzing the Structure of Attention in a Transformer", "1906.04284"),
    "voita": _arxiv("Voita et al., 2019", "Analyzing Multi-Head Self-Attention", "1905.09418"),
    "abnar": _arxiv("Abnar and Zuidema, 2020", "Quantifying Attention Flow in Transformers", "2005.00928"),
    "kobayashi": _arxiv("Kobayashi et al., 2020", "Attention is Not Only a Weight", "2004.10102"),
    "elhage": Publication(
        "Elhage et al., 2021",
        "A Mathematical Framework for Transformer Circuits",
        "https://transformer-circuits.pub/2021/framework/index.html",
    ),
    "nostalgebraist": Publication(
        "nostalgebraist, 2020",
        "Interpreting GPT: the logit lens",
        "https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens",
    ),
    "zhang_patching": _arxiv(
        "Zhang and Nanda, 2023", "Towards Best Practices of Activation Patching in Language Models", "2309.16042"
    ),
    "meng": _arxiv("Meng et al., 2022", "Locating and Editing Factual Associations in GPT", "2202.05262"),
    "yeh": _arxiv("Yeh et al., 2023", "AttentionViz: A Global View of Transformer Attention", "2305.03210"),
    "kobayashi_norms": _arxiv(
        "Kobayashi et al., 2021",
        "Incorporating Residual and Normalization Layers into Analysis of Masked Language Models",
        "2109.07152",
    ),
    "olsson": _arxiv("Olsson et al., 2022", "In-context Learning and Induction Heads", "2209.11895"),
    "wang": _arxiv("Wang et al., 2022", "Interpretability in the Wild", "2211.00593"),
    "touvron": _arxiv("Touvron et al., 2023", "LLaMA: Open and Efficient Foundation Language Models", "2302.13971"),
    "radford": Publication(
        "Radford et al., 2019",
        "Language Models are Unsupervised Multitask Learners (GPT-2)",
        "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
    ),
    "fan": _arxiv("Fan, Lewis and Dauphin, 2018", "Hierarchical Neural Story Generation", "1805.04833"),
    "holtzman": _arxiv("Holtzman et al., 2020", "The Curious Case of Neural Text Degeneration", "1904.09751"),
    "pope": _arxiv("Pope et al., 2022", "Efficiently Scaling Transformer Inference", "2211.05102"),
    "michel": _arxiv("Michel, Levy and Neubig, 2019", "Are Sixteen Heads Really Better than One?", "1905.10650"),
    "graves": _arxiv("Graves, Wayne and Danihelka, 2014", "Neural Turing Machines", "1410.5401"),
    "vinyals": _arxiv("Vinyals, Fortunato and Jaitly, 2015", "Pointer Networks", "1506.03134"),
    "cheng": _arxiv(
        "Cheng, Dong and Lapata, 2016", "Long Short-Term Memory-Networks for Machine Reading", "1601.06733"
    ),
    "mishra": _arxiv("Mishra et al., 2018", "A Simple Neural Attentive Meta-Learner (SNAIL)", "1707.03141"),
    "zhang": _arxiv("Zhang et al., 2019", "Self-Attention Generative Adversarial Networks", "1805.08318"),
    "xu": _arxiv("Xu et al., 2015", "Show, Attend and Tell", "1502.03044"),
}

PAGE_SOURCES = {
    "home": (
        Cited("vaswani", "sections 3.2.1 and 3.2.2: attention and its heads"),
        Cited("minilm", "how the model on this page was made from a larger one"),
    ),
    "step_by_step": (
        Cited("raschka", "“Embedding an Input Sentence” and the sections after it: the worked example"),
        Cited("raschka_book", "chapter 3: “Your journey starts with one step”"),
        Cited("vaswani", "section 3.2.1: dot products, divided by $\\sqrt{d_k}$"),
        Cited("hinton", "section 2: the temperature of a softmax"),
    ),
    "heads": (
        Cited("raschka", "“Multi-Head Attention” and “Cross-Attention”: the worked example"),
        Cited("ai_summer_heads", "why several heads"),
        Cited("vaswani", "section 3.2.2: several heads, joined by $W_O$"),
        Cited("shazeer", "section 3: one key/value head for all queries"),
        Cited("ainslie", "section 2.2: key/value heads for groups of queries"),
        Cited("qiu", "the output gate"),
        Cited("carion", "positions in the keys alone"),
    ),
    "masks": (
        Cited("raschka", "“Causal Self-Attention”: the two right routes"),
        Cited("vaswani", "section 3.2.3: −∞ before the softmax"),
        Cited("raffel", "section 3.2.1: the prefix mask"),
        Cited("beltagy", "section 3.1: windows, and tokens that all may see"),
        Cited("child", "section 4: strides"),
    ),
    "softmax": (
        Cited("vaswani", "section 3.2.1 and its footnote: why the scores are divided by $\\sqrt{d_k}$"),
        Cited("raschka_book", "section 3.3.1: attention without trained matrices"),
        Cited("hinton", "section 2: the temperature"),
        Cited("miller", "a sink of 0: one more in the sum below the line"),
        Cited("xiao", "attention sinks in trained models"),
        Cited("gpt_oss", "a trained sink for each head"),
        Cited("zhao", "the k largest scores alone"),
    ),
    "positions": (
        Cited("vaswani", "section 3.5 and Table 3, row (E): sinusoids, and a trained table instead"),
        Cited("shaw", "sections 3.1 and 3.2: relative positions in keys and values"),
        Cited("raffel", "section 2.1: one number per distance"),
        Cited("su", "section 3: rotation"),
        Cited("press", "section 3: a penalty that grows with distance"),
        Cited("sun", "rotation that fades with distance"),
        Cited("peng", "section 3: rotation for longer texts"),
    ),
    "block": (
        Cited("vaswani", "sections 3.1, 3.3, 3.4, 5.3 and 5.4, and Table 3: the block and its training"),
        Cited("ba", "layer normalisation"),
        Cited("xiong", "normalising before a sublayer or after it"),
        Cited("szegedy", "section 7: label smoothing"),
        Cited("wu", "section 7: the length penalty of beam search"),
        Cited("shrikumar", "gradient times input, in Graph"),
    ),
    "cost": (
        Cited("vaswani", "section 4 with Table 1, and Table 3: cost by kind of layer, and the variants"),
        Cited("shazeer", "sections 2 and 3: what a decoder must read for every token"),
        Cited("ainslie", "a smaller cache by shared keys and values"),
        Cited("milakov", "section 3: softmax in one pass"),
        Cited("dao", "section 3: attention in tiles"),
    ),
    "pretrained": (
        Cited("vaswani", "section 3.2: the attention that is computed here a second time"),
        Cited("devlin", "the family of the model that comes first"),
        Cited("minilm", "how that model was made from a larger one"),
        Cited("hu", "section 4.1: adapters"),
    ),
    "inside": (
        Cited("clark", "sections 3 and 4: what heads look at"),
        Cited("voita", "heads that look at a place, at grammar or at rare words"),
        Cited("vig", "how far heads look"),
        Cited("kobayashi", "weights times values: what is really handed on"),
        Cited("abnar", "section 3: rollout through all layers"),
        Cited("olsson", "heads that continue what came before"),
        Cited("xiao", "attention sinks"),
    ),
    "next_word": (
        Cited("touvron", "section 2.2: the layers of this line of models"),
        Cited("radford", "section 2.3: those of GPT-2"),
        Cited("su", "section 3.2: queries and keys turned by their position"),
        Cited("michel", "section 3: a head switched off"),
        Cited("fan", "section 5.4: drawing from the k likeliest words"),
        Cited("holtzman", "section 3.1: drawing from the nucleus, top-p"),
        Cited("pope", "section 2: the cache of keys and values"),
        Cited("elhage", "the residual stream, to which every part adds"),
    ),
    "change": (
        Cited("michel", "section 3: one head switched off at a time"),
        Cited("voita", "heads that may go, and heads that may not"),
        Cited("wang", "heads found by what changes without them"),
    ),
    "why": (
        Cited(
            "elhage",
            "“QK circuit”, “Residual Stream as a Communication Channel”, “Logit attribution” and “Summarizing OV/QK "
            "matrices”",
        ),
        Cited("kobayashi_norms", "the appendix: norms held at their scale"),
        Cited("nostalgebraist", "each state read as if it were the last"),
        Cited("zhang_patching", "section 2: a step of one run put into another"),
        Cited("meng", "section 2.2: what is known of a subject is handed over to the end of the text"),
        Cited("wang", "two names in one sentence, as a text to try"),
        Cited("yeh", "section 4.1: queries and keys of a head in one plane"),
    ),
    "bottleneck": (
        Cited("bahdanau", "sections 2, 3 and 5, and appendix A: looking back instead of one vector"),
        Cited("sutskever", "section 2: a sentence through one vector"),
        Cited("cho", "section 2: the same, and a gated unit"),
        Cited("luong", "section 3: attention from the current state"),
        Cited("weng", "“What's Wrong with Seq2Seq Model?” and “Born for Translation”"),
        Cited("ai_summer", "from sequences to attention"),
    ),
    "scores": (
        Cited("weng", "“A Family of Attention Mechanisms”: the table of scores"),
        Cited("bahdanau", "section 3.1 and appendix A.1.2: the additive score"),
        Cited("luong", "sections 3.1 and 3.2: dot, general, concat, location; local attention"),
        Cited("graves", "section 3.3.1: the cosine"),
        Cited("vaswani", "section 3.2.1: the scaled dot product"),
        Cited("xu", "sections 4.1 and 4.2: hard and soft reading"),
    ),
    "room": (
        Cited("clark", "section 4: a head for one kind of tie between words"),
        Cited("minilm", "how the model in question was made from a larger one"),
    ),
    "memory": (
        Cited("graves", "section 3: reading, writing and addressing a memory"),
        Cited("vinyals", "section 2.3: pointing at the input"),
        Cited("cheng", "section 3: attention inside a recurrent cell"),
        Cited("mishra", "section 3: attention with convolutions"),
        Cited("zhang", "section 3: attention over a picture"),
        Cited("xu", "sections 3 and 4: a caption that looks at patches"),
        Cited("weng", "“Neural Turing Machines”, “Pointer Network”, “SNAIL” and “Self-Attention GAN”"),
    ),
}
"""Page -> its sources, the most important first."""


def source_in_markdown(cited):
    """Return one source of a page as an item of a list.

    Examples
    --------
    >>> source_in_markdown(Cited("weng", "“Self-Attention”"))
    '- [Weng, 2018. Attention? Attention!](https://lilianweng.github.io/posts/2018-06-24-attention/): “Self-Attention”'
    """
    source = SOURCES[cited.source]
    return f"- [{source.who}. {source.title}]({source.address}): {cited.where}"
