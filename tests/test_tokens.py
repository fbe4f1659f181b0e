"""Tokens: flat arrays equal the tokenizer's output; batches are padded right, grouped by length.

Words of the tiny tokenizer are single tokens, so that lengths can be counted by hand.
"""

from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_backbones import SIZES, make_tokenizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from pipeline.members.bert.cutting import TRUNCATIONS, windows_of
from pipeline.members.bert.tokens import (
    LengthBatches,
    Tokens,
    TrainingRows,
    collate,
    positions_of,
    tokenize,
)
from pipeline.settings.fine_tuning import Training

TEXTS = [("the film",), ("",), ("a train goes on and on about its driver",), ("dull",)]
PAIRS = [("the film", "a train"), ("dull", "the driver goes on"), ("", "warm"), ("grim", "")]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer("bert")


@pytest.fixture(scope="module")
def byte_tokenizer():
    """One whose padding id is not 0, and that gives no type ids."""
    return make_tokenizer("roberta")


def tokens_of(*texts: list[int]) -> Tokens:
    lengths = [len(text) for text in texts]
    flat = np.array([i for text in texts for i in text], dtype=np.int32)
    return Tokens(flat, None, np.concatenate([[0], np.cumsum(lengths)]), 0, pad_id=9)


# --- tokenize


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_every_text_has_the_ids_that_the_tokenizer_gives_it_alone(
    tokenizer, texts, at_once, monkeypatch
):
    monkeypatch.setattr("pipeline.members.bert.tokens.TEXTS_AT_ONCE", at_once)
    tokens = tokenize(tokenizer, texts, max_length=64)
    assert len(tokens) == len(texts)
    for row, text in enumerate(texts):
        alone = tokenizer(*([part] for part in text))  # in a list: bare, an empty second is none
        assert tokens.of(row).tolist() == alone["input_ids"][0]
        span = slice(tokens.starts[row], tokens.starts[row + 1])
        assert tokens.type_ids[span].tolist() == alone["token_type_ids"][0]
        assert tokens.lengths[row] == len(alone["input_ids"][0])
    assert tokens.pad_id == tokenizer.pad_token_id


def test_the_two_texts_of_a_pair_differ_in_their_type(tokenizer):
    tokens = tokenize(tokenizer, [("the film", "a")], max_length=64)
    words = ["[CLS]", "the", "film", "[SEP]", "a", "[SEP]"]
    assert tokens.ids.tolist() == tokenizer.convert_tokens_to_ids(words)
    assert tokens.type_ids.tolist() == [0, 0, 0, 0, 1, 1]


def test_a_tokenizer_without_types_gives_none(byte_tokenizer):
    tokens = tokenize(byte_tokenizer, PAIRS, max_length=64)
    assert tokens.type_ids is None
    assert tokens.pad_id == byte_tokenizer.pad_token_id == 1


def test_cut_texts_are_counted_and_those_that_just_fit_are_not(tokenizer, monkeypatch):
    monkeypatch.setattr("pipeline.members.bert.tokens.TEXTS_AT_ONCE", 1)
    texts = [("the film goes on",), ("the film goes",), ("the",)]  # 6, 5 and 3 tokens
    tokens = tokenize(tokenizer, texts, max_length=5)
    assert tokens.n_cut == 1
    assert tokens.lengths.tolist() == [5, 5, 3]
    words = ["[CLS]", "the", "film", "goes", "[SEP]"]  # the last token stays the separator
    assert tokens.of(0).tolist() == tokenizer.convert_tokens_to_ids(words)
    assert tokenize(tokenizer, texts, max_length=6).n_cut == 0


def test_a_cut_pair_counts_once_and_loses_the_end_of_its_longer_text(tokenizer):
    long = "a train goes on and on about its driver"
    tokens = tokenize(tokenizer, [("dull", long), (long, "dull")], max_length=8)
    assert tokens.n_cut == 2
    assert tokens.lengths.tolist() == [8, 8]
    first, second = (tokenizer.decode(tokens.of(row)) for row in (0, 1))
    assert first == "[CLS] dull [SEP] a train goes on [SEP]"
    assert second == "[CLS] a train goes on [SEP] dull [SEP]"


# --- long texts


