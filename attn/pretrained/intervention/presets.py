"""Changes that are worth a look: a text, the heads that its prediction hangs on, and the number that says so."""

from typing import NamedTuple

from attn.pretrained.intervention.changes import Changes
from attn.pretrained.loading import smollm2
from attn.pretrained.loading.catalogue import DEFAULT


class Preset(NamedTuple):
    """One thing to try.

    What it says was measured on this model; tests hold it to that. Its words count layers and heads from 1, as
    people see them.
    """

    key: str
    title: str
    model: str
    text: str
    other: str | None  # a second text, whose similarity to the first is the number
    word: str | None  # or a word, whose probability at the end of the text is the number
    changes: Changes
    head: tuple  # (layer, head) to look at
    before: float  # the number as the model has it
    after: float  # and with the changes
    look_for: str


COPYING = Preset(
    key="copying",
    title="Four heads that copy",
    model=smollm2.NAME,
    text="The keys to the cabinet are on the table. The keys to the",
    other=None,
    word=" cabinet",
    changes=Changes(off=[(22, 3), (23, 5), (23, 7), (24, 5)]),
    head=(23, 7),
    before=0.815,
    after=0.093,
    look_for=(
        "The text repeats itself, and the model expects the word that followed the first time. At the last token, head "
        "24.8 gives half of its weight to that word. With four of 270 heads off, the word's probability drops from "
        "81.5% to 9.29%; four others taken at random mostly leave it above 70%, but not always."
    ),
)

APPLE = Preset(
    key="apple",
    title="Three heads that find the same word",
    model=DEFAULT,
    text="Apple sells phones.",
    other="She ate an apple.",
    word=None,
    changes=Changes(off=[(3, 11), (5, 0), (5, 5)]),
    head=(5, 5),
    before=0.383,
    after=0.185,
    look_for=(
        "The two sentences share a word, but no meaning. In head 6.6 most tokens look most at that word, which makes "
        "the sentences seem alike. With this head off, the similarity drops from 0.383 to 0.227, with two more to "
        "0.185. Half of the other heads move it by less than 0.006."
    ),
)

RESTING = Preset(
    key="resting",
    title="Where heads rest",
    model=smollm2.NAME,
    text="The capital of France is",
    other=None,
    word=" Paris",
    changes=Changes(hidden=[0]),
    head=(17, 3),
    before=0.773,
    after=0.024,
    look_for=(
        "At the last token, 198 of 270 heads give more than half of their weight to the first word, “The”, which says "
        "nothing about France. But hide it from all others, and they miss it: they crowd onto the second word, and "
        "Paris drops from 77.3% to 2.38%."
    ),
)

AHEAD = Preset(
    key="ahead",
    title="Looking ahead",
    model=smollm2.NAME,
    text="The opposite of hot is",
    other=None,
    word=" cold",
    changes=Changes(causal_mask_removed=True),
    head=(5, 4),
    before=0.684,
    after=0.0,
    look_for=(
        "In training, a causal mask hid from each token all that come later. Without it, the first four tokens give "
        "48% of their weight to later ones, and “cold” drops from 68.4% to almost nothing: a model that never learnt "
        "to look ahead cannot use what it sees there."
    ),
)

PRESETS = {preset.key: preset for preset in (APPLE, COPYING, RESTING, AHEAD)}
