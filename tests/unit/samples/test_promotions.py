"""Users, codes and usages have the quirks of the real data in both worlds of abuse, and their truth is correct."""

from dataclasses import replace

import pandas as pd
import pytest

from quintet.samples.promotions import PromotionsWorld, make_sample
from quintet.samples.sample import Sample

WORLD = PromotionsWorld(users=4_000, usages=4_000, codes=1_000, abuser_share=0.2)


def _rows(sample: Sample, dataset: str) -> pd.DataFrame:
    return next(file.rows for file in sample.files if file.dataset == dataset)


def _users(sample: Sample) -> pd.DataFrame:
    """Return the users as written with their truth: ring_id, why and `role`, its first word."""
    users = _rows(sample, "promo_users").merge(sample.truth["promo_users"].drop(columns="is_abuser"), on="user_id")
    return users.assign(role=users["why"].str.split(":").str[0])


def _shared_within_ring(sample: Sample, column: str) -> float:
    rings = _users(sample).dropna(subset="ring_id")
    return rings.duplicated(["ring_id", column], keep=False).mean()


def _lag_days(sample: Sample) -> pd.DataFrame:
    used = _rows(sample, "promo_usages").merge(_users(sample), on="user_id")
    lag = pd.to_datetime(used["used_at"]) - pd.to_datetime(used["created_at"])
    return used.assign(lag_days=lag.dt.total_seconds() / 86_400)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample(WORLD, seed=7)


def test_the_label_is_the_truth_where_all_labels_are_known(sample: Sample):
    users = _rows(sample, "promo_users")

    assert (users["is_abuser"] == "TRUE").tolist() == sample.truth["promo_users"]["is_abuser"].tolist()


def test_labels_can_be_partly_unknown():
    users = _rows(make_sample(replace(WORLD, label_share=0.5), seed=7), "promo_users")

    assert users["is_abuser"].isna().mean() == pytest.approx(0.5, abs=0.05)


def test_abusers_are_as_many_as_the_world_says_in_each_part(sample: Sample):
    users = _users(sample)
    abusers = users[users["is_abuser"] == "TRUE"]

    assert len(abusers) == 800
    assert abusers["role"].value_counts().to_dict() == {"ring": 440, "malformed": 280, "lone": 80}


def test_rings_have_3_to_15_accounts_and_only_abusers(sample: Sample):
    users = _users(sample)
    sizes = users["ring_id"].value_counts()

    assert sizes.min() >= 3
    assert sizes.iloc[1:].max() <= 15
    assert set(users.loc[users["ring_id"].notna(), "role"]) == {"ring"}


@pytest.mark.parametrize(("column", "share"), [("device_id", 0.7), ("ip_address", 0.6)])
def test_rings_share_as_much_as_the_world_says(sample: Sample, column: str, share: float):
    assert _shared_within_ring(sample, column) == pytest.approx(share, abs=0.15)


@pytest.mark.parametrize(("word", "column"), [("device", "device_id"), ("ip", "ip_address")])
def test_the_truth_names_what_ring_mates_share(sample: Sample, word: str, column: str):
    rings = _users(sample).dropna(subset="ring_id")

    named = rings["why"].str.removeprefix("ring:").str.split(";").map(lambda words: word in words)
    assert named.eq(rings.duplicated(["ring_id", column], keep=False)).all()
    assert 0 < named.mean() < 1


def test_a_harder_world_shares_less(sample: Sample):
    hard = make_sample(replace(WORLD, device_sharing=0.3, ip_sharing=0.3, lone_share=0.25), seed=7)

    assert _shared_within_ring(hard, "device_id") < _shared_within_ring(sample, "device_id") - 0.2
    assert (_users(hard)["role"] == "lone").sum() == 200


def test_rings_sign_up_in_bursts(sample: Sample):
    rings = _users(sample).dropna(subset="ring_id")
    at = pd.to_datetime(rings["created_at"]).groupby(rings["ring_id"])

    assert ((at.max() - at.min()).dt.days <= 7).all()


def test_ring_mates_write_one_address_in_several_ways(sample: Sample):
    mates = _users(sample).dropna(subset="ring_id")
    plain = mates["email"].str.lower().str.replace(r"\+[^@]*|\.(?=.*@)", "", regex=True)

    assert plain.groupby(mates["ring_id"]).agg(lambda local: local.duplicated().any()).mean() > 0.5
    assert mates["email"].str.contains("+", regex=False).any()


