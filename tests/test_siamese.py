import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from helpers.data.batching import EncodedSentences
from helpers.data.text import SentenceReader, Vocabulary
from helpers.model.networks import RecurrentEncoder, TokenEmbedding, num_trainable_parameters
from helpers.model.siamese import (
    CosineHead,
    DistributionHead,
    EuclideanHead,
    ManhattanHead,
    RowDropout,
    SiameseEncoder,
    SiameseNetwork,
    copy_recurrence,
    expected_score,
    relatedness_kl_loss,
    set_forget_bias,
    similarity_mse_loss,
    symmetric_features,
)

WORDS = [f"w{i}" for i in range(20)]
READER = SentenceReader(Vocabulary(WORDS))
DIM, HIDDEN = 6, 4
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)


def make_encoder(pooling="max", *, vectors=True, freeze=True, dim=DIM, packed=False, layers=1, **options):
    matrix = torch.randn(len(WORDS) + 2, DIM).numpy() if vectors else None
    embedding = TokenEmbedding(len(WORDS) + 2, dim, vectors=matrix, freeze=freeze)
    recurrence = RecurrentEncoder(dim, HIDDEN, bidirectional=True, packed=packed, num_layers=layers)
    return SiameseEncoder(embedding, recurrence, pooling=pooling, **options)


def heads(size):
    return {
        "manhattan": ManhattanHead(),
        "cosine": CosineHead(),
        "euclidean": EuclideanHead(2.0),
        "distribution": DistributionHead(size, 5),
    }


def batch_of(*columns):
    rows = EncodedSentences([list(column) for column in columns], READER)
    return rows.__getitems__(list(range(len(rows))))


NETWORKS = {
    (pooling, name, averaged): SiameseNetwork(encoder, heads(encoder.output_size)[name]).eval()
    for pooling in ("max", "last+mean")
    for averaged in (False, True)
    for encoder in [make_encoder(pooling, averaged=averaged)]
    for name in heads(1)
}


@pytest.mark.parametrize("key", NETWORKS, ids=str)
@settings(max_examples=4, deadline=None)
@given(first=st.lists(SENTENCES, min_size=3, max_size=3), second=st.lists(SENTENCES, min_size=3, max_size=3))
def test_the_order_of_the_two_sentences_does_not_matter(key, first, second):
    network = NETWORKS[key]
    one, other = network(batch_of(first, second)), network(batch_of(second, first))
    assert torch.allclose(one, other, atol=1e-6)
    assert torch.equal(network.similarity(one).isfinite(), torch.ones(3, dtype=bool))


@settings(max_examples=10, deadline=None)
@given(sentence=SENTENCES, longer=SENTENCES)
def test_company_and_padding_do_not_change_a_sentence(sentence, longer):
    network = NETWORKS["last+mean", "distribution", False]
    alone = network.vectors(batch_of([sentence]))[0, 0]
    beside = network.vectors(batch_of([sentence, longer + " w1" * 9]))[0, 0]
    assert torch.allclose(alone, beside, atol=1e-6)


def test_one_set_of_weights_reads_both_sentences():
    network = NETWORKS["max", "euclidean", False]
    vectors = network.vectors(batch_of(["w1 w2", "w3"], ["w1 w2", "w4 w5 w6"]))
    assert vectors.shape == (2, 2, 2 * HIDDEN)
    assert torch.allclose(vectors[0, 0], vectors[1, 0], atol=1e-6)
    names = [name for name, _ in network.named_parameters() if "encoder.encoder" in name]
    assert len(names) == 2 * 4  # two directions, four tensors each; no second copy for the other side


def test_heads_against_their_formulas():
    first, second = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    found = {name: head(first, second) for name, head in heads(2).items() if name != "distribution"}
    assert found["manhattan"].tolist() == pytest.approx([0.1353353, 1.0])
    assert found["cosine"].tolist() == pytest.approx([5**-0.5, 1.0])
    assert found["euclidean"].tolist() == pytest.approx([2.0, 0.0])
    assert EuclideanHead(2.0).similarity(torch.tensor([0.0, 1, 2, 3])).tolist() == [1, 0.5, 0, -0.5]
    assert symmetric_features(first, second).tolist() == [[0, 2, 1, 0], [0, 0, 0, 1]]


def test_a_distribution_says_its_mean_score():
    head = DistributionHead(2, 3).eval()
    logits = torch.randn(7, 5)
    assert head.similarity(logits).tolist() == pytest.approx(((expected_score(logits) - 1) / 4).tolist())
    assert ((head.similarity(logits) >= 0) & (head.similarity(logits) <= 1)).all()


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation 'step' is not one of sigmoid, relu"):
        DistributionHead(2, 3, activation="step")


def test_sentence_vectors_can_have_length_one():
    vectors = make_encoder(normalize=True).eval()(batch_of(["w1 w2", "w3"]))
    assert vectors.norm(dim=-1).tolist() == pytest.approx([1, 1])


def test_dropout_treats_the_sentences_of_a_row_alike():
    encoder = make_encoder(dropout=0.5, input_dropout=0.5).train()
    first, second = SiameseNetwork(encoder, CosineHead()).vectors(batch_of(["w1 w2", "w3"], ["w1 w2", "w3"]))
    assert torch.allclose(first, second, atol=1e-6)
    assert (first == 0).any()
    assert not torch.equal((first[0] == 0), (first[1] == 0))  # another row, another mask


