"""The pooling contract for each of `POOLINGS`, then values by hand, limits and errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.members.bert.named_poolings import build_pooling, pooling_options
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.segments import Segment

H, L, VOCAB = 8, 6, 20
CLS_ID, SEP_ID, PAD_ID = 17, 18, 19  # and 0 an ordinary token, so that no 0 goes unnoticed
KNOWN = {"vocab_size": VOCAB, "special_ids": [CLS_ID, SEP_ID, PAD_ID]}
TRAINING_TEXTS = [[17, 3, 4, 5, 18], [17, 3, 3, 4, 18], [17, 3, 0, 18], [17, 12, 13, 18]]
FLOAT32_MAX = torch.finfo(torch.float32).max

# their vectors are no averages of the tokens
TRANSFORMING = {"mean_sqrt_len", "lstm"}

every_pooling = pytest.mark.parametrize("name", [*sorted(POOLINGS), "mean+idf+concat_layers"])
every_average = pytest.mark.parametrize("name", sorted(set(POOLINGS) - TRANSFORMING))
every_single = pytest.mark.parametrize("name", sorted(POOLINGS))


def build(name, **options):
    """The pooling, with what it takes of the backbone's; `options` are for all of several."""
    parts = name.split("+")
    of = {p: {k: KNOWN[k] for k in pooling_options(p) if k in KNOWN} | options for p in parts}
    return build_pooling(name, H, L, **of if len(parts) > 1 else of[name])


def make_pool(name, seed=0, **options):
    """A fitted pooling whose parameters are far from their start, so that none is a mean."""
    pool = build(name, **options)
    pool.fit(TRAINING_TEXTS)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for parameter in pool.parameters():
            nn.init.normal_(parameter)
    return pool


def make_texts(n_texts, n_tokens, seed=0, dtype=torch.float32):
    """Unpadded texts: [CLS], ordinary tokens, [SEP]; all values differ."""
    random = torch.Generator().manual_seed(seed)
    layers = tuple(
        torch.randn(n_texts, n_tokens, H, generator=random).to(dtype) for _ in range(L + 1)
    )
    ids = torch.randint(0, CLS_ID, (n_texts, n_tokens), generator=random)
    ids[:, 0] = CLS_ID
    if n_tokens > 2:
        ids[:, -1] = SEP_ID
    return layers, torch.ones(n_texts, n_tokens, dtype=torch.long), ids


def pad(texts, left, right, poison):
    """The same texts with `poison` in every padded position of every layer."""
    layers, mask, ids = texts
    padded = tuple(nn.functional.pad(h, (0, 0, left, right), value=poison) for h in layers)
    return (
        padded,
        nn.functional.pad(mask, (left, right), value=0),
        nn.functional.pad(ids, (left, right), value=PAD_ID),
    )


def gradients(pool, texts):
    """Gradients of a functional that weighs every output differently: an even sum would hide the
    gradient of whatever only moves values between features."""
    layers, mask, ids = texts
    layers = tuple(h.clone().requires_grad_() for h in layers)
    pool.zero_grad()
    out = pool(layers, mask, ids)
    (out * torch.linspace(-1, 2, out.numel()).view_as(out)).sum().backward()
    return layers, {key: parameter.grad.clone() for key, parameter in pool.named_parameters()}


def one_text(*tokens, padding=()):
    """One text of hand-written tokens and padding at its end, the same in all layers."""
    hidden = torch.tensor([[*tokens, *padding]])
    mask = torch.tensor([[1] * len(tokens) + [0] * len(padding)])
    return (hidden,) * (L + 1), mask, torch.full(mask.shape, 5)


# The contract


@every_pooling
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n_tokens=st.integers(1, 6),
    left=st.integers(0, 4),
    right=st.integers(0, 4),
    poison=st.sampled_from([0.0, 1e-3, 65504.0, -65504.0, 1e30, -1e30, FLOAT32_MAX, -FLOAT32_MAX]),
)
def test_padding_a_text_changes_nothing(name, n_tokens, left, right, poison):
    pool, text = make_pool(name), make_texts(2, n_tokens, seed=n_tokens)
    padded = pad(text, left, right, poison)
    torch.testing.assert_close(pool(*padded), pool(*text), atol=1e-5, rtol=0)


