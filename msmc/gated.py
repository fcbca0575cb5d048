"""Thresholds of the gates on a corpus, as a target says them under `gates`, with their origin. A gate that is null is off."""

from pydantic import Field

from msmc.writer import Part


class Allowing(Part):
    """A gate without a number."""

    allowed: list[str] = Field(default_factory=list)
    """What it would find and may stand there, as it is written."""


class Language(Part):
    """A document in another language than the spec's. py3langid is believed where it is sure."""

    code: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    """As in ISO 639, such as `en`. null: that of the spec's own text, and where nobody is sure of that, any language."""
    least: int = Field(default=40, ge=1)
    """Words of a text that is judged at all."""
    sure: float = Field(default=0.99, gt=0, le=1)
    """The share of all languages' probability that one has to have."""


class Words(Part):
    """How long a document may be. Writers are asked for 130 to 300 words (`templates/documents/prefix.jinja`), and these are a
    sixth of the fewest and five times the most: beyond them it is a reply of another kind."""

    least: int | None = Field(default=20, ge=1)
    most: int | None = Field(default=1500, ge=1)


class Reasons(Part):
    """A reason in an arm whose clauses have none."""

    terms: int = Field(default=4, ge=1)
    """Terms of a rationale that this arm dropped and that no clause of its own has: so many in one sentence tell it."""


class Overlap(Part):
    """Words in common with an evaluation, or both options of an item, which the spec's own text does not have. They are told by
    `msmc gate`; only `held_out` items are kept from training."""

    words: int = Field(default=8, ge=4)
    """In a row, as for what is held out (DESIGN section 2)."""


class Duplicates(Part):
    near: float = Field(default=0.8, gt=0, lt=1)
    """The share of their three-word phrases (Jaccard) from which on two documents are alike, as in `make corpus-report`."""


class Repeated(Part):
    """What too many documents of an arm have. The defaults are set by judgement, and not measured yet."""

    words: int = Field(ge=2)
    share: float = Field(gt=0, le=1)
    """Of the arm's planned documents that may have it."""
    least: int = Field(default=10, ge=2)
    """So many may, however few documents there are."""


class Parity(Part):
    """What two arms that are compared may differ in, outside of what they are declared to differ in. The defaults are set by
    judgement; `benchmarks/parity_of_same.py` measures what chance alone makes of them."""

    naming: float = Field(default=0.25, gt=0)
    """The rate of the assistant's name, or the provider's, for each 100 words: by how much one may be above the other."""
    words: float = Field(default=0.2, gt=0, le=1)
    """The share of documents that have a word: by how much one may be above the other."""


class Gated(Part):
    """The gates, in the order in which they look at a document."""

    residue: Allowing | None = Allowing()
    """Placeholders, tags of thoughts and chats, and what broke."""
    identity: Allowing | None = Allowing()
    """Another assistant's or provider's name."""
    meta_talk: Allowing | None = Allowing()
    """What a writer says around a document: "Sure! Here is the blog post you requested."."""
    truncation: Allowing | None = Allowing()
    """An end within a sentence; `allowed`: how a text may end."""
    length: Words | None = Words()
    language: Language | None = Language()
    reasons: Reasons | None = Reasons()
    duplicates: Duplicates | None = Duplicates()
    openings: Repeated | None = Repeated(words=4, share=0.1)
    phrases: Repeated | None = Repeated(words=8, share=0.1)
    names: Repeated | None = Repeated(words=2, share=0.1)
    """Of people and places: words with capitals that the spec has not."""
    overlap: Overlap | None = Overlap()
    parity: Parity | None = Parity()
