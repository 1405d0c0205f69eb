"""What the link of the page Block holds: the block itself, and what belongs to one tab alone."""

from dataclasses import dataclass

from attn.ui.controls.sentence import DEFAULT_TEXT, LONGEST
from attn.ui.link import link_choice, link_flag, link_real, link_string, link_whole, link_wholes

NORMS = {"post": "Post-norm", "pre": "Pre-norm"}


STAGES = {
    "input": "Input",
    "attention": "Attention",
    "attention_add": "Add",
    "attention_norm": "Norm",
    "feed_forward": "Feed-forward",
    "feed_forward_add": "Add again",
    "feed_forward_norm": "Norm again",
}


PRE_NORM = (
    "input", "attention_norm", "attention", "attention_add", "feed_forward_norm", "feed_forward", "feed_forward_add",
)  # fmt: skip


TABS = {
    "heads": "Heads added up",
    "steps": "What each step does",
    "uses": "Three uses",
    "stack": "Stack",
    "training": "Training",
    "writing": "Writing",
    "graph": "Graph",
    "published": "Published",
    "code": "Code",
}
OLD_TABS = {  # what older links call them
    "Heads added up": "heads",
    "Three uses": "uses",
    "Stack": "stack",
    "Training": "training",
    "Writing": "writing",
    "Graph": "graph",
    "Published": "published",
    "Code": "code",
}


MOST_HEADS, MOST_WRITTEN = 16, 32


@dataclass(frozen=True)
class Block:
    """The block that is walked, and which every tab is about."""

    text: str = link_string(DEFAULT_TEXT)
    seed: int = link_whole(1, 0, 9999)
    d_model: int = link_whole(8, 2, 64)
    scaled: bool = link_flag(True)
    num_heads: int = link_whole(2, 1, MOST_HEADS)
    norm: str = link_choice("post", NORMS)
    d_ff: int = link_whole(16, 1, 256)
    token: int = link_whole(3, 1, LONGEST)
    column: int = link_whole(1, 1, 256)
    stage: str = link_choice("input", STAGES)
    tab: str = link_choice("heads", TABS, OLD_TABS)

    @property
    def pre_norm(self):
        """Whether each step reads what is normalised, and the sums are not."""
        return self.norm == "pre"

    @property
    def stages(self):
        """The stages in the order in which they come, with their labels."""
        return {name: STAGES[name] for name in (PRE_NORM if self.pre_norm else STAGES)}


@dataclass(frozen=True)
class HeadsAddedUp:
    """The tab of that name."""

    off: tuple = link_wholes()


USES = {"encoder": "Encoder", "masked": "Decoder, masked", "cross": "Decoder to encoder", "output": "Output"}


@dataclass(frozen=True)
class ThreeUses:
    """The tab of that name."""

    second: str = link_string("Das Tier überquerte die Straße nicht.")
    use: str = link_choice("cross", USES)
    layers: int = link_whole(2, 1, 6)
    causal: bool = link_flag(True)
    target: int = link_whole(2, 1, MOST_WRITTEN)


@dataclass(frozen=True)
class Stack:
    """The tab of that name."""

    depth: int = link_whole(24, 1, 48)


LESSONS = {"rate": "Learning rate", "smoothing": "Label smoothing", "dropout": "Dropout", "averaging": "Averaging"}
DROPPED = {"weights": "Attention weights", "sublayer": "What attention makes"}


@dataclass(frozen=True)
class Training:
    """The tab of that name, lesson by lesson."""

    lesson: str = link_choice("rate", LESSONS)

    step: int = link_whole(20_000, 1, 100_000)
    warmup: int = link_whole(4000, 100, 20_000)
    width: int = link_whole(512, 64, 4096)

    classes: int = link_whole(5, 2, 40)
    epsilon: float = link_real(0.1, 0, 0.9)

    dropped: str = link_choice("weights", DROPPED)
    p: float = link_real(0.5, 0, 0.9)
    roll: int = link_whole(1, 0, 9999)

    mean_of: int = link_whole(5, 1, 20)


@dataclass(frozen=True)
class Writing:
    """The tab of that name."""

    beam: int = link_whole(4, 1, 8)
    alpha: float = link_real(0.6, 0, 2)


@dataclass(frozen=True)
class Graph:
    """The tab of that name."""

    head: int = link_whole(1, 1, MOST_HEADS)


PRINTED = {"translation": "Translation", "variants": "Variants", "parsing": "Parsing"}


@dataclass(frozen=True)
class Published:
    """The tab of that name."""

    printed: str = link_choice(next(iter(PRINTED)), PRINTED)


# The fields of the last base come first, in a link, too.
@dataclass(frozen=True)
class Setup(Published, Graph, Writing, Training, Stack, ThreeUses, HeadsAddedUp, Block):
    """Everything chosen on Block."""
