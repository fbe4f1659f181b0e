"""Parts of templates and pairs, found by their separators; poolings of a part: test_poolings.py."""

import re

import numpy as np
import pytest
import torch
from tiny_backbones import make_tokenizer

from pipeline.members.bert.named_poolings import build_pooling
from pipeline.members.bert.segments import Segment, segment_of
from pipeline.members.bert.tokens import collate, tokenize
from pipeline.settings.template import filled, n_parts

CLS, SEP, PAD = 1, 2, 0
SPECIAL = (CLS, PAD, SEP)


def places(segment, *texts):
    """Positions of the part in each text of ids; the texts are padded on the right."""
    longest = max(map(len, texts))
    ids = torch.tensor([[*text, *[PAD] * (longest - len(text))] for text in texts])
    return [row.nonzero().flatten().tolist() for row in segment.within(ids != PAD, ids)]


def test_parts_by_hand():
    texts = [CLS, 5, 6, SEP, 7, SEP, 8, 9, SEP], [CLS, 5, SEP, SEP, 8, SEP]
    assert places(Segment(1, 3, SEP, SPECIAL), *texts) == [[1, 2], [1]]
    assert places(Segment(3, 3, SEP, SPECIAL), *texts) == [[6, 7], [4]]
    first, empty = places(Segment(2, 3, SEP, SPECIAL), *texts)
    assert first == [4]
    assert empty == [0, 1, 2, 3, 4, 5]  # all of it, rather than nothing


def test_the_second_text_of_a_pair_is_what_follows_all_separators_between():
    texts = (
        [CLS, 5, SEP, 6, 7, SEP],  # BERT
        [CLS, 5, SEP, SEP, 6, 7, SEP],  # RoBERTa
        [CLS, SEP, SEP, 6, 7, SEP],  # with an empty first text
        [5, SEP, 6, 7, SEP, CLS],  # XLNet
        [CLS, 5, 6, SEP],  # without a second text
    )
    found = places(Segment(2, 2, SEP, SPECIAL), *texts)
    assert found == [[3, 4], [4, 5], [3, 4], [2, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
@pytest.mark.parametrize(
    ("template", "wanted", "said"),
    [
        (None, 1, "the film"),
        (None, "last", "a train"),
        ("{x}{sep}{y}{sep}{x} {{sep}}", 2, "a train"),
        ("{x}{sep}{y}{sep}{x} {{sep}}", "last", "the film {sep}"),
    ],
)
def test_tokens_of_a_part_spell_its_text(architecture, template, wanted, said):
    tokenizer, rows = make_tokenizer(architecture), [("the film", "a train"), ("a", "the")]
    texts = filled(template, ("x", "y"), rows) if template else rows
    batch = collate(tokenize(tokenizer, texts, 60), np.array([0, 1]))
    segment = segment_of(wanted, n_parts(template), tokenizer)
    part = segment.within(batch["attention_mask"].bool(), batch["input_ids"])[0]
    alone = tokenize(tokenizer, [(said,)], 60).of(0)[1:-1]
    assert batch["input_ids"][0][part].tolist() == alone.tolist()


def test_an_unknown_word_belongs_to_its_part():
    tokenizer = make_tokenizer("bert")
    assert tokenizer.unk_token_id not in segment_of(1, 1, tokenizer).special_ids
    assert {tokenizer.cls_token_id, tokenizer.sep_token_id} <= {
        *segment_of(1, 1, tokenizer).special_ids
    }


def test_only_the_part_that_tells_predicts_the_label():
    random = np.random.default_rng(0)
    words = random.normal(size=(20, 8))
    ids = random.integers(3, 20, (400, 14))
    ids[:, 0], ids[:, [9, 13]] = CLS, SEP  # eight tokens, then three that tell
    y = words[ids[:, 10:13], 0].sum(1)
    layers = (torch.tensor(words[ids], dtype=torch.float32),) * 2
    found = {}
    for number in (1, 2, None):
        segment = number and Segment(number, 2, SEP, SPECIAL)
        pool = build_pooling("mean", 8, 1, segment=segment)
        x = pool(layers, torch.ones(ids.shape), torch.tensor(ids)).numpy()
        weights = np.linalg.lstsq(x[:200], y[:200])[0]
        found[number] = np.corrcoef(x[200:] @ weights, y[200:])[0, 1]
    assert found[2] > 0.999
    assert found[None] < 0.8
    assert found[1] < 0.2


@pytest.mark.parametrize("wanted", [0, 3, "first", True, 1.0, [2]])
def test_a_part_that_is_not_there_is_refused(wanted):
    with pytest.raises(ValueError, match=rf"segment\b.*1 to 2\b.* {re.escape(repr(wanted))};"):
        segment_of(wanted, 2, make_tokenizer("bert"))


def test_a_tokenizer_without_a_separator_is_refused():
    tokenizer = make_tokenizer("bert")
    tokenizer.sep_token = None
    with pytest.raises(ValueError, match="segment 2: .*separator"):
        segment_of(2, 2, tokenizer)
