"""One part of texts that separators divide: a text of a pair, or what {sep} parts in a template.

Letters: B texts, T tokens.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """A part of each text, found in its token ids, so that no token types are needed.

    Attributes:
        number: the part's, from 1.
        n_parts: of a text. What follows the separator before the last part is of the last part:
            a pair may have two separators between its texts.
        separator_id: of [SEP] or </s>.
        special_ids: of tokens that belong to no part, such as [CLS] and [SEP].
    """

    number: int
    n_parts: int
    separator_id: int
    special_ids: tuple[int, ...]

    def within(self, real: Tensor, input_ids: Tensor) -> Tensor:
        """The part of the mask `real`, (B, T) bool.

        A text without a token of the part, which was empty or cut off, has all its real tokens:
        a vector of zeros would be a wrong answer rather than a less precise one.
        """
        separators = real & (input_ids == self.separator_id)
        number = separators.cumsum(1).clamp(max=self.n_parts - 1) + 1  # (B, T)
        special = torch.tensor(self.special_ids, device=input_ids.device)
        part = real & (number == self.number) & ~torch.isin(input_ids, special)
        return torch.where(part.any(1, keepdim=True), part, real)


def segment_of(wanted: object, n_parts: int, tokenizer: Any) -> Segment:
    """The part that the option `segment` names.

    Args:
        wanted: a number from 1, or `last`.
    Raises:
        ValueError: there is no such part, or the tokenizer has no separator.
    """
    if tokenizer.sep_token_id is None:
        raise ValueError(
            f"options.segment {wanted!r}: the backbone's tokenizer has no separator between parts; "
            "leave segment out, or choose an encoder such as BERT"
        )
    number = n_parts if wanted == "last" else wanted
    if type(number) is not int or not 1 <= number <= n_parts:
        raise ValueError(
            f"options.segment is the number of a part, 1 to {n_parts}, or last, got {wanted!r}; "
            "{sep} in the template parts a text, without a template there are the texts of a pair"
        )
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}  # that is a word
    return Segment(number, n_parts, tokenizer.sep_token_id, tuple(sorted(special)))