def test_every_truncation_is_a_choice_of_the_setting_and_fills_the_room_in_order():
    assert set(get_args(Training.model_fields["truncation"].annotation)) == set(TRUNCATIONS)
    tokens = np.arange(10, 20)
    for truncation in TRUNCATIONS.values():
        for room in range(11):
            kept = truncation.keep(tokens, room)
            assert len(kept) == room
            assert (np.diff(kept) > 0).all()
            assert set(kept) <= set(tokens)


def test_head_tail_keeps_128_tokens_of_the_head_and_382_of_the_tail():
    (window,) = windows_of([None, *[0] * 1000, None], 512, "head_tail", 1, 0.0)
    assert window.tolist() == [0, *range(1, 129), *range(619, 1001), 1001]


@pytest.mark.parametrize(
    ("truncation", "words"),
    [
        ("head", "a train goes on and on"),
        ("tail", "on and on about its driver"),
        ("head_tail", "a train on about its driver"),
    ],
)
def test_a_cut_text_keeps_the_tokens_that_are_asked_for_between_its_special_tokens(
    truncation, words, tokenizer
):
    tokens = tokenize(tokenizer, TEXTS, 8, truncation)
    assert tokenizer.decode(tokens.of(2)) == f"[CLS] {words} [SEP]"
    assert tokens.n_cut == 1
    whole = tokenize(tokenizer, TEXTS, 64)
    for row in (0, 1, 3):
        np.testing.assert_array_equal(tokens.of(row), whole.of(row))


@pytest.mark.parametrize(("truncation", "side"), [("head", "right"), ("tail", "left")])
@pytest.mark.parametrize("architecture", ["bert", "roberta", "llama"])
@pytest.mark.parametrize("texts", [TEXTS, [*PAIRS, ("the " * 9, "a " * 8), ("a " * 9, "warm")]])
def test_head_and_tail_cut_as_the_tokenizer_itself_does(truncation, side, architecture, texts):
    """Texts, and pairs whose first, second or both texts are long."""
    tokenizer = make_tokenizer(architecture)
    for max_length in range(6, 16):
        tokens = tokenize(tokenizer, texts, max_length, truncation)
        tokenizer.truncation_side = side
        columns = [list(column) for column in zip(*texts, strict=True)]
        wanted = tokenizer(*columns, max_length=max_length, truncation=True)["input_ids"]
        assert [tokens.of(row).tolist() for row in range(len(texts))] == wanted


def decoded(tokenizer, ids, max_length) -> list[str]:
    return [
        tokenizer.decode(ids[start : start + max_length])
        for start in range(0, len(ids), max_length)
    ]


@pytest.mark.parametrize(
    ("truncation", "n_windows", "n_cut", "windows"),
    [
        ("head", 9, 0, ["a train goes on", "on and on about", "about its driver"]),
        ("head", 2, 1, ["a train goes on", "on and on about"]),
        ("tail", 2, 1, ["goes on and on", "on about its driver"]),
        ("head_tail", 2, 1, ["a train and on", "on about its driver"]),
    ],
)
def test_a_long_text_is_read_in_full_windows_that_overlap(
    truncation, n_windows, n_cut, windows, tokenizer
):
    """A quarter of the four tokens between the special ones is one."""
    tokens = tokenize(tokenizer, TEXTS, 6, truncation, n_windows, 0.25)
    found = decoded(tokenizer, tokens.of(2), 6)
    assert found == [f"[CLS] {words} [SEP]" for words in windows]
    assert tokens.n_cut == n_cut


def test_a_text_of_one_token_too_many_takes_two_windows(tokenizer):
    for n_words, n_windows in ((4, 1), (5, 2), (7, 2), (8, 3)):
        tokens = tokenize(tokenizer, [("the " * n_words,)], 6, "head", 9, 0.25)
        assert len(decoded(tokenizer, tokens.of(0), 6)) == n_windows
        assert tokens.n_cut == 0


@pytest.mark.parametrize(
    ("pair", "beginning", "end", "n_first"),
    [
        ((TEXTS[2][0], "dull"), "[CLS] a train goes on [SEP]", "[SEP] dull [SEP]", 6),
        (("warm bright", TEXTS[2][0]), "[CLS] warm bright [SEP]", "train goes [SEP]", 4),
    ],
)
def test_every_window_of_a_pair_holds_its_shorter_text(pair, beginning, end, n_first, tokenizer):
    tokens = tokenize(tokenizer, [pair], 8, "head", 9, 0.0)
    windows = decoded(tokenizer, tokens.of(0), 8)
    assert windows[0].startswith(beginning)
    assert windows[0].endswith(end)
    assert [f"] {min(pair, key=len)} [SEP]" in window for window in windows] == [True] * 3
    assert tokens.type_ids[:8].tolist() == [0] * n_first + [1] * (8 - n_first)
    assert tokens.n_cut == 0


