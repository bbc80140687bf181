"""Augmentation: what each technique changes and keeps, where its labels come from, and that nothing leaks."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.augment.edits import delete_word, parts_of_speech, replace_word, words_of
from helpers.augment.lexicon import Entry, Lexicon, word_set
from helpers.augment.new_pairs import (
    COLUMNS,
    LeakError,
    Transitivity,
    candidate_pairs,
    chains,
    check_no_leak,
    drop_known,
    fit_transitivity,
    leaks,
    pair_graph,
    repaired_pairs,
)
from helpers.augment.techniques import (
    TECHNIQUES,
    Resources,
    WordVectors,
    antonym_pairs,
    augment,
    deletion_pairs,
    measure_opposition,
    neighbour_pairs,
    synonym_pairs,
)
from helpers.data.corpora import load_sick
from helpers.data.splits import pair_keys
from helpers.data.text import normalize_sentence

PERSON, ANIMAL = "noun.person", "noun.animal"
ENTRIES = {
    "child": {"n": Entry(1, "base", PERSON, ("kid", "minor"))},
    "kid": {"n": Entry(0.9, "base", PERSON, ("child",)), "v": Entry(0.1, "base")},
    "man": {"n": Entry(0.99, "base", PERSON, (), ("woman",)), "v": Entry(0.01, "base")},
    "woman": {"n": Entry(1, "base", PERSON, (), ("man",))},
    "owner": {"n": Entry(1, "base", PERSON)},
    "dog": {"n": Entry(0.9, "base", ANIMAL), "v": Entry(0.1, "base")},
    "cat": {"n": Entry(1, "base", ANIMAL)},
    "cats": {"n": Entry(1, "plural", ANIMAL)},
    "car": {"n": Entry(1, "base", "noun.artifact", ("automobile",))},
    "automobile": {"n": Entry(1, "base", "noun.artifact", ("car",))},
    "bike": {"n": Entry(0.5, "base"), "v": Entry(0.5, "base", "", ("cycle",))},
    "old": {"a": Entry(1, "base", "adj.all", (), ("young",))},
    "young": {"a": Entry(1, "base", "adj.all", (), ("old",))},
    "tall": {"a": Entry(1, "base", "adj.all", (), ("short",))},
    "black": {"a": Entry(1, "base", "adj.all")},
    "white": {"a": Entry(1, "base", "adj.all")},
    "jumping": {"v": Entry(0.98, "ing", "", ("leaping",)), "n": Entry(0.02, "base")},
    "leaping": {"v": Entry(0.98, "ing", "", ("jumping",)), "n": Entry(0.02, "base")},
    "pulling": {"v": Entry(1, "ing", "", (), ("pushing",))},
    "pushing": {"v": Entry(1, "ing", "", (), ("pulling",))},
    "quickly": {"r": Entry(1, "base", "", ("rapidly",), ("slowly",))},
    "rapidly": {"r": Entry(1, "base")},
    "outside": {"r": Entry(0.6, "base", "", ("outdoors",)), "n": Entry(0.4, "base")},
    "outdoors": {"r": Entry(1, "base")},
    "run": {"v": Entry(0.9, "base"), "n": Entry(0.1, "base")},
    "cart": {"n": Entry(1, "base", "noun.artifact")},
    "truck": {"n": Entry(0.6, "base", "noun.artifact"), "v": Entry(0.4, "base")},
}
FUNCTION_WORDS = word_set("a an the is are and or of in on off up to with by no not there near his its two")
NEAR = [  # words with nearly the same vector; each group stands across from the others
    word_set("child kid dog cat cats owner"), word_set("car automobile cart truck"), word_set("quickly rapidly slowly"),
    word_set("jumping leaping pulling pushing"), word_set("old young tall short black white"), word_set("man woman"),
    word_set("outside outdoors"),
]  # fmt: skip


def lexicon() -> Lexicon:
    return Lexicon(ENTRIES, FUNCTION_WORDS)


def resources(frame: pd.DataFrame) -> Resources:
    rows = {
        word: np.eye(len(NEAR))[i] + 0.01 * j for i, group in enumerate(NEAR) for j, word in enumerate(sorted(group))
    }
    vectors = WordVectors.of(list(rows), np.stack(list(rows.values())))
    sentences = {*frame["sentence_a"].str.lower(), *frame["sentence_b"].str.lower()}
    return Resources(lexicon(), vectors, Counter(word for text in sentences for word in set(words_of(text))))


def pairs(*rows: tuple, partition="train") -> pd.DataFrame:
    """Frame from (sentence_a, sentence_b[, relatedness[, entailment]])."""
    filled = [(*row, *(4.0, "NEUTRAL")[len(row) - 2 :]) for row in rows]
    frame = pd.DataFrame(filled, columns=["sentence_a", "sentence_b", "relatedness", "entailment"])
    return frame.assign(pair_id=range(1, len(frame) + 1), partition=partition)


def made(transform, *rows: tuple, **options) -> pd.DataFrame:
    frame = pairs(*rows)
    return transform(frame, seed=0, resources=resources(frame), **options)


def texts(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(frame["sentence_a"], frame["sentence_b"], strict=True))


OPPOSED = [  # what measure_opposition() needs: five pairs that differ by an antonym alone
    ("A dog is pulling it", "A dog is pushing it", rating, label)
    for rating, label in [
        (3.0, "NEUTRAL"),
        (3.5, "NEUTRAL"),
        (4.0, "NEUTRAL"),
        (3.5, "CONTRADICTION"),
        (3.6, "NEUTRAL"),
    ]
]


# words in their sentence


@pytest.mark.parametrize(
    ("text", "word", "part"),
    [
        ("A child is jumping", "child", "n"),
        ("A child is jumping", "jumping", "v"),
        ("The jumping is high", "jumping", None),  # after a determiner no verb, and it is hardly ever a noun
        ("The dog is jumping up", "jumping", None),  # half of another verb
        ("A bike is old", "bike", "n"),  # after a determiner only the noun is left
        ("People want to bike", "bike", None),  # either
        ("People want to run", "run", "v"),
        ("The white dog run", "run", None),  # a verb in base form stands after to or and
        ("An old man", "old", "a"),
        ("The man is old", "old", "a"),
        ("The man is not very old", "old", "a"),
        ("The old are near", "old", None),  # no noun follows
        ("A woman runs quickly", "quickly", "r"),
        ("The T-shirt and the dog's bike-car", "car", None),  # parts of compounds stay as they are
        ("The unheard word", "unheard", None),
    ],
)
def test_part_of_speech_in_context(text, word, part):
    assert parts_of_speech(text, lexicon()).get(word) == part


def test_a_word_with_two_uses_in_one_text_has_no_part_of_speech():
    assert "bike" in parts_of_speech("A bike is near", lexicon())
    assert "bike" not in parts_of_speech("A bike is near where people want to bike", lexicon())


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("A car is near a car", "car", "automobile", "An automobile is near an automobile"),
        ("An old man and an old-timer", "old", "young", "A young man and an old-timer"),
        ("Car-wash of the car, car's car.", "car", "bike", "Car-wash of the bike, car's bike."),
        ("Child near a child", "child", "kid", "Kid near a kid"),
        ("A bike", "bike", "unicycle", "A unicycle"),
        ("A day", "day", "hour", "An hour"),
        ("a  cart in a carton", "cart", "car", "a  car in a carton"),
    ],
)
def test_replace_word(text, old, new, expected):
    assert replace_word(text, old, new) == expected


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("An old man is near", "old", "A man is near"),
        ("A tall old man", "tall", "An old man"),
        ("Old men", "old", "Men"),
        ("A man is running quickly", "quickly", "A man is running"),
    ],
)
def test_delete_word(text, word, expected):
    assert delete_word(text, word) == expected


WORDS = st.sampled_from(["a", "the", "child", "old", "cart", "is", "on", "dog's", "T-shirt"])


@given(st.lists(WORDS, min_size=1, max_size=8))
def test_an_edit_touches_nothing_but_the_word_and_its_article(words):
    text = " ".join(words)
    replaced = replace_word(text, "child", "owl").split()
    assert [word == "owl" for word in replaced] == [word == "child" for word in words]
    for i, word in enumerate(words):
        follows = i + 1 < len(words) and words[i + 1] == "child"
        if word != "child":
            assert replaced[i] == ("an" if word == "a" and follows else word)
    assert delete_word(text, "cart").lower().split().count("cart") == 0
    kept = [word for word in words if word not in ("cart", "a")]
    assert [word for word in delete_word(text, "cart").split() if word not in ("a", "an")] == kept


# techniques


def test_a_synonym_replaces_a_frequent_word_of_one_sentence_and_keeps_the_labels():
    new = made(synonym_pairs, ("A child is near", "A dog is jumping", 2.5, "NEUTRAL"), min_frequency=1, per_pair=9)
    assert texts(new) == {("A kid is near", "A dog is jumping"), ("A child is near", "A dog is leaping")}
    assert set(new["relatedness"]) == {2.5}
    assert set(new["entailment"]) == {"NEUTRAL"}
    assert set(new["detail"]) == {"a: child -> kid", "b: jumping -> leaping"}
    assert list(new.columns) == COLUMNS
    assert set(new["source_pair_id"]) == {1}


def test_a_synonym_without_a_vector_or_far_from_the_word_is_left():
    row = ("A child is near", "The dog is near")
    assert made(synonym_pairs, row, min_frequency=1, per_pair=9)["detail"].tolist() == ["a: child -> kid"]  # not minor
    assert made(synonym_pairs, row, min_frequency=1, min_cosine=1.1).empty


def test_a_rare_word_keeps_its_synonyms_to_itself():
    rows = [("A child is near", "The dog is near"), ("A child is old", "A car is near")]
    assert {detail[3:] for detail in made(synonym_pairs, *rows, min_frequency=2)["detail"]} == {"child -> kid"}
    assert made(synonym_pairs, *rows, min_frequency=3).empty


def test_an_adverb_that_is_also_a_preposition_is_not_replaced_by_one_that_is_not():
    row = ("A dog runs outside", "A dog runs quickly")
    assert made(synonym_pairs, row, min_frequency=1, per_pair=9)["detail"].tolist() == ["b: quickly -> rapidly"]


def test_no_more_than_per_pair_and_other_seeds_choose_otherwise():
    frame = pairs(*[(f"A child is jumping near car {i}", f"The car of a child {i}") for i in range(30)])
    known = resources(frame)
    first, again, other = (
        synonym_pairs(frame, seed=seed, resources=known, min_frequency=1, per_pair=1) for seed in (0, 0, 1)
    )
    assert first["source_pair_id"].tolist() == list(range(1, 31))
    pd.testing.assert_frame_equal(first, again)
    assert first["detail"].tolist() != other["detail"].tolist()


def test_a_sentence_that_has_the_new_word_already_is_left():
    assert made(synonym_pairs, ("A child and a kid", "A dog is near"), min_frequency=1).empty


def test_what_an_antonym_does_is_measured():
    found = measure_opposition(
        pairs(*OPPOSED, ("A man is old", "A dog is old", 1.0), ("A dog", "A dog", 5.0)), lexicon()
    )
    assert (found.count, found.entailment) == (5, "NEUTRAL")
    assert found.relatedness == pytest.approx(3.52)
    with pytest.raises(ValueError, match="4 training pairs differ by an antonym"):
        measure_opposition(pairs(*OPPOSED[:4]), lexicon())


def antonyms(*rows: tuple, **options) -> pd.DataFrame:
    new = made(antonym_pairs, *OPPOSED, *rows, **{"below": 10, "per_pair": 9} | options)
    return new[new["source_pair_id"] > len(OPPOSED)]


def test_an_antonym_brings_the_measured_label():
    new = antonyms(("A tall cart is near", "A cart is near", 4.9, "ENTAILMENT"))
    assert texts(new) == {("A tall cart is near", "A short cart is near")}
    assert new[["relatedness", "entailment"]].to_numpy().tolist() == [[3.52, "NEUTRAL"]]


def test_the_partner_of_a_paraphrase_gets_the_antonym_too():
    row = ("The tall cart is near", "There is a tall cart")
    both = {("The tall cart is near", "The short cart is near"), ("There is a tall cart", "There is a short cart")}
    crossed = {("There is a tall cart", "The short cart is near"), ("The tall cart is near", "There is a short cart")}
    assert texts(antonyms((*row, 4.5, "ENTAILMENT"))) == both | crossed
    assert texts(antonyms((*row, 4.4, "ENTAILMENT"))) == texts(antonyms((*row, 4.8, "NEUTRAL"))) == both


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no tall cart",
        "The tall cart is near a tall dog",  # two places, two oppositions
        "A man is near his dog",  # a woman would not be near his dog
    ],
)
def test_no_antonym_where_its_effect_is_unknown(sentence):
    assert antonyms((sentence, "A cart", 4.9, "ENTAILMENT")).empty


def test_a_frequent_word_gets_no_antonym_nor_one_the_vectors_do_not_know():
    row = ("The tall cart is near", "A cart")
    assert antonyms(row, below=1).empty
    assert antonyms(row, min_cosine=1.1).empty


def test_a_neighbour_replaces_a_common_noun_in_both_sentences():
    new = made(neighbour_pairs, ("A dog is pulling it", "The dog is pulling", 4.2, "ENTAILMENT"), per_pair=9)
    assert texts(new) == {("A cat is pulling it", "The cat is pulling")}  # no child, no plural, no other verb
    assert new[["relatedness", "entailment"]].to_numpy().tolist() == [[4.2, "ENTAILMENT"]]
    assert made(neighbour_pairs, ("A dog is pulling it", "The dog is pulling"), min_cosine=1.1).empty
    carts = made(neighbour_pairs, ("A cart is near", "The cart is off"), per_pair=9)  # "truck" is also a verb
    assert texts(carts) == {("An automobile is near", "The automobile is off"), ("A car is near", "The car is off")}
    assert made(neighbour_pairs, ("A dog is near", "The cart is near")).empty
    assert made(neighbour_pairs, ("A man is near", "The man and his dog")).empty


def test_a_modifier_goes_from_both_sentences():
    rows = [("An old man is near", "The old man is off"), ("A man runs quickly off", "Quickly runs a man")]
    new = made(deletion_pairs, *rows, min_frequency=1)
    assert texts(new) == {("A man is near", "The man is off"), ("A man runs off", "Runs a man")}
    assert made(deletion_pairs, *rows, min_frequency=3).empty


@pytest.mark.parametrize(
    "row",
    [
        ("A black and white dog", "The white dog"),
        ("A man is old", "The old man"),
        ("An old, old dog", "An old dog"),
        ("An old dog", "A dog"),
    ],
)
def test_what_is_no_single_modifier_stays(row):
    assert made(deletion_pairs, row, min_frequency=1).empty


# transitive pairs


def triangles(count: int) -> list[tuple]:
    """A, B paraphrases; the ratings of A, C and of B, C add up to 6: the same rule for A by B as for B by A."""
    rows = []
    for i in range(count):
        rating = 1.6 + 0.4 * (i % 8)
        rows.append((f"first {i}", f"second {i}", 4.5 + 0.1 * (i % 6), "ENTAILMENT"))
        rows += [(f"second {i}", f"third {i}", rating), (f"first {i}", f"third {i}", 6 - rating)]
    return rows


def test_the_rule_of_triangles_is_found():
    model = fit_transitivity(pairs(*triangles(30)))
    assert model.triangles == 30
    assert model.intercept == pytest.approx(6, abs=1e-6)
    assert model.weights == pytest.approx((0, -1), abs=1e-6)
    assert model.rmse == pytest.approx(0, abs=1e-6)
    assert model.agreement == 1


def test_the_error_of_the_rule_is_that_on_sentences_it_was_not_fitted_on():
    rng = np.random.default_rng(0)
    rows = [row for i in range(20) for row in ((f"a {i}", f"b {i}", 4.5), (f"b {i}", f"c {i}", rng.uniform(1, 4.4)))]
    noise = [(f"a {i}", f"c {i}", rng.uniform(1, 4.4)) for i in range(20)]
    model = fit_transitivity(pairs(*rows, *noise))
    assert model.rmse > np.std([rating for *_, rating in noise])  # worse than the mean: there is nothing to learn


def test_repaired_pairs_are_unrated_ones_with_an_estimate():
    frame = pairs(*triangles(30), ("Start", "Middle", 4.6, "ENTAILMENT"), ("End", "Middle", 2.0, "CONTRADICTION"))
    new = repaired_pairs(frame, seed=0)
    assert texts(new) == {("End", "Start")}  # Start takes the place of Middle
    row = new.iloc[0]
    assert row["relatedness"] == pytest.approx(4.0)
    assert row["entailment"] == "CONTRADICTION"
    assert row["source_pair_id"] == 91
    assert row["detail"] == "91 + 92: 4.6, 2"


def test_the_error_of_the_rule_holds_out_all_pairs_of_a_sentence():
    rows = []
    for group, (bc, ac) in enumerate([(1.0, 2.0)] * 4 + [(4.4, 4.4)]):  # without the last group the slope turns round
        rows.append((f"first {group}", f"second {group}", 4.6))
        for i in range(5):
            rows += [(f"second {group}", f"third {group} {i}", bc), (f"first {group}", f"third {group} {i}", ac)]
    assert fit_transitivity(pairs(*rows)).rmse > 2


@pytest.mark.parametrize(("rated", "estimate"), [(1.5, 1.0), (2.5, 2.0), (4.4, 5.0)])
def test_an_estimate_is_a_rating(rated, estimate):
    rule = Transitivity(intercept=-3.0, weights=(0.0, 2.0), triangles=30, rmse=0.0, agreement=1.0)
    (chain,) = chains(pair_graph(pairs(("Start", "Middle", 4.6), ("Middle", "End", rated))), paraphrase=4.5)
    assert (chain.a, chain.b, chain.c) == ("start", "middle", "end")
    assert rule.relatedness(chain) == pytest.approx(estimate)


def test_several_ways_from_one_sentence_to_another_are_averaged():
    ways = [("Start", "One", 4.6), ("One", "End", 2.0), ("Start", "Two", 4.6), ("Two", "End", 3.0)]
    new = repaired_pairs(pairs(*triangles(30), *ways), seed=0)
    rated = dict(zip(map(frozenset, pair_keys(new)), new["relatedness"], strict=True))
    assert rated == {frozenset({"start", "end"}): pytest.approx(3.5), frozenset({"one", "two"}): pytest.approx(1.4)}


def test_no_paraphrase_no_pair_and_with_few_triangles_the_rating_is_handed_on():
    assert repaired_pairs(pairs(("Start", "Middle", 4.4), ("Middle", "End", 4.4)), seed=0).empty
    few = pairs(("Start", "Middle", 4.6), ("Middle", "End", 2.2))
    assert fit_transitivity(few).weights == (0, 1)
    assert repaired_pairs(few, seed=0)["relatedness"].tolist() == [2.2]


def test_max_pairs_draws_by_seed():
    frame = pairs(*[row for i in range(20) for row in ((f"a {i}", f"b {i}", 4.6), (f"b {i}", f"c {i}", 3.0))])
    first, again, other = (texts(repaired_pairs(frame, seed=seed, max_pairs=5)) for seed in (0, 0, 1))
    assert len(first) == 5
    assert first == again
    assert first != other
    assert first < texts(repaired_pairs(frame, seed=0))


# nothing leaks


TRAIN = pairs(("A child is near", "A dog is near"), ("A cart", "A car"))


@pytest.mark.parametrize(
    ("new", "leaking"),
    [
        (("A dog is near", "A cart"), False),  # both sentences are known from training
        (("A man is off", "A cart"), True),  # an invented sentence of the test partition
        (("a MAN is off!", "A cart"), True),  # whatever its case and signs
        (("A child is near", "A cart"), True),  # a test pair of two training sentences
        (("A cart", "A child is near."), True),  # in the other order
        (("A cart", "A child is far"), False),  # an invented sentence that is not held out
    ],
)
def test_leaks(new, leaking):
    test = pairs(("A man is off", "A dog is near"), ("A child is near", "A cart"), partition="test")
    frame = pairs(("A cart", "A dog"), new)
    assert leaks(frame, test, TRAIN).tolist() == [False, leaking]
    if leaking:
        with pytest.raises(LeakError, match=r"1 of 2 new pairs .* row 1: "):
            check_no_leak(frame, test, TRAIN)
    else:
        check_no_leak(frame, test, TRAIN)


def test_known_and_repeated_pairs_and_pairs_of_equal_sentences_are_dropped():
    new = pairs(("A dog is near!", "a child is near"), ("A cart", "A man"), ("A man", "A cart."), ("A man", "a man"))
    assert drop_known(new, TRAIN).index.tolist() == [1]


def test_candidates_are_all_unrated_pairs_but_those_held_out():
    test = pairs(("A car", "A dog is near"), partition="test")
    new = candidate_pairs(TRAIN, lambda texts: np.eye(len(texts)), seed=0, test=test, near=3, far=0)
    expected = {("a car", "a child is near"), ("a cart", "a child is near"), ("a cart", "a dog is near")}
    assert set(pair_keys(new)) == expected
    assert new["relatedness"].isna().all()


def test_augment_drops_what_leaks():
    train = pairs(("A child is near", "A dog is jumping"))
    known, options = resources(train), {"min_frequency": 1, "per_pair": 9}
    no_test = pairs(("Nothing", "like that"), partition="test")
    assert len(augment(train, "synonyms", seed=0, test=no_test, resources=known, **options)) == 2
    test = pairs(("A kid is NEAR.", "Something else"), partition="test")
    kept = augment(train, "synonyms", seed=0, test=test, resources=known, **options)
    assert texts(kept) == {("A child is near", "A dog is leaping")}


def test_augment_refuses_test_rows_and_unknown_techniques():
    with pytest.raises(ValueError, match="partition test"):
        augment(pairs(("A", "B"), partition="test"), "synonyms", seed=0, test=TRAIN)
    with pytest.raises(ValueError, match="'translation' is not one of synonyms"):
        augment(TRAIN, "translation", seed=0, test=TRAIN)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("DATA_OFFLINE", "1")
        patch.setenv("PROFILE", "quick")
        patch.delenv("DATA_MIRROR", raising=False)
        frame = load_sick()
        train = frame[frame["partition"] == "train"]
        yield train, frame[frame["partition"] != "train"], Resources.load(train)


@pytest.fixture(scope="module")
def augmented(sample):
    train, held_out, known = sample
    before = train.copy(deep=True)
    names = [*TECHNIQUES, "all"]
    frames = {name: augment(train, name, seed=3, test=held_out, resources=known) for name in names}
    pd.testing.assert_frame_equal(train, before)  # pure: what goes in stays as it is
    return frames


@pytest.mark.parametrize("technique", [*TECHNIQUES, "all"])
def test_every_technique_on_the_sample(sample, augmented, technique):
    train, held_out, _ = sample
    new = augmented[technique]
    assert len(new) > 20
    check_no_leak(new, held_out, train)
    keys, old = pair_keys(new), set(pair_keys(train))
    assert len(set(keys)) == len(keys)
    assert not old & set(keys)
    assert not set(pair_keys(held_out)) & set(keys)
    tested = {sentence for key in pair_keys(held_out) for sentence in key}
    trained = {sentence for key in old for sentence in key}
    assert not ({sentence for key in keys for sentence in key} - trained) & tested
    assert new["pair_id"].is_unique
    assert not set(new["pair_id"]) & set(train["pair_id"])
    assert set(new["source_pair_id"]) <= set(train["pair_id"])
    assert set(new["partition"]) == {"train"}
    assert new["relatedness"].between(1, 5).all()
    assert set(new["technique"]) == ({*TECHNIQUES} if technique == "all" else {technique})


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_same_seed_makes_the_same_pairs(sample, augmented, technique):
    train, held_out, known = sample
    again = augment(train, technique, seed=3, test=held_out, resources=known)
    pd.testing.assert_frame_equal(again, augmented[technique])


def test_all_holds_what_the_techniques_make(augmented):
    alone = {key for name in TECHNIQUES for key in pair_keys(augmented[name])}
    assert set(pair_keys(augmented["all"])) == alone


def test_resources_hold_the_words_of_the_training_sentences_alone(sample):
    train, _, known = sample
    assert known.sample
    words = {word for text in [*train["sentence_a"], *train["sentence_b"]] for word in words_of(text)}
    assert set(known.frequency) == words
    assert set(known.vectors.row) <= words
    repeated = train.iloc[:1].assign(sentence_b=train.iloc[0]["sentence_a"])
    assert set(Resources.load(repeated).frequency.values()) == {1}  # distinct sentences


def test_a_sentence_in_other_letters_is_the_same():
    assert normalize_sentence("A Dog, near!") == normalize_sentence("a dog near")
