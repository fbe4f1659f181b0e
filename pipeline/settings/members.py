"""Settings of the members, fine-tuned and classic, and the values that they inherit."""

import hashlib
import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pipeline.files.messages import short
from pipeline.files.writing import without_nan
from pipeline.settings.fine_tuning import ClassWeights, Options, Training
from pipeline.settings.section import Name, Section, Spelled, Template, Whole, as_spelled

MOST_SEEDS = 100  # of one entry
EMBEDDING_MODELS = ("embedding_linear", "embedding_svr")  # they read a backbone's embeddings
SEEDLESS_MODELS = ("tfidf_linear", *EMBEDDING_MODELS)  # another seed gives a copy, or nearly


def _joined(value: object) -> object:
    """`[mean, max]` as mean+max: one text wherever the name of a pooling goes."""
    if not isinstance(value, list):
        return as_spelled(value)
    if not value or not all(isinstance(name, str) for name in value):
        raise ValueError(
            f"pooling is a name, or a list of names such as [mean, max], got {short(value)}; "
            "options go into options"
        )
    return "+".join(value)


def _not_a_blend(name: str) -> str:
    if name.startswith("blend_"):
        raise ValueError(f"{name!r}: names that start with blend_ are kept for blends")
    return name


class Named(Section):
    """What every member has."""

    name: Annotated[Name, AfterValidator(_not_a_blend)] = Field(
        description="unique; that of the pooling or model unless two share it"
    )
    seed: Whole = Field(ge=0, lt=2**32, description="derived from the seed and the name")
    template: Template | None = Field(
        None,
        description="how text columns and features become one text; null: each column is a text",
    )

    @property
    def settings(self) -> Options:
        """Everything but data and backbone files that determines its models, as JSON holds it."""
        return dict(without_nan(self.model_dump(exclude={"name"})))


class Member(Training, Named):
    """A fine-tuned backbone."""

    kind: ClassVar[str] = "bert"  # of `members.kinds`
    variation: ClassVar[str] = "seed: 7"  # makes a second member of the same pooling another model

    pooling: Annotated[str, BeforeValidator(_joined)] = Field(
        description="name of the pooling, which turns tokens into a vector; [mean, max]: the "
        "vectors of both, side by side"
    )
    options: Options = Field(
        {}, description="options of the pooling; of several, by name, such as {mean: {segment: 2}}"
    )
    backbone: Spelled = Field(description="a demo name, a folder or a hub id")

    @property
    def reads_segment(self) -> bool:
        """Whether a pooling has the option `segment`."""
        maps = (of for of in (self.options, *self.options.values()) if isinstance(of, dict))
        return any(of.get("segment") is not None for of in maps)


class ClassicMember(Named):
    """A model that is not fine-tuned; of `training` it inherits the weights of classes only."""

    kind: ClassVar[str] = "classic"
    variation: ClassVar[str] = "other options"  # another seed gives a near copy at best

    model: Spelled = Field(description="name of the classic model, instead of a pooling")
    options: Options = Field({}, description="options of the model")
    backbone: Spelled | None = Field(None, description="backbone of a model that reads embeddings")
    class_weights: ClassWeights = Field(None, description="as training.class_weights")


FINE_TUNED, CLASSIC = "fine-tuned", "classic"
KINDS: dict[str, type[Member] | type[ClassicMember]] = {FINE_TUNED: Member, CLASSIC: ClassicMember}


def _kind(member: object) -> str:
    is_classic = "model" in member if isinstance(member, dict) else hasattr(member, "model")
    return CLASSIC if is_classic else FINE_TUNED


AnyMember = Annotated[
    Annotated[Member, Tag(FINE_TUNED)] | Annotated[ClassicMember, Tag(CLASSIC)],
    Discriminator(_kind),
]


def expanded(member: object) -> list[object]:
    """The members that an entry stands for: with `seeds: 3`, NAME-s1 to NAME-s3."""
    if not isinstance(member, dict):
        return [member]
    model, seeded = member.get("model"), [key for key in ("seed", "seeds") if key in member]
    if seeded and model in SEEDLESS_MODELS:
        raise ValueError(
            f"member {_name_of(member)}: {seeded[0]} is set, but model {model} predicts almost "
            "the same with any seed; leave it out, or give the member other options"
        )
    if "seeds" not in member:
        return [member]
    n = member["seeds"]
    if type(n) is not int or not 1 <= n <= MOST_SEEDS:
        raise ValueError(f"seeds of a member is a number from 1 to {MOST_SEEDS}, got {short(n)}")
    if "seed" in member:
        raise ValueError("a member has one seed, or seeds: a number of them, not both")
    entry = {key: value for key, value in member.items() if key != "seeds"}
    return [{**entry, "name": f"{_name_of(entry)}-s{k}"} for k in range(1, n + 1)]


def _name_of(entry: Options) -> object:
    if "name" in entry:
        return entry["name"]
    own = entry.get("pooling", entry.get("model"))
    own = _joined(own) if isinstance(own, list) else own
    # the error of what is no name, or an unknown name such as Mean, comes next
    return re.sub("[^a-z0-9_.-]", "-", own.lower()) if isinstance(own, str) else "unnamed"


def filled_in(
    member: object,
    training: Training,
    loss: str,
    template: str | None,
    backbone: str | None,
    seed: int,
) -> object:
    """A member with what it leaves out: name, seed, and what its kind inherits."""
    if not isinstance(member, dict):
        return member
    if "model" in member:
        if "pooling" in member:
            raise ValueError(f"member {_name_of(member)}: has a pooling and a model; leave one out")
        weights: Options = {"class_weights": training.class_weights}
        member = {**weights, **_with_backbone(member, backbone)}
    else:
        shared = {} if backbone is None else {"backbone": backbone}
        member = {**training.model_dump(), **shared, **member}
        member["loss"] = loss if member["loss"] is None else member["loss"]
    name = _name_of(member)
    return {"name": name, "seed": derived_seed(seed, str(name)), "template": template, **member}


def _with_backbone(member: Options, shared: str | None) -> Options:
    """Embeddings are those of the member's own backbone, otherwise of the shared backbone."""
    model, backbone = member["model"], member.get("backbone")
    if model not in EMBEDDING_MODELS:
        if backbone is not None:
            raise ValueError(f"model {model} reads no backbone; leave it out of the member")
        return member
    backbone = shared if backbone is None else backbone
    if backbone is None:
        raise ValueError(f"model {model} reads the embeddings of a backbone; set backbone")
    return {**member, "backbone": backbone}


def derived_seed(seed: int, name: str) -> int:
    """A 32-bit seed from the competition's seed and the member's name.

    Members that share a seed see the same batches from the same start and become near copies.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")