@given(
    n=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    max_length=st.integers(4, 30),
    truncation=st.sampled_from(sorted(TRUNCATIONS)),
    n_windows=st.integers(1, 9),
    overlap=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=100, deadline=None)
def test_windows_are_full_but_the_last_and_hold_a_text_that_fits(
    n, max_length, truncation, n_windows, overlap
):
    sequences = [None, *[0] * n[0], None, *[1] * n[1], None]
    windows = windows_of(sequences, max_length, truncation, n_windows, overlap)
    assert 1 <= len(windows) <= n_windows
    for window in windows:
        assert {0, n[0] + 1, n[0] + n[1] + 2} <= set(window)
        assert (np.diff(window) > 0).all()
    assert {len(window) for window in windows[:-1]} <= {max_length}
    assert len(windows[-1]) <= max_length
    if len(sequences) <= max_length:
        assert windows[0].tolist() == list(range(len(sequences)))
    elif len(windows) < n_windows and min(n) <= (max_length - 3) // 2:
        assert len(np.unique(np.concatenate(windows))) == len(sequences)


@pytest.mark.parametrize("settings", [{"max_position_embeddings": -1}, {}], ids=["XLNet", "T5"])
def test_a_backbone_without_positions_has_none_to_run_out_of(settings):
    assert positions_of(SimpleNamespace(**settings)) == 0


@pytest.mark.parametrize("pad_id", [0, 1])
def test_a_roberta_reads_up_to_its_last_position(pad_id):
    config = AutoConfig.for_model(
        "roberta", **SIZES | {"type_vocab_size": 1}, vocab_size=9, pad_token_id=pad_id
    )
    backbone = AutoModel.from_config(config)
    longest = positions_of(config)
    ids = torch.full((1, longest + 1), 3)
    assert backbone(ids[:, :-1]).last_hidden_state.shape[1] == longest
    with pytest.raises((IndexError, RuntimeError), match="index"):
        backbone(ids)


def test_a_tokenizer_whose_files_cut_and_pad_texts_does_neither():
    """That of MiniLM cuts and pads them to 128 tokens."""
    tokenizer = make_tokenizer("bert")
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.enable_padding(length=32)
    tokens = tokenize(tokenizer, [("the film goes on",), ("dull",)], max_length=64)
    assert tokens.lengths.tolist() == [6, 3]


def test_capital_letters_are_those_that_the_tokenizer_makes_of_them():
    """Some of them are letters of [SEP] and the like."""
    tokenizer = make_tokenizer("bert")
    tokens = tokenize(tokenizer, [("The FILM, SPLENDID",)], max_length=64)
    words = ["[CLS]", "the", "film", ",", "splendid", "[SEP]"]
    assert tokens.ids.tolist() == tokenizer.convert_tokens_to_ids(words)


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
def test_a_special_token_that_a_text_spells_is_text(architecture):
    """A forum post about BERT would end at its first [SEP], as [SEP] ends every text."""
    tokenizer = make_tokenizer(architecture)
    at_the_ends = {tokenizer.cls_token_id: 1, tokenizer.sep_token_id: 1}
    for token in tokenizer.all_special_tokens:
        ids = tokenize(tokenizer, [(f"a {token} b{token}{token}",)], 64).ids.tolist()
        # characters that the tiny vocabulary lacks are unknown
        for special in {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}:
            assert ids.count(special) == at_the_ends.get(special, 0)


