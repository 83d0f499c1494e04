"""Generated users, promotion codes and uses of the codes, with known abusers."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import (
    SECONDS_PER_DAY,
    arrival_times,
    as_timestamps,
    day_start,
    faker,
    generator,
    groups,
    uuids,
)

_HOUR_WEIGHTS = (2, 1.5, 1, 1, 1, 1.5, 2.5, 3.5, 4.5, 5, 5.5, 6, 6, 6, 6, 6, 6, 6, 6.5, 7, 7, 6, 4.5, 3)
_WEEKDAY_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.05, 1.15, 1.1)
_SIGN_UPS_FROM, _SIGN_UPS_DAYS = date(2019, 5, 11), 1_806
_USES_FROM, _USES_DAYS = date(2023, 5, 11), 366
_YOUNG_DAYS = 60

_MAIL_DOMAINS = ("example.com", "example.net", "example.org")
_AREA_CODES = (1_505, 1_571, 1_727, 1_730, 1_870, 1_872, 1_878, 1_903, 1_954, 1_980, 1_983, 1_984, 1_985, 1_986)

_MALFORMED_SIGNS = {"phone": 0.35, "words": 0.35, "age": 0.35, "domain": 0.3, "young": 0.3}
"""How often a visibly malformed profile has each sign."""


@dataclass(frozen=True)
class PromotionsWorld:
    """The parameters of the users, the abusers and their methods.

    abuser_share: of the users; of the abusers, `malformed_share` have malformed profiles (`hidden_share` of these look
    honest in every field), `lone_share` work alone, and the rest form rings of 3 to 15 accounts.
    device_sharing, ip_sharing, phone_sharing, email_sharing, code_sharing: how likely a ring's account shares each.
    use_lag_informative: whether abusers use a code soon after sign-up and honest people mostly long after; if False,
    all use codes like honest people.
    household_share, office_share, carrier_nat_share, second_hand_share: of the honest users, those who share an IP
    address at home (and some a device), at work, behind a carrier's NAT, and those whose device had another owner.
    label_share: share of users with a label.
    codes: rows of the code file; repeated_code_share: share of the rows that repeat a code.
    usages: uses of a code, one per user; strangers_share: share of them by users who are not in the file.
    """

    users: int = 8_998
    abuser_share: float = 0.06
    malformed_share: float = 0.35
    hidden_share: float = 0.29
    lone_share: float = 0.1
    device_sharing: float = 0.7
    ip_sharing: float = 0.6
    phone_sharing: float = 0.4
    email_sharing: float = 0.5
    code_sharing: float = 0.8
    use_lag_informative: bool = True
    household_share: float = 0.12
    office_share: float = 0.04
    carrier_nat_share: float = 0.06
    second_hand_share: float = 0.01
    label_share: float = 1.0
    codes: int = 1_000
    repeated_code_share: float = 0.053
    usages: int = 8_990
    strangers_share: float = 0.1


def _pick(rng: np.random.Generator, pool: list[str], count: int) -> np.ndarray:
    return np.array(pool, dtype=object)[rng.integers(0, len(pool), count)]


def _phones(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return phone numbers of eleven digits, nearly all distinct."""
    area = rng.choice(_AREA_CODES, count).astype("int64")
    return (area * 10_000_000 + rng.integers(2_000_000, 10_000_000, count)).astype("str").astype(object)