@every_pooling
@pytest.mark.parametrize("shift", [10.0, -10.0])
def test_padding_changes_nothing_where_all_values_have_one_sign(name, shift):
    layers, mask, ids = make_texts(2, 4)
    text = tuple(h + shift for h in layers), mask, ids
    pool = make_pool(name)
    for poison in (0.0, 1e-4, -1e4, 1e4):
        torch.testing.assert_close(pool(*pad(text, 1, 2, poison)), pool(*text), atol=1e-5, rtol=0)


@every_pooling
@pytest.mark.parametrize("value", [-1e6, 1e6])
def test_no_constant_of_a_mask_is_larger_than_the_values_can_get(name, value):
    pool, text = make_pool(name), one_text([value] * H, [value] * H)
    torch.testing.assert_close(pool(*pad(text, 2, 2, 0.0)), pool(*text))


@every_pooling
@pytest.mark.parametrize("poison", [1e30, -FLOAT32_MAX, math.inf, math.nan])
def test_padding_changes_no_gradient_and_receives_none(name, poison):
    pool, text = make_pool(name), make_texts(2, 5)
    unpadded_layers, expected = gradients(pool, text)
    padded_layers, found = gradients(pool, pad(text, 2, 3, poison))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for padded, unpadded in zip(padded_layers, unpadded_layers, strict=True):
        if unpadded.grad is not None:
            torch.testing.assert_close(padded.grad[:, 2:-3], unpadded.grad, atol=1e-5, rtol=1e-5)
            assert not padded.grad[:, :2].any()
            assert not padded.grad[:, -3:].any()


@every_pooling
def test_any_token_id_may_stand_in_the_padding(name):
    pool, (layers, mask, ids) = make_pool(name), pad(make_texts(2, 4), 1, 2, 7.0)
    for padding_id in (-100, 3, VOCAB + 5):
        other = pool(layers, mask, ids.masked_fill(mask == 0, padding_id))
        assert torch.equal(other, pool(layers, mask, ids))


