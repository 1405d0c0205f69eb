"""What the link of the page Change holds."""

from dataclasses import dataclass

from attn.pretrained.intervention.changes import FIRST, PREVIOUS, UNIFORM
from attn.pretrained.intervention.presets import APPLE
from attn.ui.controls.model_and_text import SourceChoice
from attn.ui.link import cells, choice, flag, heads, real, string, whole, wholes

PAINTED = "painted"


PATTERNS = {
    UNIFORM: "Uniform",
    FIRST: "First token",
    PREVIOUS: "Previous token",
    PAINTED: "Painted by hand",
}


SCALINGS = {"own": "Its own", "none": "None", "other": "Other"}


CLICKS = {"switch": "Switches it off or on", "replace": "Replaces its pattern", "look": "Looks at it"}


TABS = {"head": "One head", "downstream": "Downstream", "sweep": "Sweep", "writing": "Writing", "code": "Code"}
OLD_TABS = {  # what older links call them
    "One head": "head",
    "Downstream": "downstream",
    "Sweep": "sweep",
    "Writing": "writing",
    "Code": "code",
}


MOST_PAINTED = 64  # tokens of a pattern painted by hand: beyond, a cell cannot be hit


@dataclass(frozen=True)
class Setup(SourceChoice):
    """Everything chosen on Change."""

    text: str = string(APPLE.text)
    pair: str = string(APPLE.other)
    layer: int = whole(6, 1, 999)
    head: int = whole(6, 1, 999)
    back: int = whole(0, 0, 4095)
    word: str = string("")
    shuffle: bool = flag(False)
    seed: int = whole(1, 0, 9999)
    scaling: str = choice("own", SCALINGS)
    scale: float = real(0.5, 0, 10)
    hidden: tuple = wholes()
    lifted: bool = flag(False)
    windowed: bool = flag(False)
    window: int = whole(2, 0, 512)
    temperature: float = real(1.0, 0.05, 10)
    patterned: tuple = heads()
    pattern: str = choice(UNIFORM, PATTERNS)
    painted: tuple = cells()
    off: tuple = heads(tuple(sorted(APPLE.changes.off)))
    click: str = choice("switch", CLICKS)
    count: int = whole(20, 1, 50)
    step: int = whole(1, 1, 50)
    tab: str = choice("head", TABS, OLD_TABS)

    @staticmethod
    def unsaid(chosen):
        """Return the defaults that another model has: the heads of the first preset mean nothing in it."""
        return {} if chosen.get("model", APPLE.model) == APPLE.model else {"off": ()}

    @property
    def chosen(self):
        """The head to look at, as (layer, head) counted from 0."""
        return self.layer - 1, self.head - 1


UNCHANGED = {
    "shuffle": False, "scaling": "own", "hidden": (), "lifted": False, "windowed": False, "temperature": 1.0,
    "patterned": (), "off": (),
}  # fmt: skip