def test_a_special_token_is_text_where_the_vocabulary_holds_it_as_a_piece():
    """In DeBERTa-v3 and XLM-R; splitting special tokens alone would find the piece."""
    pieces = [(token, 0.0) for token in ("<pad>", "<s>", "</s>", "<unk>")]
    pieces += [(piece, -3.0) for piece in ("▁", "a", "<", "/", "s", ">")]
    inner = Tokenizer(models.Unigram(pieces, unk_id=3))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    named = {"pad_token": "<pad>", "unk_token": "<unk>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    tokens = tokenize(tokenizer, [("a </s>a",)], 64)
    spelled = ["▁", "a", "▁", "<", "▁", "/", "s", ">", "a"]
    assert tokenizer.convert_ids_to_tokens(tokens.ids) == spelled
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    tokens = tokenize(tokenizer, [("a ＜/s＞a\0",)], 64)
    assert tokenizer.convert_ids_to_tokens(tokens.ids) == [*spelled, "</s>"]


def test_only_the_separator_of_a_template_is_a_token(tokenizer, byte_tokenizer):
    tokens = tokenize(tokenizer, [("the\0film",)], max_length=64)
    words = ["[CLS]", "the", "[SEP]", "film", "[SEP]"]
    assert tokens.ids.tolist() == tokenizer.convert_tokens_to_ids(words)
    assert set(tokens.type_ids.tolist()) == {0}
    ids = tokenize(byte_tokenizer, [("a\0</s>",)], max_length=64).ids
    assert (ids == byte_tokenizer.sep_token_id).sum() == 2


def test_a_tokenizer_without_a_separator_reads_a_line_break():
    tokenizer = make_tokenizer("roberta")
    tokenizer.sep_token = None
    tokens, broken = (tokenize(tokenizer, [(t,)], 64) for t in ("the\0film", "the\nfilm"))
    np.testing.assert_array_equal(tokens.ids, broken.ids)


def test_no_texts_are_no_tokens(tokenizer):
    tokens = tokenize(tokenizer, [], max_length=8)
    assert (len(tokens), len(tokens.ids), tokens.lengths.tolist()) == (0, 0, [])


def test_a_tokenizer_that_cannot_pad_is_refused():
    tokenizer = make_tokenizer("bert")
    tokenizer.pad_token = tokenizer.eos_token = None
    with pytest.raises(ValueError, match=r"\bpadding\b"):
        tokenize(tokenizer, TEXTS, max_length=8)


def test_a_tokenizer_without_a_padding_token_pads_with_that_of_the_end():
    tokenizer = make_tokenizer("bert")
    tokenizer.pad_token = None
    assert tokenize(tokenizer, TEXTS, max_length=8).pad_id == tokenizer.eos_token_id


@pytest.mark.parametrize("architecture", ["llama", "bert"], ids=["without types", "with types"])
def test_an_empty_text_of_which_a_decoder_makes_no_token_is_that_of_the_end(architecture):
    tokenizer = make_tokenizer(architecture)
    tokenizer.backend_tokenizer.post_processor = processors.Sequence([])
    tokenizer.pad_token = None
    tokens = tokenize(tokenizer, [("",), ("film",)], max_length=8)
    assert tokens.of(0).tolist() == [tokenizer.eos_token_id]
    assert tokens.lengths.tolist() == [1, 1]
    assert tokens.type_ids is None or tokens.type_ids.tolist() == [0, 0]


# --- take


@pytest.mark.parametrize("rows", [[2, 0], [1], [3, 3, 1], []], ids=str)
def test_take_gives_the_rows_that_are_asked_for_in_that_order(tokenizer, rows):
    tokens = tokenize(tokenizer, PAIRS, max_length=64)
    taken = tokens.take(np.array(rows, dtype=np.int64))
    assert len(taken) == len(rows)
    for at, row in enumerate(rows):
        assert taken.of(at).tolist() == tokens.of(row).tolist()
        types = tokens.type_ids[tokens.starts[row] : tokens.starts[row + 1]]
        assert taken.type_ids[taken.starts[at] : taken.starts[at + 1]].tolist() == types.tolist()
    assert taken.ids.dtype == np.int32
    assert taken.pad_id == tokens.pad_id


# --- collate


def test_a_batch_is_padded_on_the_right_to_its_longest_text():
    batch = collate(tokens_of([5, 6], [7], [1, 2, 3, 4]), [1, 0])
    assert batch["input_ids"].tolist() == [[7, 9], [5, 6]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert "token_type_ids" not in batch
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_a_batch_is_what_the_tokenizer_itself_pads(tokenizer, texts):
    rows = [2, 0, 3]
    batch = collate(tokenize(tokenizer, texts, max_length=64), rows)
    columns = zip(*(texts[row] for row in rows), strict=True)
    wanted = tokenizer(*(list(column) for column in columns), padding=True, return_tensors="pt")
    assert set(batch) == set(wanted)
    for name, tensor in batch.items():
        assert torch.equal(tensor, wanted[name]), name


def test_training_rows_carry_the_label_of_their_own_text():
    tokens = tokens_of([5], [6], [7], [8])
    labels = torch.tensor([[0.5], [0.7]])
    dataset = TrainingRows(tokens, np.array([3, 1]), labels)
    batch = dataset.collate([dataset[1], dataset[0]])
    assert batch["input_ids"].tolist() == [[6], [8]]
    assert torch.equal(batch["labels"], torch.tensor([[0.7], [0.5]]))
    assert len(dataset) == 2
    assert dataset.lengths.tolist() == [1, 1]


@pytest.mark.parametrize("indices", [[0, 1], [1, 0]])
def test_a_long_and_a_short_text_keep_their_own_labels(indices):
    dataset = TrainingRows(tokens_of([5], [6, 7, 8]), np.array([0, 1]), torch.tensor([0, 1]))
    batch = dataset.collate(indices)
    rows = {0: [5, 9, 9], 1: [6, 7, 8]}
    assert batch["input_ids"].tolist() == [rows[label] for label in batch["labels"].tolist()]
    assert sorted(batch["labels"].tolist()) == [0, 1]


# --- LengthBatches


def batches_of(sampler: LengthBatches) -> list[list[int]]:
    order = list(sampler)
    return [order[i : i + sampler.batch_size] for i in range(0, len(order), sampler.batch_size)]


def padding(batches: list[list[int]], lengths: np.ndarray) -> int:
    """Tokens that fill up the batches."""
    return sum(int(lengths[b].max() * len(b) - lengths[b].sum()) for b in batches)


@given(n=st.integers(0, 700), batch_size=st.integers(1, 64), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_epoch_yields_every_row_once(n, batch_size, seed):
    lengths = np.random.default_rng(seed).integers(1, 128, n)
    sampler = LengthBatches(lengths, batch_size, seed)
    assert len(sampler) == n
    for _ in range(2):
        assert sorted(sampler) == list(range(n))


@given(n=st.integers(1, 700), batch_size=st.integers(1, 64), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_batch_but_the_last_is_full(n, batch_size, seed):
    *full, last = batches_of(LengthBatches(np.full(n, 7), batch_size, seed))
    assert all(len(batch) == batch_size for batch in full)
    assert len(last) == n - batch_size * len(full)


@pytest.mark.parametrize("n", [300, 3000])
def test_epochs_differ_in_batches_and_their_order(n):
    sampler = LengthBatches(np.arange(n), 16, 7)  # no two rows are of one length
    first, second = ([frozenset(batch) for batch in batches_of(sampler)] for _ in range(2))
    assert len(set(first) & set(second)) < len(first) / 10


def test_two_batches_of_rows_are_dealt_anew_every_epoch():
    sampler = LengthBatches(np.arange(8), 4, 7)
    epochs = [frozenset(frozenset(batch) for batch in batches_of(sampler)) for _ in range(5)]
    assert len(set(epochs)) == 5


def test_one_seed_gives_the_same_epochs_and_another_one_others():
    lengths = np.random.default_rng(0).integers(3, 60, 500)
    one, same, other = (LengthBatches(lengths, 16, seed) for seed in (7, 7, 8))
    epochs = [list(one), list(one)]
    assert epochs == [list(same), list(same)]
    assert epochs[0] != list(other)


def test_batches_hold_a_tenth_of_the_padding_of_random_ones():
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 128, 3200)
    grouped = padding(batches_of(LengthBatches(lengths, 32, 0)), lengths)
    by_chance = padding(rng.permutation(3200).reshape(-1, 32).tolist(), lengths)
    assert grouped < by_chance / 10


def test_batches_do_not_come_from_long_to_short():
    lengths = np.arange(1, 1601)
    means = [lengths[batch].mean() for batch in batches_of(LengthBatches(lengths, 32, 0))]
    drift = np.corrcoef(means, np.arange(len(means)))[0, 1]
    assert abs(drift) < 0.4  # of 50 batches; sorted ones have -1


def test_no_rows_are_no_batches():
    assert list(LengthBatches(np.zeros(0, dtype=np.int64), 8, 0)) == []


def test_a_slow_tokenizer_is_refused_by_name():
    slow = SimpleNamespace(is_fast=False, name_or_path="some/backbone")
    with pytest.raises(ValueError, match=r"some/backbone: .*tokenizer\.json"):
        tokenize(slow, [("a text",)], 8)
