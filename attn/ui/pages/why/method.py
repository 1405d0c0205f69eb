"""How each tab is computed, folded away: what is a part, which norms are held, where biases are, what is left out."""

from attn import models
from attn.models import layer_parts
from attn.ui.page import page_footnote
from attn.ui.sources import PAGE_SOURCES, source_in_markdown
from attn.words import capital, listed

_ABOUT = "How this is computed"
_KINDS = {  # of parts: what one of them is called, and several
    "embedding": ("the embedding", ""),
    "position": ("the position", ""),
    "type": ("the segment", ""),
    "head": ("1 head", "{} heads"),
    "feed_forward": ("1 feed-forward network", "{} feed-forward networks"),
    "bias": ("1 sum of biases", "{} sums of biases"),
}
_DIRECT = (
    "What a part did by way of a later head or network is in the part of that one. How it changed the scale of a "
    "norm, or where a head looked, is in none."
)


def why_method(text, *sources):
    """Fold a method away, with the papers that it is from.

    Parameters
    ----------
    text : str
        Markdown.
    *sources : str
        Keys of `attn.ui.sources.SOURCES` that the page cites.
    """
    cited = [source_in_markdown(each) for each in PAGE_SOURCES["why"] if each.source in sources]
    page_footnote("\n".join([text, "", *cited]), _ABOUT)


def parts_in_words(parts):
    """Return how many parts of each kind there are.

    Parameters
    ----------
    parts : sequence of attn.models.ledger.Part

    Examples
    --------
    >>> parts_in_words([models.ledger.Part("embedding"), *(models.ledger.Part("head", 0, head) for head in range(3))])
    'the embedding and 3 heads'
    """
    counts = {kind: sum(part.kind == kind for part in parts) for kind in _KINDS}
    return listed(
        one if counts[kind] == 1 else several.format(counts[kind]) for kind, (one, several) in _KINDS.items()
        if counts[kind]
    )  # fmt: skip


def ledger_method(model, layer, parts):
    """Say how a score is taken apart.

    Parameters
    ----------
    model : attn.models.ledger.Model
    layer : int
        Counted from 0.
    parts : sequence of attn.models.ledger.Part
        Of the query.
    """
    own = ", and the layer's own biases" if any(part.kind == "bias" for part in parts) else ""
    turned = isinstance(model, models.llama.Llama) and model.layers[layer].rope is not None
    position = (
        " Positions are no part: they turn the query and the key, and so each part of these, by the same angles."
        if turned
        else ""
    )
    return "\n".join([
        f"- **Parts.** The query is a sum of {_counted(parts)}. They are those of the state that layer {layer + 1} "
        f"reads{own}. The part of a head is its context times its rows of $W_O$, with the weights that it had; a "
        f"feed-forward network is one part.{position}",
        f"- **Norms.** {_norms(model, layer)}",
        f"- **Biases.** {_biases(model, True)}",
        "- **Score.** $q_i^a = x_i^a W_Q$ and $k_j^b = x_j^b W_K$ of the parts behind the norms, and each cell of "
        "the table is $c\\, q_i^a \\cdot k_j^b$, in double precision.",
        f"- **Left out.** The account ends at the score: neither {_cap(model)}mask nor softmax is in it. {_DIRECT}",
    ])  # fmt: skip


def spoke_method(model, writes, parts):
    """Say how a word's score, or of an encoder the last state, is taken apart."""
    if writes:
        said = (
            "Behind the last norm, its scale held, each part is multiplied with the difference of the two words' "
            "rows of the unembedding, $u_w - u_r$."
        )
    else:
        said = "Each part is projected on the direction of the last state $y$, so that the shares add up to its length."
    cap = "The logits here are those before the softcap. " if getattr(model, "logit_softcap", None) else ""
    last = len(model.layers) - 1
    return "\n".join([
        f"- **Parts.** The last state is a sum of {_counted(parts)}. The part of a head is its "
        "context times its rows of $W_O$; a feed-forward network is one part.",
        f"- **Share.** {said}",
        f"- **Norms.** {_norms(model, last, last=True)}",
        f"- **Biases.** {_biases(model, False)}",
        f"- **Left out.** {cap}{_DIRECT}",
    ])  # fmt: skip


def lens_method(writes):
    """Say how each state is read."""
    if writes:
        return (
            "- **Words.** Each state goes through the model's last norm, whose scale is computed anew for each "
            "state, and is multiplied with the unembedding. Nothing is trained for it.\n"
            "- **Rank.** 1 plus how many words of the vocabulary have a higher logit.\n"
            "- **Left out.** What the layers that follow would have made of the state. Early states need not be "
            "written in the directions that the unembedding reads, so a word there says less."
        )
    return (
        "- **Words.** The cosine of each state with each row of the embedding, before any norm; the largest one is "
        "shown.\n"
        "- **Rank.** 1 plus how many words of the vocabulary have a higher cosine.\n"
        "- **Left out.** This model has no words to say: its states need not lie along embeddings at all."
    )