@every_pooling
def test_a_row_does_not_depend_on_its_batch(name):
    pool = make_pool(name)
    short, long = pad(make_texts(2, 3, seed=1), 2, 4, 1e30), make_texts(2, 9, seed=2)
    layers = tuple(torch.cat(pair) for pair in zip(short[0], long[0], strict=True))
    mask, ids = torch.cat([short[1], long[1]]), torch.cat([short[2], long[2]])
    together = pool(layers, mask, ids)
    for row in range(4):
        alone = pool(tuple(h[row : row + 1] for h in layers), mask[row : row + 1], ids[[row]])
        torch.testing.assert_close(together[[row]], alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 0.1


@every_pooling
def test_a_reloaded_state_dict_gives_the_same_output(name, tmp_path):
    trained, text = make_pool(name), pad(make_texts(3, 5), 1, 1, 1e30)
    torch.save(trained.state_dict(), tmp_path / "pooling.pt")
    fresh = build(name)
    if trained.state_dict():
        assert not torch.allclose(fresh(*text), trained(*text))
    fresh.load_state_dict(torch.load(tmp_path / "pooling.pt"))
    assert torch.equal(fresh(*text), trained(*text))


@every_pooling
def test_every_parameter_is_a_registered_float32_leaf_that_learns(name):
    pool = make_pool(name)
    _, found = gradients(pool, make_texts(3, 5))
    before = {key: parameter.detach().clone() for key, parameter in pool.named_parameters()}
    if before:
        torch.optim.SGD(pool.parameters(), lr=1.0).step()
    for key, parameter in pool.named_parameters():
        assert parameter.is_leaf
        assert parameter.requires_grad
        assert parameter.dtype == torch.float32
        assert key in pool.state_dict()
        assert found[key].abs().max() > 1e-4
        assert not torch.equal(parameter, before[key])


@every_pooling
def test_no_tensor_hides_outside_the_parameters_and_buffers(name):
    for module in make_pool(name).modules():
        assert [key for key, value in vars(module).items() if isinstance(value, torch.Tensor)] == []


@every_pooling
def test_output_has_the_shape_it_promises(name):
    pool = make_pool(name)
    out = pool(*make_texts(3, 5))
    assert out.shape == (3, pool.output_dim)
    assert out.dtype == torch.float32


@every_pooling
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_pooled_in_float32(name, dtype):
    pool = make_pool(name)
    layers, mask, ids = pad(make_texts(3, 40, dtype=dtype), 2, 2, torch.finfo(dtype).max)
    out = pool(layers, mask, ids)
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert torch.equal(out, pool(tuple(h.float() for h in layers), mask, ids))


@every_pooling
def test_half_precision_values_at_their_limit_stay_finite(name):
    limit = torch.finfo(torch.float16).max
    layers, mask, ids = make_texts(2, 300, dtype=torch.float16)
    out = make_pool(name)(tuple(torch.full_like(h, limit) for h in layers), mask, ids)
    assert out.isfinite().all()
    if name in set(POOLINGS) - TRANSFORMING:
        torch.testing.assert_close(out, torch.full_like(out, limit))


@every_pooling
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_nothing(name, dtype):
    pool, text = make_pool(name), pad(make_texts(3, 40, dtype=dtype), 2, 2, 1e30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = pool(*text)
    assert out.dtype == torch.float32
    assert torch.equal(out, pool(*text))


@every_single
def test_layers_below_the_last_count_where_the_pooling_reads_them(name):
    pool, (layers, mask, ids) = make_pool(name), pad(make_texts(3, 5), 1, 2, 1e30)
    others = tuple(torch.full_like(h, 777.0) for h in layers[:-1])
    unchanged = torch.equal(pool((*others, layers[-1]), mask, ids), pool(layers, mask, ids))
    assert unchanged is POOLINGS[name].reads_one_layer


@every_pooling
@pytest.mark.parametrize("layer", [0, 3, L])
def test_with_a_layer_the_backbone_might_as_well_end_there(name, layer):
    layers, mask, ids = pad(make_texts(3, 5), 1, 2, 1e30)
    pool = make_pool(name, layer=layer)
    others = tuple(torch.full_like(h, 777.0) for h in layers[layer + 1 :])
    found = pool(layers, mask, ids)
    assert torch.equal(pool((*layers[: layer + 1], *others), mask, ids), found)
    changed = (*layers[:layer], layers[layer] + 1)
    assert not torch.allclose(pool((*changed, *others), mask, ids), found)


@every_pooling
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_segment_is_pooled_as_if_it_were_all_of_the_text(name, number):
    layers, mask, ids = make_texts(2, 11)
    ids[:, [3, 6, 10]] = SEP_ID  # [CLS] a a [SEP] b b [SEP] c c c [SEP]
    part = [slice(1, 3), slice(4, 6), slice(7, 10)][number - 1]
    segment = Segment(number, 3, SEP_ID, (CLS_ID, SEP_ID, PAD_ID))
    found = make_pool(name, segment=segment)(*pad((layers, mask, ids), 2, 1, 1e30))
    alone = tuple(h[:, part] for h in layers), mask[:, part], ids[:, part]
    torch.testing.assert_close(found, make_pool(name)(*alone), atol=1e-5, rtol=1e-5)


@every_pooling
def test_inputs_are_not_modified(name):
    layers, mask, ids = pad(make_texts(3, 5), 1, 2, 1e30)
    inputs = [*layers, mask, ids]
    before = [(tensor.clone(), tensor._version) for tensor in inputs]
    make_pool(name)(layers, mask, ids).mul_(2)
    for tensor, (values, version) in zip(inputs, before, strict=True):
        assert torch.equal(tensor, values)
        assert tensor._version == version


@every_pooling
@pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
def test_the_mask_may_be_of_any_type(name, dtype):
    pool, (layers, mask, ids) = make_pool(name), pad(make_texts(3, 5), 1, 2, 1e30)
    assert torch.equal(pool(layers, mask.to(dtype), ids), pool(layers, mask, ids))


@every_pooling
@pytest.mark.parametrize("poison", [1.0, 1e30, math.nan])
def test_a_text_without_real_tokens_is_zeros_with_finite_gradients(name, poison):
    pool, (layers, mask, ids) = make_pool(name), make_texts(3, 5)
    alone = pool(layers, mask, ids)
    mask[1] = 0
    for hidden in layers:
        hidden[1] = poison
    out = pool(layers, mask, ids)
    assert not out[1].any()
    torch.testing.assert_close(out[[0, 2]], alone[[0, 2]], atol=1e-5, rtol=0)
    with_gradient, found = gradients(pool, (layers, mask, ids))
    assert all(gradient.isfinite().all() for gradient in found.values())
    for hidden in with_gradient:
        assert hidden.grad is None or hidden.grad.isfinite().all()


@every_average
def test_a_text_of_one_token_is_that_token(name):
    text = one_text([0.5, -1.0, 2.0, 3.0, -4.0, 0.0, 1.0, 8.0], padding=[[1e30] * H])
    for vector in make_pool(name)(*text).split(H, dim=1):
        torch.testing.assert_close(vector, text[0][-1][:, 0])


@every_pooling
def test_an_unfitted_pooling_works(name):
    assert build(name)(*make_texts(3, 5)).isfinite().all()


# By hand: three tokens of two features, then a padded one


def test_cls_is_the_first_token_by_hand():
    text = one_text([1.0, -2.0], [3.0, 4.0], [5.0, -6.0])
    out = build_pooling("cls", 2, L)(*pad(text, 2, 1, 9.0))
    assert out.tolist() == [[1.0, -2.0]]


def test_last_is_the_last_real_token_by_hand():
    text = one_text([1.0, -2.0], [3.0, 4.0], [5.0, -6.0])
    assert build_pooling("last", 2, L)(*pad(text, 1, 2, 9.0)).tolist() == [[5.0, -6.0]]


def test_weighted_mean_counts_the_real_tokens_from_1_by_hand():
    text = one_text([6.0, 0.0], [0.0, 3.0], [2.0, -4.0])  # weights 1/6, 2/6, 3/6
    out = build_pooling("weighted_mean", 2, L)(*pad(text, 2, 1, 9.0))
    torch.testing.assert_close(out, torch.tensor([[2.0, -1.0]]))


def test_mean_by_hand():
    text = one_text([1.0, -2.0], [3.0, 4.0], [5.0, -8.0], padding=[[100.0, 100.0]])
    assert build_pooling("mean", 2, L)(*text).tolist() == [[3.0, -2.0]]


def test_max_by_hand_where_every_value_is_negative():
    text = one_text([-1.0, -20000.0], [-3.0, -40000.0], [-5.0, -30000.0], padding=[[0.0, 0.0]])
    assert build_pooling("max", 2, L)(*text).tolist() == [[-1.0, -20000.0]]


def test_min_by_hand_where_every_value_is_positive():
    text = one_text([1.0, 20000.0], [3.0, 40000.0], [5.0, 30000.0], padding=[[0.0, 0.0]])
    assert build_pooling("min", 2, L)(*text).tolist() == [[1.0, 20000.0]]


def test_weighted_layer_by_hand():
    _, mask, ids = one_text([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], padding=[[0.0, 0.0]])
    lower = torch.tensor([[[4.0, 0.0], [4.0, 0.0], [4.0, 12.0], [99.0, 99.0]]])  # mean 4, 4
    upper = torch.tensor([[[0.0, 8.0], [6.0, 8.0], [18.0, 8.0], [99.0, 99.0]]])  # mean 8, 8
    embeddings = torch.full_like(lower, 1e6)
    pool = build_pooling("weighted_layer", 2, 2, layer_start=1)
    assert pool((embeddings, lower, upper), mask, ids).tolist() == [[6.0, 6.0]]
    with torch.no_grad():
        pool.layer_weights.copy_(torch.tensor([0.0, math.log(3)]))  # softmax: 1/4, 3/4
    torch.testing.assert_close(pool((embeddings, lower, upper), mask, ids), torch.full((1, 2), 7.0))


@pytest.mark.parametrize(("num_layers", "first"), [(12, 9), (6, 3), (4, 1), (3, 1), (1, 1)])
def test_weighted_layer_starts_with_the_last_four_layers_but_never_the_embeddings(
    num_layers, first
):
    layers = tuple(torch.full((1, 3, 2), float(i)) for i in range(num_layers + 1))
    mask = torch.ones(1, 3)
    out = build_pooling("weighted_layer", 2, num_layers)(layers, mask, mask.long())
    torch.testing.assert_close(out, torch.full((1, 2), (first + num_layers) / 2))


def test_attention_by_hand():
    pool = build_pooling("attention", 2, L)
    linear, norm, _, last = pool.score
    with torch.no_grad():
        linear.weight.copy_(torch.eye(2))
        linear.bias.zero_()
        # LayerNorm makes (1, -1) of a token whose first feature is larger, else (-1, 1), and
        # gelu(1) - gelu(-1) = 1: scores log(3) apart, so weights of 3/5, 1/5, 1/5
        last.weight.copy_(torch.tensor([[math.log(3), 0.0]]))
    assert torch.equal(norm.weight, torch.ones(2))
    text = one_text([50.0, 0.0], [0.0, 50.0], [-100.0, 200.0], padding=[[1e30, 0.0]])
    torch.testing.assert_close(pool(*text), torch.tensor([[10.0, 50.0]]), atol=1e-4, rtol=0)


def test_mean_sqrt_len_by_hand():
    text = one_text([1.0, -2.0], [3.0, 4.0], [5.0, -8.0], [-1.0, 0.0], padding=[[99.0, 99.0]])
    assert build_pooling("mean_sqrt_len", 2, L)(*text).tolist() == [[4.0, -3.0]]  # sums / 2


def test_gem_by_hand():
    # above the smallest, -1 and 2: 0, 1, 2 and 0, 6, 3
    text = one_text([-1.0, 2.0], [0.0, 8.0], [1.0, 5.0], padding=[[1e30, -1e30]])
    pool = build_pooling("gem", 2, L)
    cubes = torch.tensor([[-1 + 3 ** (1 / 3), 2 + 81 ** (1 / 3)]])  # means 9 / 3 and 243 / 3
    torch.testing.assert_close(pool(*text), cubes)


def test_concat_layers_by_hand():
    layers = tuple(torch.tensor([[[float(k), 10.0 * k], [k + 2.0, 0.0]]]) for k in range(4))
    mask = torch.ones(1, 2)
    first = build_pooling("concat_layers", 2, 3, layers=2)
    assert first(layers, mask, mask.long()).tolist() == [[2.0, 20.0, 3.0, 30.0]]
    mean = build_pooling("concat_layers", 2, 3, layers=3, tokens="mean")
    assert mean(layers, mask, mask.long()).tolist() == [[2.0, 5.0, 3.0, 10.0, 4.0, 15.0]]
    assert build_pooling("concat_layers", 2, 12).output_dim == 8  # of four layers


def test_lstm_by_hand():
    pool = build_pooling("lstm", 2, L)  # of one unit each way
    text = one_text([1.0, 2.0], [-1.0, 0.5], [0.3, 0.1], padding=[[1e30, 1e30]])
    sums, tokens = [], text[0][-1][0, :3].double().numpy()
    for end, order in (("", [0, 1, 2]), ("_reverse", [2, 1, 0])):
        of = {k: v.detach().double().numpy() for k, v in pool.lstm.named_parameters()}
        state = cell = total = np.zeros(1)
        for token in tokens[order]:
            gates = of[f"weight_ih_l0{end}"] @ token + of[f"weight_hh_l0{end}"] @ state
            gates += of[f"bias_ih_l0{end}"] + of[f"bias_hh_l0{end}"]
            let_in, keep, _, let_out = 1 / (1 + np.exp(-gates))
            cell = keep * cell + let_in * np.tanh(gates[2])
            state = let_out * np.tanh(cell)
            total = total + state
        sums.append(float(total[0]))
    torch.testing.assert_close(pool(*text), torch.tensor([sums]) / 3)


def test_poolings_side_by_side_by_hand():
    text = one_text([1.0, -2.0], [3.0, 4.0], [5.0, -8.0], padding=[[100.0, 100.0]])
    pool = build_pooling("mean+max", 2, L)
    assert pool(*text).tolist() == [[3.0, -2.0, 5.0, 4.0]]
    assert pool.output_dim == 4
    assert pool.normalised_for == ("binary", "multiclass")  # as max
    own = build_pooling("cls+weighted_layer", 2, 2, weighted_layer={"layer_start": 2})
    assert own.poolings[1].layer_start == 2


def test_idf_weights_by_hand():
    pool = build_pooling("idf", 2, L, vocab_size=6, special_ids=[0, 1])
    pool.fit([[0, 2, 3, 1], [0, 2, 2, 1], [0, 2, 3, 4, 1]])
    # n = 3; df: token 2 in all, token 3 in two, token 4 in one, token 5 in none
    expected = [0.0, 0.0, 1.0, math.log(4 / 3) + 1, math.log(2) + 1, math.log(4) + 1]
    torch.testing.assert_close(pool.state_dict()["idf"], torch.tensor(expected))


def test_idf_by_hand():
    pool = build_pooling("idf", 2, L, vocab_size=6, special_ids=[0, 1])
    pool.fit([[0, 2, 3, 1], [0, 2, 2, 1], [0, 2, 4, 1]])
    tokens = [[7.0, 7.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [8.0, 8.0]]
    layers, mask, _ = one_text(*tokens, padding=[[1e30, 1e30]])
    ids = torch.tensor([[0, 2, 3, 5, 1, 4]])  # special, weights w2 w3 w5, special, padding
    w2, w3, w5 = 1.0, math.log(2) + 1, math.log(4) + 1
    total = w2 + w3 + w5
    expected = torch.tensor([[(w2 + w5) / total, (w3 + w5) / total]])
    torch.testing.assert_close(pool(layers, mask, ids), expected)


def test_idf_of_special_tokens_alone_is_their_mean():
    pool = build_pooling("idf", 2, L, vocab_size=6, special_ids=[0, 1])
    pool.fit([[0, 2, 1]])
    layers, mask, _ = one_text([1.0, 4.0], [3.0, 6.0], padding=[[1e30, 1e30]])
    assert pool(layers, mask, torch.tensor([[0, 1, 5]])).tolist() == [[2.0, 5.0]]


def test_a_second_fit_replaces_the_first():
    twice, once = make_pool("idf"), make_pool("idf")
    other = [[17, 7, 18], [17, 7, 8, 18]]
    twice.fit(other)
    assert not torch.equal(twice.idf, once.idf)
    once.fit(other)
    assert torch.equal(twice.idf, once.idf)


def test_fitting_on_no_texts_leaves_idf_uniform():
    fitted = build_pooling("idf", H, L, **KNOWN)
    fitted.fit([])
    assert torch.equal(fitted.idf, build_pooling("idf", H, L, **KNOWN).idf)


# Limits


@pytest.mark.parametrize(("raw", "limit"), [(-50.0, "mean"), (3000.0, "max")])
def test_gem_goes_from_the_mean_to_the_maximum(raw, limit):
    pool, text = build("gem"), pad(make_texts(3, 5), 1, 2, 1e30)
    with torch.no_grad():
        pool.raw_power.fill_(raw)
    torch.testing.assert_close(pool(*text), build(limit)(*text), atol=5e-3, rtol=0)


@pytest.mark.parametrize("raw", [-1e4, 1e4])
def test_gem_stays_finite_whatever_power_is_learned(raw):
    pool = build("gem")
    with torch.no_grad():
        pool.raw_power.fill_(raw)
    layers, found = gradients(pool, make_texts(3, 5))
    assert layers[-1].grad.isfinite().all()
    assert found["raw_power"].isfinite()


@pytest.mark.parametrize("tokens", ["max", "attention", "lstm"])
def test_weighted_layer_pools_the_averaged_layers(tokens):
    layers, mask, ids = pad(make_texts(3, 5), 1, 2, 1e30)
    pool = build("weighted_layer", layer_start=L - 1, tokens=tokens)
    average = ((layers[-2] + layers[-1]) / 2,)
    torch.testing.assert_close(pool(layers, mask, ids), pool.tokens(average, mask, ids))


@pytest.mark.parametrize("name", ["cls", "max", "mean", "mean_sqrt_len"])
def test_agrees_with_sentence_transformers(name):
    from sentence_transformers.sentence_transformer.modules import Pooling  # seconds to import

    layers, mask, ids = make_texts(4, 9)
    mask[0, :3], mask[1, 5:], mask[2, 1:] = 0, 0, 0
    features = {"token_embeddings": layers[-1], "attention_mask": mask}
    theirs = Pooling(H, f"{name}_tokens" if name == "mean_sqrt_len" else name)(features)[
        "sentence_embedding"
    ]
    torch.testing.assert_close(make_pool(name)(layers, mask, ids), theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_mean_of_301_ones_is_exactly_one(dtype):
    layers = (torch.ones(1, 301, H, dtype=dtype),) * (L + 1)
    mask = torch.ones(1, 301, dtype=torch.long)
    assert torch.equal(build_pooling("mean", H, L)(layers, mask, mask), torch.ones(1, H))


def test_weighted_layer_of_identical_layers_is_the_mean():
    layers, mask, ids = pad(make_texts(3, 5), 1, 2, 1e30)
    same = (layers[0],) * (L + 1)
    expected = build_pooling("mean", H, L)(same, mask, ids)
    torch.testing.assert_close(make_pool("weighted_layer")(same, mask, ids), expected)


def test_weighted_layer_with_one_dominant_weight_is_the_mean_of_that_layer():
    layers, mask, ids = pad(make_texts(3, 5), 1, 2, 1e30)
    pool = build_pooling("weighted_layer", H, L, layer_start=0)
    with torch.no_grad():
        pool.layer_weights[2] = 1e4
    expected = build_pooling("mean", H, L)(layers[:3], mask, ids)
    torch.testing.assert_close(pool(layers, mask, ids), expected)


def test_weighted_layer_survives_raw_weights_that_sum_to_zero():
    pool = build_pooling("weighted_layer", H, L)
    with torch.no_grad():
        pool.layer_weights.copy_(torch.tensor([1.0, -1.0, 2.0, -2.0]))
    text = one_text([3.0] * H, [3.0] * H)
    torch.testing.assert_close(pool(*text), torch.full((1, H), 3.0))


def test_attention_with_a_zero_scorer_is_the_mean():
    pool, text = make_pool("attention"), pad(make_texts(3, 5), 1, 2, 1e30)
    with torch.no_grad():
        pool.score[-1].weight.zero_()
    torch.testing.assert_close(pool(*text), build_pooling("mean", H, L)(*text))


def test_attention_with_one_dominant_score_is_that_token():
    pool, text = make_pool("attention"), pad(make_texts(3, 5), 1, 2, 1e30)
    with torch.no_grad():
        pool.score[-1].weight.mul_(1e6)
    layers, mask, _ = text
    scores = pool.score(layers[-1]).squeeze(-1).masked_fill(mask == 0, -math.inf)
    expected = torch.stack([layers[-1][row, token] for row, token in enumerate(scores.argmax(1))])
    torch.testing.assert_close(pool(*text), expected)


def test_unfitted_idf_is_the_mean_of_all_but_the_special_tokens():
    pool, (layers, mask, ids) = build_pooling("idf", H, L, **KNOWN), make_texts(3, 5)
    padded = pad((layers, mask, ids), 1, 2, 1e30)
    ordinary = tuple(h[:, 1:-1] for h in layers), mask[:, 1:-1], ids[:, 1:-1]
    torch.testing.assert_close(pool(*padded), build_pooling("mean", H, L)(*ordinary))


def test_min_is_the_negated_max_of_the_negated():
    layers, mask, ids = pad(make_texts(3, 5), 1, 2, 1e30)
    negated = tuple(-h for h in layers)
    out = build_pooling("min", H, L)(layers, mask, ids)
    assert torch.equal(out, -build_pooling("max", H, L)(negated, mask, ids))


# Errors and near misses


def test_an_unknown_pooling_is_refused():
    message = f"'meen'.*{', '.join(sorted(POOLINGS))}"
    with pytest.raises(ValueError, match=message):
        build_pooling("meen", H, L)
    with pytest.raises(ValueError, match=message):
        pooling_options("meen")


@pytest.mark.parametrize(
    ("name", "options"),
    [("mean", ()), ("concat_layers", ("layers", "tokens")), ("idf", ("vocab_size", "special_ids"))],
)
def test_options_are_those_of_the_pooling_and_of_all(name, options):
    assert pooling_options(name) == (*options, "layer", "segment")


@every_single
def test_an_unknown_option_is_refused(name):
    options = ", ".join(pooling_options(name))
    message = f"'{name}'.*'layer_begin'.*{options}"
    with pytest.raises(ValueError, match=message):
        build_pooling(name, H, L, layer_begin=1)


def test_an_option_of_another_pooling_is_refused():
    with pytest.raises(ValueError, match="'mean'.*'layer_start'"):
        build_pooling("mean", H, L, layer_start=3)


@pytest.mark.parametrize("layer_start", [-1, L + 1, 2.0, "3"])
def test_a_bad_layer_start_is_refused(layer_start):
    message = rf"\blayer_start\b.*\[0, {L}\].* {layer_start!r}"
    with pytest.raises(ValueError, match=message):
        build_pooling("weighted_layer", H, L, layer_start=layer_start)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("concat_layers", {"layers": 0}, r"\blayers\b.*\[1, 6\].* 0$"),
        ("concat_layers", {"layers": L + 1}, r"\blayers\b.* 7$"),
        ("mean", {"layer": L + 1}, r"\blayer\b.*\[0, 6\].* 7$"),
        ("weighted_layer", {"tokens": "idf"}, r"'weighted_layer'.*'idf'.*\bmean\b"),
        (
            "concat_layers",
            {"tokens": "weighted_layer"},
            r"'concat_layers'.*'weighted_layer'.*\bmean\b",
        ),
        ("mean+max", {"layer": 3}, r"'mean\+max'.*'layer' 3\b.*\{mean: "),
        ("mean+max", {"min": {}}, r"'mean\+max'.*'min'"),
        ("mean+max", {"max": {"layers": 2}}, r"'max'.*'layers'"),
        ("mean+max+mean", {}, r"'mean\+max\+mean'.*'mean' twice"),
        ("mean+meen", {}, "'meen'.*'mean'"),
        ("mean+", {}, "''"),
    ],
)
def test_options_and_names_that_do_not_fit_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_pooling(name, H, L, **options)


@pytest.mark.parametrize("layer_start", [0, L])
def test_the_first_and_last_layer_start_are_not_refused(layer_start):
    pool = build_pooling("weighted_layer", H, L, layer_start=layer_start)
    layers, mask, ids = make_texts(2, 3)
    expected = torch.stack(layers[layer_start:]).mean(dim=(0, 2))
    torch.testing.assert_close(pool(layers, mask, ids), expected)


def test_a_special_token_of_images_behind_the_vocabulary_is_left_out():
    pool = build_pooling("idf", H, L, vocab_size=VOCAB, special_ids=[CLS_ID, VOCAB])
    assert pool.idf.nonzero().flatten().tolist() == [*range(CLS_ID), *range(CLS_ID + 1, VOCAB)]


def test_the_last_id_of_the_vocabulary_an_empty_text_and_no_special_ids_are_not_refused():
    pool = build_pooling("idf", H, L, vocab_size=VOCAB, special_ids=[])
    pool.fit([[VOCAB - 1], []])
    expected = math.log(3 / 2) + 1, math.log(3) + 1  # n = 2: the empty text is a text too
    torch.testing.assert_close(pool.idf[[VOCAB - 1, 0]], torch.tensor(expected))