def test_ring_mates_use_one_code(sample: Sample):
    used = _lag_days(sample).dropna(subset="ring_id")

    top = used.groupby("ring_id")["promo_code"].agg(lambda code: code.value_counts(normalize=True).iloc[0])
    assert top.mean() > 0.7


@pytest.mark.parametrize(
    ("role", "column"),
    [
        ("household", "ip_address"),
        ("office", "ip_address"),
        ("carrier_nat", "ip_address"),
        ("second_hand_device", "device_id"),
    ],
)
def test_honest_people_share_too(sample: Sample, role: str, column: str):
    users = _users(sample)
    honest = users[users["role"] == role]

    assert honest[column].duplicated(keep=False).all()
    assert (honest["is_abuser"] == "FALSE").all()


def test_users_who_share_for_no_reason_do_not_exist(sample: Sample):
    users = _users(sample)

    for column in ("device_id", "ip_address"):
        assert not users.loc[users["role"] == "honest", column].duplicated().any()


def test_malformed_profiles_show_the_signs_that_the_truth_names(sample: Sample):
    users = _users(sample)
    malformed = users[users["role"] == "malformed"]
    shows = {
        "phone": ~malformed["phone"].str.fullmatch(r"\d{11}"),
        "words": malformed["first_name"].str.islower() & malformed["last_name"].str.islower(),
        "age": malformed["dob"] < "1933-05-10",
        "domain": ~malformed["email"].str.contains("@example."),
    }

    for sign, is_shown in shows.items():
        assert is_shown.eq(malformed["why"].str.contains(sign)).all()
    assert 0.2 < (malformed["why"] == "malformed:").mean() < 0.4


def test_honest_profiles_show_none_of_the_signs(sample: Sample):
    honest = _users(sample).query("role == 'honest'")

    assert honest["phone"].str.fullmatch(r"\d{11}").all()
    assert not honest["first_name"].str.islower().any()
    assert (honest["dob"] > "1933-05-10").all()
    assert honest["email"].str.contains("@example.").all()


def test_no_user_uses_a_code_before_signing_up(sample: Sample):
    assert (_lag_days(sample)["lag_days"] > 0).all()


def test_the_time_from_sign_up_to_use_reveals_rings_only_in_worlds_that_say_so(sample: Sample):
    blind = make_sample(replace(WORLD, use_lag_informative=False), seed=7)

    revealed, hidden = (_lag_days(world).groupby("role")["lag_days"].median() for world in (sample, blind))
    assert revealed["ring"] < 30
    assert revealed["honest"] > 300
    assert hidden["ring"] > 300


def test_abusers_who_look_honest_signed_up_when_honest_people_did(sample: Sample):
    users = _users(sample)
    at = pd.to_datetime(users["created_at"])

    hidden, honest = (at[users["why"] == why] for why in ("malformed:", "honest"))
    assert abs((hidden.median() - honest.median()).days) < 250


def test_codes_repeat_with_other_terms_and_some_discounts_exceed_the_minimum(sample: Sample):
    codes = _rows(sample, "promo_codes")
    exceeds = (codes["discount_type"] == "fixed_amount") & (codes["discount_value"] > codes["min_purchase_amount"])

    assert codes["promo_code"].nunique() == 947
    assert 95 <= codes["promo_code"].duplicated(keep=False).sum() <= 106
    assert 60 < exceeds.sum() < 140


def test_usages_are_one_by_user_of_known_codes_and_a_tenth_by_strangers(sample: Sample):
    usages = _rows(sample, "promo_usages")

    assert usages["user_id"].is_unique
    assert usages["promo_code"].isin(_rows(sample, "promo_codes")["promo_code"]).all()
    assert (~usages["user_id"].isin(_rows(sample, "promo_users")["user_id"])).sum() == 400


def test_users_are_written_as_the_source_writes_them(sample: Sample):
    users = _rows(sample, "promo_users")

    assert users["user_id"].is_unique
    assert set(users["is_email_verified"]) == {"TRUE", "FALSE"}
    assert users["created_at"].str.fullmatch(r"\d{4}-\d\d-\d\d \d{1,2}:\d\d:\d\d").all()
    assert users["created_at"].str.contains(r" \d:").any()
    assert users["user_agent"].str.contains(",").any()
    assert users["city"].dropna().str.contains(r"[^\x00-\x7f]").any()
