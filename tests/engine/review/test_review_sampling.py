"""The sample: every kind has its share, the order of files does not matter, and labels keep their places."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.review.labels import Pair
from engine.review.sampling import shown_game, stratified_sample

kinds = st.dictionaries(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from(["m1", "m2", "m3"])),
    st.tuples(st.sampled_from(["m1", "m2"]), st.sampled_from(["win", "loss"])),
    max_size=60,
)


@given(kinds, st.integers(0, 70))
def test_the_sample_has_its_size_and_every_kind_its_share(strata: dict[Pair, tuple[str, ...]], size: int):
    sample = stratified_sample(strata, size)
    assert len(set(sample)) == len(sample)
    assert abs(len(sample) - min(size, len(strata))) <= 1
    assert size < len(strata) or len(sample) == len(strata)
    drawn = Counter(strata[pair] for pair in sample)
    for kind, count in Counter(strata.values()).items():
        share = count * min(1.0, size / len(strata))
        assert abs(drawn[kind] - share) < 1 + 1e-6


@given(kinds, st.integers(0, 70))
def test_the_order_in_which_pairs_are_found_does_not_matter(strata: dict[Pair, tuple[str, ...]], size: int):
    assert stratified_sample(dict(reversed(strata.items())), size) == stratified_sample(strata, size)


def many(count: int) -> dict[Pair, tuple[str, ...]]:
    return {(f"q{n % 100}", f"m{n // 100}"): (f"m{n // 100}", "win" if n % 3 else "loss") for n in range(count)}


def test_pairs_with_a_label_stay_in_the_sample_when_others_come():
    before = stratified_sample(many(400), 100)
    labelled = before[:40]
    after = stratified_sample(many(500), 120, kept=labelled)
    assert len(set(labelled) & set(after)) >= 38  # a kind whose share shrank may lose one


def test_the_beginning_of_the_order_is_a_fair_sample_too():
    strata = many(600)
    first = stratified_sample(strata, 300)[:100]
    losses = sum(strata[pair][1] == "loss" for pair in first)
    assert 20 <= losses <= 47  # a third


def test_another_seed_draws_another_sample():
    assert stratified_sample(many(400), 50) != stratified_sample(many(400), 50, seed=7)


def test_each_order_is_shown_about_half_of_the_time_and_always_again():
    pairs = list(many(400))
    games = [shown_game(pair, "anna") for pair in pairs]
    assert games == [shown_game(pair, "anna") for pair in pairs]
    assert 160 <= games.count(1) <= 240
    assert games != [shown_game(pair, "boris") for pair in pairs]
