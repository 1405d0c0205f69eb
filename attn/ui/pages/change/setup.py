"""What the link of the page Change holds."""

from dataclasses import dataclass

from attn.pretrained.intervention.changes import FIRST, PREVIOUS, UNIFORM
from attn.pretrained.intervention.presets import APPLE
from attn.ui.controls.model_and_text import SourceChoice
from attn.ui.link import link_cells, link_choice, link_flag, link_heads, link_real, link_string, link_whole, link_wholes

PAINTED = "painted"


PATTERNS = {
    UNIFORM: "Uniform",
    FIRST: "First token",
    PREVIOUS: "Previous token",
    PAINTED: "Painted by hand",
}


SCALINGS = {"own": "Its own", "none": "None", "other": "Other"}


CLICKS = {"switch": "Switches it off or on", "replace": "Replaces its pattern", "look": "Looks at it"}


TABS = {
    "head": "One head",
    "downstream": "Other heads",
    "sweep": "Each head in turn",
    "writing": "Writing",
    "code": "Code",
}
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

    text: str = link_string(APPLE.text)
    pair: str = link_string(APPLE.other)
    second: str = link_string("")
    layer: int = link_whole(6, 1, 999)
    head: int = link_whole(6, 1, 999)
    back: int = link_whole(0, 0, 4095)
    word: str = link_string("")
    shuffle: bool = link_flag(False)
    seed: int = link_whole(1, 0, 9999)
    scaling: str = link_choice("own", SCALINGS)
    scale: float = link_real(0.5, 0, 10)
    hidden: tuple = link_wholes()
    lifted: bool = link_flag(False)
    windowed: bool = link_flag(False)
    window: int = link_whole(2, 0, 512)
    temperature: float = link_real(1.0, 0.05, 10)
    patterned: tuple = link_heads()
    pattern: str = link_choice(UNIFORM, PATTERNS)
    painted: tuple = link_cells()
    off: tuple = link_heads(tuple(sorted(APPLE.changes.off)))
    click: str = link_choice("switch", CLICKS)
    count: int = link_whole(20, 1, 50)
    step: int = link_whole(1, 1, 50)
    tab: str = link_choice("head", TABS, OLD_TABS)

    @staticmethod
    def unsaid(chosen):
        """Return the defaults of another model or text than the first preset's: what is changed there is its own."""
        if chosen.get("text", APPLE.text) != APPLE.text:
            return {"off": (), "pair": ""}
        return {} if chosen.get("model", APPLE.model) == APPLE.model else {"off": ()}

    @property
    def chosen(self):
        """The head to look at, as (layer, head) counted from 0."""
        return self.layer - 1, self.head - 1


UNCHANGED = {
    "shuffle": False, "scaling": "own", "hidden": (), "lifted": False, "windowed": False, "temperature": 1.0,
    "patterned": (), "off": (),
}  # fmt: skip