def patch_method(writes):
    """Say what each cell of the map is."""
    measure = (
        "the difference of the two words' logits after the last token"
        if writes
        else "how far the last state of the query in view has come along the straight line between the two runs"
    )
    return (
        "- **Cell.** One whole run with one step replaced at one place, by what the other run had there. $m$ is "
        f"{measure}; the cell is the share of the difference of the two runs, and can be below 0 or above 1.\n"
        "- **Heads.** The output of a head, its weights, queries, keys or values are replaced at all positions at "
        "once. Queries and keys are those that are compared: where positions turn them, they have been turned.\n"
        "- **Places.** Texts with as many tokens meet token by token. Of others, the stretches that are the same "
        "meet, and of those that differ the last tokens; a token without a partner is left as it is.\n"
        "- **Left out.** Places are tried one at a time: what two of them carry only together is not seen, and "
        "cells do not add up to 1."
    )


def match_formula(model, layer):
    r"""Return the score of two words by a head's matrices, with the biases and the norms that the model has there.

    Parameters
    ----------
    model : attn.models.layer_parts.Model
    layer : int
        Counted from 0.
    """
    own, weights = layer_parts.attention_matrices(model.layers[layer]), model.layers[layer]
    norms = (getattr(weights, f"{name}_norm", None) for name in ("query", "key"))
    sides = []
    for norm, bias, at, name in zip(norms, (own.b_q, own.b_k), "ij", "QK", strict=True):
        side = f"e_{at} W_{name}" if bias is None else f"(e_{at} W_{name} + b_{name})"
        sides.append(side if norm is None else rf"\mathrm{{norm}}({side.strip('()')})")
    return rf"c\, {sides[0]} \cdot {sides[1]}"


def word_formula(model):
    r"""Return what a word is to a head's matrices: its row of the embedding, normalised where the model does so."""
    normed = isinstance(model, models.bert.Bert) or model.layers[0].attention_norm is not None
    return r"e_i = \mathrm{norm}(E_i)" if normed else "e_i = E_i"


def norms_behind(model):
    """Say which of the norms behind a head are in what it writes by its matrices alone."""
    if isinstance(model, models.bert.Bert):
        return "no norm behind the head is in it"
    centre = ", and that they centre," if isinstance(model, models.gpt2.GPT2) else ""
    return f"of the norms behind the head only the gains{centre} are in it"


def places_left_out(model):
    """Say what of an embedding no head is given where it is asked about words alone."""
    if getattr(model, "types", None) is not None:
        return "positions and segments are left out"
    return "positions are left out"


def weights_method(model, layer):
    """Say what the matrices of a head are multiplied with.

    Parameters
    ----------
    model : attn.models.layer_parts.Model
    layer : int
        Counted from 0.
    """
    if isinstance(model, models.bert.Bert):
        norm = ", after the norm that follows the embeddings"
    else:
        norm = "" if model.layers[layer].attention_norm is None else ", after the norm of the layer"
    return (
        f"- **Words.** The row of a word in the embedding{norm}. {capital(places_left_out(model))}, so a query and a "
        "key meet as if they stood at the same place.\n"
        f"- **Match.** ${match_formula(model, layer)}$, the score of two words: the QK circuit.\n"
        f"- **Written.** $e_j W_V W_O U^\\top$, the OV circuit: the numbers are in no unit, for {norms_behind(model)}, "
        "and $b_V$ and $b_O$, the same for all words, are left out.\n"
        "- **Plane.** Of the queries and keys of the text, positions in them: the two directions of the largest "
        "spread, after keys were moved to the mean of the queries and both were brought to one size."
    )


def _norms(model, layer, last=False):
    """Say which norms are on the way, and how a part goes through one."""
    held = "A norm divides by a number made from the whole state. It is held at what it was in this run, so that "
    if isinstance(model, models.llama.Llama):
        own = model.layers[layer]
        through = r"each part goes through by itself: $x^a \mapsto g\, x^a / \sqrt{\mathrm{mean}(x^2) + \epsilon}$."
        more = " Norms behind a sublayer" if own.attention_output_norm is not None else ""
        if not last and own.query_norm is not None:
            more += " and those" if more else " Norms"
            more += " of queries and keys"
        return held + through + (f"{more} are held alike." if more else "")
    through = (
        r"each part goes through by itself: $x^a \mapsto g\,(x^a - \bar x^a) / \sqrt{\mathrm{var}(x) + \epsilon}$."
    )
    if isinstance(model, models.bert.Bert):
        through += " Each sum has its norm behind it, so a part goes through all norms that follow where it was added."
    return held + through


def _counted(parts):
    """Say how many parts there are, and how many of each kind."""
    return f"{len(parts)} part{'s' * (len(parts) != 1)}: {parts_in_words(parts)}"


def _biases(model, projected):
    """Say in which parts biases are, of a state or of what a layer makes of it."""
    own = " and, of the layer in view, $b_Q$ or $b_K$" if projected else ""
    if isinstance(model, models.llama.Llama):
        if all(each.b_o is None and (each.b_q is None or not projected) for each in model.layers):
            return "There are none to be a part of their own: the norms of this model add nothing."
        return f"The $b_O$ of a layer{own} are one part for each layer. Those of values are in the heads."
    return (
        f"What the norms of a layer add, its $b_O${own} are one part for each layer. Those of values are in the heads, "
        "whose weights add up to 1; those of a feed-forward network are in its part."
    )


def _cap(model):
    """Return "softcap, " for a model with one."""
    return "softcap, " if getattr(model, "softcap", None) else ""