def _addresses(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return public-looking IPv4 addresses."""
    first = np.setdiff1d(np.arange(1, 224), [10, 100, 127, 169, 172, 192, 198, 203])
    octets = [rng.choice(first, count), *(rng.integers(0, 256, count) for _ in range(2)), rng.integers(1, 255, count)]
    texts = [octet.astype("str").astype(object) for octet in octets]
    return texts[0] + "." + texts[1] + "." + texts[2] + "." + texts[3]


def _profiles(world: PromotionsWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return honest, independent users; created_at is Unix seconds, `locals` the e-mail's part before the @."""
    fake = faker(rng)
    first_names = [fake.first_name() for _ in range(2_500)]
    last_names = [fake.last_name() for _ in range(2_500)]
    mail_names = [fake.user_name() for _ in range(4_000)]
    makers = (fake.chrome, fake.safari, fake.opera, fake.internet_explorer)  # Faker's Firefox depends on today's date
    agents = [makers[number % len(makers)]() for number in range(4_000)]
    places = [fake.location_on_land() for _ in range(2_500)]
    count = world.users
    place = rng.integers(0, len(places), count)
    # A third of the users live in one of a few cities.
    place = np.where(rng.random(count) < 0.33, rng.integers(0, 12, count), place)
    locals_ = _pick(rng, mail_names, count)
    numbered = rng.random(count) < 0.6
    locals_[numbered] += rng.integers(1, 1_000, int(numbered.sum())).astype("str").astype(object)
    age_days = 365.25 * 18 + rng.beta(1.1, 1.4, count) * 365.25 * 70
    created_at = arrival_times(rng, count, _SIGN_UPS_FROM, _SIGN_UPS_DAYS, _HOUR_WEIGHTS, _WEEKDAY_WEIGHTS)
    return pd.DataFrame(
        {
            "user_id": uuids(rng, count),
            "created_at": rng.permutation(created_at),
            "locals": locals_,
            "domain": _pick(rng, list(_MAIL_DOMAINS), count),
            "is_email_verified": rng.random(count) < 0.5,
            "phone": _phones(rng, count),
            "is_phone_verified": rng.random(count) < 0.5,
            "first_name": _pick(rng, first_names, count),
            "last_name": _pick(rng, last_names, count),
            "ip_address": _addresses(rng, count),
            "device_id": uuids(rng, count).astype(object),
            "user_agent": _pick(rng, agents, count),
            "city": np.array([place[2] for place in places], dtype=object)[place],
            "gender": np.where(rng.random(count) < 0.5, "Female", "Male"),
            "dob": np.datetime64("2024-05-10") - age_days.astype("int64"),
            "timezone": np.array([place[4] for place in places], dtype=object)[place],
        }
    ).astype(dict.fromkeys(("locals", "phone", "first_name", "last_name", "city", "timezone"), "object"))


def _roles(world: PromotionsWorld, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Assign a role to every user; return the rows of each role."""
    abusers = round(world.users * world.abuser_share)
    malformed, lone = round(abusers * world.malformed_share), round(abusers * world.lone_share)
    honest = world.users - abusers
    sizes = {
        "malformed": malformed,
        "lone": lone,
        "ring": abusers - malformed - lone,
        "household": round(honest * world.household_share),
        "office": round(honest * world.office_share),
        "carrier_nat": round(honest * world.carrier_nat_share),
        "second_hand_device": round(honest * world.second_hand_share),
    }
    parts = np.split(rng.permutation(world.users), np.cumsum(list(sizes.values())))
    return dict(zip([*sizes, "honest"], parts, strict=True))


def _share(
    rng: np.random.Generator, users: pd.DataFrame, rows: np.ndarray, group: np.ndarray, columns: list[str], share: float
) -> np.ndarray:
    """Copy the values of their group's first row to `share` of the `rows`, in place; return which rows share them."""
    first = np.searchsorted(group, group)
    has = (rng.random(len(rows)) < share) | (first == np.arange(len(rows)))
    users.loc[rows[has], columns] = users.loc[rows[first][has], columns].to_numpy()
    return has & (np.bincount(group[has], minlength=int(group.max(initial=0)) + 1)[group] > 1)


def _let_honest_share(rng: np.random.Generator, users: pd.DataFrame, roles: dict[str, np.ndarray]) -> None:
    """Let honest users share: households, offices, carrier NAT and second-hand devices, in place."""
    home = groups(rng, len(roles["household"]), 2, 5)
    _share(rng, users, roles["household"], home, ["ip_address", "city", "timezone"], 1.0)
    _share(rng, users, roles["household"], home, ["last_name"], 0.7)
    _share(rng, users, roles["household"], home, ["device_id", "user_agent"], 0.3)
    office = groups(rng, len(roles["office"]), 5, 30)
    _share(rng, users, roles["office"], office, ["ip_address", "city", "timezone"], 1.0)
    _share(rng, users, roles["carrier_nat"], groups(rng, len(roles["carrier_nat"]), 20, 80), ["ip_address"], 1.0)
    pairs = groups(rng, len(roles["second_hand_device"]), 2, 2)
    _share(rng, users, roles["second_hand_device"], pairs, ["device_id", "user_agent"], 1.0)


def _malform(
    world: PromotionsWorld, rng: np.random.Generator, users: pd.DataFrame, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Malform profiles in place; return which rows are young at use, and the signs of each, joined by ";"."""
    count = len(rows)
    fake = faker(rng)
    signs = pd.DataFrame({sign: rng.random(count) < share for sign, share in _MALFORMED_SIGNS.items()})
    shows = rng.random(count) >= world.hidden_share
    # A visible one has at least one sign.
    silent = shows & ~signs.to_numpy().any(axis=1)
    forced = rng.integers(0, signs.shape[1], count)
    signs = signs | (silent[:, None] & (np.arange(signs.shape[1]) == forced[:, None]))
    signs = signs & shows[:, None]
    area, middle, last = (
        rng.integers(low, high, count).astype("str").astype(object)
        for low, high in ((200, 999), (200, 999), (1_000, 9_999))
    )
    extension = rng.integers(100, 99_999, count).astype("str").astype(object)
    shapes = [
        area + "-" + middle + "-" + last + "x" + extension,
        area + "." + middle + "." + last,
        "(" + area + ")" + middle + "-" + last,
        "+1-" + area + "-" + middle + "-" + last,
        area + middle + last,
    ]
    odd_phones = np.choose(rng.integers(0, len(shapes), count), shapes)
    words = sorted({fake.word() for _ in range(400)})
    changes = {
        "phone": {"phone": odd_phones},
        "words": {"first_name": _pick(rng, words, count), "last_name": _pick(rng, words, count)},
        "age": {"dob": np.datetime64("1933-05-10") - rng.integers(0, 365 * 28, count)},
        "domain": {"domain": _pick(rng, words, count) + ".example"},
    }
    for sign, columns in changes.items():
        has_sign = signs[sign].to_numpy()
        for column, values in columns.items():
            users.loc[rows[has_sign], column] = values[has_sign]
    return signs["young"].to_numpy(), _joined(signs)


def _joined(flags: pd.DataFrame) -> np.ndarray:
    """Return the names of the true columns of each row, joined by ";"."""
    parts = [np.where(flags[name], f"{name};", "") for name in flags]
    return pd.Series(np.sum(np.array(parts, dtype=object), axis=0)).str.rstrip(";").to_numpy(dtype=object)


def _form_rings(
    world: PromotionsWorld, rng: np.random.Generator, users: pd.DataFrame, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Make rings of the rows, in place; return the ring number of each row, and what it shares, joined by ";"."""
    ring = groups(rng, len(rows), 3, 15)
    shared = pd.DataFrame(
        {
            "device": _share(rng, users, rows, ring, ["device_id", "user_agent"], world.device_sharing),
            "ip": _share(rng, users, rows, ring, ["ip_address", "city", "timezone"], world.ip_sharing),
            "phone": _share(rng, users, rows, ring, ["phone"], world.phone_sharing),
            "email": _share(rng, users, rows, ring, ["locals", "domain"], world.email_sharing),
        }
    )
    phone = users.loc[rows, "phone"].astype("str").to_numpy(dtype=object)
    digits = pd.Series(phone)
    neighbour = (digits.astype("int64") + rng.integers(1, 9, len(rows))).astype("str")
    spelt = np.choose(
        rng.integers(0, 4, len(rows)),
        [
            digits,
            "+" + digits,
            "+1 " + digits.str[1:4] + "-" + digits.str[4:7] + "-" + digits.str[7:],
            neighbour,
        ],
    )
    users.loc[rows, "phone"] = np.where(shared["phone"], spelt, phone)
    local = pd.Series(users.loc[rows, "locals"].astype("str").to_numpy(dtype=object))
    number = pd.Series(rng.integers(1, 99, len(rows))).astype("str")
    variants = [
        local.str[:2] + "." + local.str[2:],
        local.str[:3] + "." + local.str[3:],
        local + "+" + number,
        local.str[:2] + "." + local.str[2:] + "+promo" + number,
        local.str.capitalize(),
    ]
    users.loc[rows, "locals"] = np.where(shared["email"], np.choose(rng.integers(0, 5, len(rows)), variants), local)
    # A ring signs up in one burst: hours between one account and the next.
    starts = users.loc[rows[np.searchsorted(ring, ring)], "created_at"].to_numpy()
    pause = rng.exponential(4 * 3_600, len(rows))
    since_all = np.cumsum(pause)
    users.loc[rows, "created_at"] = (starts + since_all - since_all[np.searchsorted(ring, ring)]).astype("int64")
    return ring, _joined(shared)


def _use_times(rng: np.random.Generator, users: pd.DataFrame, is_young: np.ndarray, is_informative: bool) -> np.ndarray:
    """Return when each user uses a code, Unix microseconds. Young ones use it within 60 days, mostly at once."""
    created = users["created_at"].to_numpy().astype("float64")
    opens, closes = float(day_start(_USES_FROM)), float(day_start(_USES_FROM) + _USES_DAYS * SECONDS_PER_DAY)
    settled = np.maximum(opens, created + _YOUNG_DAYS * SECONDS_PER_DAY)
    earliest = np.where(settled < closes, settled, created)
    late = earliest + rng.random(len(users)) * (closes - earliest)
    soon = created + np.minimum(rng.exponential(8 * SECONDS_PER_DAY, len(users)), (_YOUNG_DAYS - 1) * SECONDS_PER_DAY)
    used_at = np.where(is_young & is_informative, np.minimum(soon, closes - 1), late)
    return (used_at * 1e6).astype("int64")


def _codes(world: PromotionsWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return the code file: some codes repeat with other terms; some fixed discounts exceed the minimum."""
    distinct = world.codes - round(world.codes * world.repeated_code_share)
    width = max(4, len(str(2 * distinct)))
    codes = rng.choice(np.arange(10 ** (width - 1), 10**width), distinct, replace=False)
    every = np.concatenate([codes, rng.choice(codes, world.codes - distinct)])
    return pd.DataFrame(
        {
            "promo_code": rng.permutation(every),
            "discount_type": rng.choice(["percentage", "fixed_amount"], world.codes, p=[0.515, 0.485]),
            "discount_value": rng.integers(5, 51, world.codes),
            "min_purchase_amount": rng.integers(10, 101, world.codes),
        }
    )


def world_at(scale: float) -> PromotionsWorld:
    """Return the world at a scale; 1.0 has the users of the public files, and no scale has fewer than 1,500."""
    users = max(1_500, round(8_998 * scale))
    return PromotionsWorld(users=users, usages=round(users * 8_990 / 8_998), codes=max(200, round(1_000 * scale)))


def make_sample(world: PromotionsWorld, seed: int) -> Sample:
    """Generate users, codes and usages, with the truth.

    Truth: `promo_users` (user_id, is_abuser, ring_id or null, why). why begins with the role of the user: malformed,
    lone, ring, household, office, carrier_nat, second_hand_device or honest; for malformed and ring a colon and the
    signs, or what is shared, follow; they may be empty.
    """
    rng = generator(seed, "promo_users")
    users = _profiles(world, rng)
    roles = _roles(world, rng)
    why = np.full(world.users, "honest", dtype=object)
    for role, rows in roles.items():
        why[rows] = role
    _let_honest_share(rng, users, roles)
    is_young = np.zeros(world.users, dtype=bool)
    young, signs = _malform(world, rng, users, roles["malformed"])
    is_young[roles["malformed"]] = young
    is_young[roles["ring"]] = is_young[roles["lone"]] = True
    if world.use_lag_informative:
        last = day_start(_USES_FROM) + (_USES_DAYS - 30) * SECONDS_PER_DAY
        users.loc[is_young, "created_at"] = rng.integers(day_start(_USES_FROM), last, int(is_young.sum()))
    why[roles["malformed"]] = "malformed:" + signs
    ring, shared = _form_rings(world, rng, users, roles["ring"])
    why[roles["ring"]] = "ring:" + shared
    ring_id = np.full(world.users, None, dtype=object)
    ring_id[roles["ring"]] = "ring-" + pd.Series(ring + 1).astype("str").str.zfill(4).to_numpy(dtype=object)
    is_abuser = np.zeros(world.users, dtype=bool)
    is_abuser[np.concatenate([roles["malformed"], roles["lone"], roles["ring"]])] = True
    truth = pd.DataFrame({"user_id": users["user_id"], "is_abuser": is_abuser, "ring_id": ring_id, "why": why})
    codes = _codes(world, generator(seed, "promo_codes"))
    usages = _usages(world, generator(seed, "promo_usages"), users, codes, roles["ring"], ring, is_young)
    return Sample(
        (
            SampleFile("promo_users", "promo_users.csv", _users_as_written(world, rng, users, is_abuser)),
            SampleFile("promo_codes", "promo_codes.csv", codes),
            SampleFile("promo_usages", "promo_usages.csv", usages, timestamp_format="%Y-%m-%d %H:%M:%S.%f"),
        ),
        {"promo_users": truth},
    )


def _usages(
    world: PromotionsWorld,
    rng: np.random.Generator,
    users: pd.DataFrame,
    codes: pd.DataFrame,
    ring_rows: np.ndarray,
    ring: np.ndarray,
    is_young: np.ndarray,
) -> pd.DataFrame:
    """Return one use per user, of most users and some strangers. Codes differ in popularity; a ring has its own."""
    distinct = codes["promo_code"].drop_duplicates().to_numpy()
    popularity = rng.gamma(4.0, 1.0, len(distinct))
    popularity /= popularity.sum()
    code = rng.choice(distinct, world.users, p=popularity)
    own = rng.choice(distinct, int(ring.max(initial=0)) + 1)
    keeps = rng.random(len(ring_rows)) < world.code_sharing
    code[ring_rows[keeps]] = own[ring[keeps]]
    used_at = _use_times(rng, users, is_young, world.use_lag_informative)
    strangers = round(world.usages * world.strangers_share)
    # All rings use codes; others are left out at random.
    chance = rng.random(world.users)
    chance[ring_rows] = -1
    known = np.argsort(chance, kind="stable")[: world.usages - strangers]
    span = _USES_DAYS * SECONDS_PER_DAY * 1_000_000
    stranger_at = day_start(_USES_FROM) * 1_000_000 + rng.integers(0, span, strangers)
    rows = pd.DataFrame(
        {
            "user_id": np.concatenate([users["user_id"].to_numpy(dtype=object)[known], uuids(rng, strangers)]),
            "promo_code": np.concatenate([code[known], rng.choice(distinct, strangers, p=popularity)]),
            "used_at": np.concatenate([used_at[known], stranger_at]).astype("datetime64[us]"),
            "used_promo": "True",
        }
    )
    return rows.iloc[rng.permutation(len(rows))]


def _users_as_written(
    world: PromotionsWorld, rng: np.random.Generator, users: pd.DataFrame, is_abuser: np.ndarray
) -> pd.DataFrame:
    """Return the columns of the inbox as text: TRUE and FALSE, hours without leading zero, a few blank cities."""
    at = pd.Series(as_timestamps(users["created_at"].to_numpy()))
    hour = at.dt.hour.astype("str")
    created = at.dt.strftime("%Y-%m-%d ") + hour + at.dt.strftime(":%M:%S")
    label = np.where(is_abuser, "TRUE", "FALSE").astype(object)
    label[rng.random(world.users) >= world.label_share] = None
    email = users["locals"] + "@" + users["domain"]
    rows = users.drop(columns=["locals", "domain"])
    rows.insert(2, "email", email)
    for column in ("is_email_verified", "is_phone_verified"):
        rows[column] = np.where(rows[column], "TRUE", "FALSE")
    rows["dob"] = rows["dob"].dt.strftime("%Y-%m-%d")
    rows["created_at"] = created
    rows["is_abuser"] = label
    rows.loc[rng.random(world.users) < 0.0006, "city"] = None
    return rows