def test_dropout_acts_on_word_vectors_sentence_vectors_and_both_layers_of_the_head():
    network = SiameseNetwork(make_encoder(dropout=0.5, input_dropout=0.3), DistributionHead(2 * HIDDEN, 5, dropout=0.2))
    dropped = []
    for module in network.modules():
        if isinstance(module, nn.Dropout) and module.p:
            module.register_forward_hook(lambda module, inputs, _: dropped.append((module.p, *inputs[0].shape)))
    network(batch_of(["w1 w2", "w3"], ["w1 w2", "w3"]))
    assert dropped == [(0.3, 2, 1, DIM), (0.5, 2, 2 * HIDDEN), (0.2, 2, 4 * HIDDEN), (0.2, 2, 5)]


def test_the_distribution_head_is_a_layer_over_symmetric_features():
    head, (first, second) = DistributionHead(3, 4, activation="tanh").eval(), torch.randn(2, 7, 3)
    hidden, output = (module for module in head.modules() if isinstance(module, nn.Linear))
    features = torch.cat([(first - second).abs(), first * second], -1)
    torch.testing.assert_close(head(first, second), output(torch.tanh(hidden(features))))


def test_dropout_has_one_mask_for_all_words_and_keeps_the_mean():
    values = torch.ones(2 * 500, 3, 8)
    dropped = RowDropout(0.25)(values, 500)
    assert torch.equal(dropped[:, 0], dropped[:, 2])
    assert torch.equal(dropped[:500], dropped[500:])
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert RowDropout(0.25).eval()(values, 500) is values


def test_the_averaged_input_forgets_word_order_and_the_recurrence_does_not():
    batch = batch_of(["w1 w2 w3"], ["w3 w1 w2"])
    for averaged in (True, False):
        vectors = make_encoder(averaged=averaged).eval()(batch)
        assert torch.allclose(vectors[0], vectors[1], atol=1e-6) == averaged


def test_a_skip_adds_the_mean_word_vector_behind_the_pooled_states():
    torch.manual_seed(0)
    plain = make_encoder().eval()
    joined = SiameseEncoder(plain.embedding, plain.encoder, skip=True).eval()
    batch = batch_of(["w1 w2 w3", "w4"], ["w3 w1 w2", "w5 w6"])
    words = plain.embedding.words.weight
    means = [words[READER.ids(text)].mean(0) for text in ("w1 w2 w3", "w4", "w3 w1 w2", "w5 w6")]
    assert torch.allclose(joined(batch), torch.cat([plain(batch), torch.stack(means)], -1), atol=1e-6)
    assert joined.output_size == plain.output_size + DIM


def test_gradients_reach_what_is_trained_and_nothing_else():
    batch = batch_of(["w1 w2", "w3"], ["w2", "w4 w5"])
    frozen = SiameseNetwork(make_encoder(dim=3), DistributionHead(2 * HIDDEN, 5), classes=3)
    relatedness_kl_loss(frozen(batch), torch.tensor([1.5, 5.0])).backward()
    got = {name for name, p in frozen.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    wanted = {n for n, _ in frozen.named_parameters() if not n.startswith(("encoder.embedding.words", "entailment"))}
    assert got == wanted
    trained = SiameseNetwork(make_encoder(freeze=False), ManhattanHead())
    similarity_mse_loss(trained(batch), torch.tensor([0.2, 0.9])).backward()
    rows = trained.encoder.embedding.words.weight.grad.abs().sum(1).nonzero().ravel().tolist()
    assert rows == [READER.vocabulary.index[f"w{i}"] for i in (1, 2, 3, 4, 5)]


def test_parameters_are_those_of_one_encoder():
    network = SiameseNetwork(make_encoder(), EuclideanHead(1.0))
    assert num_trainable_parameters(network) == 2 * 4 * HIDDEN * (DIM + HIDDEN + 2)


def test_the_forget_gates_are_opened():
    recurrence = RecurrentEncoder(DIM, HIDDEN, bidirectional=True)
    set_forget_bias(recurrence, 2.5)
    for direction in recurrence.layers[0]:
        total = direction.bias_ih_l0 + direction.bias_hh_l0
        assert total[HIDDEN : 2 * HIDDEN].tolist() == [2.5] * HIDDEN
        assert (total[:HIDDEN].abs() < 1.5).all()


def assignment_states(lstms, embedded, lengths):
    """What the assignment's listing returns: all hidden states, the last ones, the last cells."""
    for lstm in lstms:
        packed, (hidden, cell) = lstm(pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False))
        embedded = pad_packed_sequence(packed, batch_first=True)[0]
    return embedded, torch.cat([*hidden], -1), torch.cat([*cell], -1)


@pytest.mark.parametrize("layers", [1, 2])
def test_given_the_weights_of_the_assignments_lstms_the_states_are_theirs(layers):
    sizes = [DIM, 2 * HIDDEN][:layers]
    lstms = [nn.LSTM(size, HIDDEN, bidirectional=True, batch_first=True) for size in sizes]
    encoder = make_encoder(packed=True, layers=layers).eval()
    for layer, lstm in enumerate(lstms):
        copy_recurrence(lstm, encoder.encoder, layer)
    batch = batch_of(["w1 w2 w3", "w4", "w5 w6"])
    theirs = assignment_states(lstms, encoder.embedding(batch), batch.lengths)
    found = encoder.states(batch)
    mask = torch.arange(3) < batch.lengths.unsqueeze(1)
    assert torch.allclose(found.outputs[mask], theirs[0][mask], atol=1e-6)
    assert torch.allclose(found.hidden, theirs[1], atol=1e-6)
    assert torch.allclose(found.cell, theirs[2], atol=1e-6)


def test_weights_of_another_shape_are_refused():
    encoder = make_encoder().encoder
    with pytest.raises(ValueError, match="other layers or directions"):
        copy_recurrence(nn.LSTM(DIM, HIDDEN), encoder)
    with pytest.raises(ValueError, match="other sizes"):
        copy_recurrence(nn.LSTM(DIM, HIDDEN + 1, bidirectional=True), encoder)
