"""Resolving spellings to countries, or to none."""

import random
import string
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import pycountry
import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.conversions import countries
from quintet.conversions.countries import METHODS, canonicalise

_ENGLISH_NAMES = {country.alpha_2: Locale("en").territories[country.alpha_2] for country in pycountry.countries}


def _countries(*spellings: str) -> list[str | None]:
    table = canonicalise(spellings).set_index("spelling")["country_iso2"]
    return [None if pd.isna(iso2) else iso2 for iso2 in table.loc[list(spellings)]]


def _methods(*spellings: str) -> list[str]:
    return canonicalise(spellings).set_index("spelling").loc[list(spellings), "method"].to_list()


@pytest.mark.parametrize(
    ("iso2", "spellings"),
    [
        ("CI", ["Côte d’Ivoire", "Cote D'ivoire", "cote d`ivoire", "Ivory Coast", "CÔTE D'IVOIRE"]),
        ("LA", ["Lao People`s Democratic Republic", "Lao People's Democratic Republic", "Laos"]),
        ("PS", ["West Bank", "Gaza Strip", "Palestine", "Occupied Palestinian Territory", "Palestinian Territory"]),
        ("MO", ["Macao", "Macau", "Macao Special Administrative Region of China"]),
        ("KR", ["Republic of Korea", "Korea (Republic of)", "South Korea", "KOR"]),
        ("KP", ["North Korea", "Democratic Republic of Korea", "Korea, Democratic People's Republic of"]),
        ("CD", ["Congo (Democratic Republic of the)", "Democratic Republic of the Congo", "dem rep of congo"]),
        ("CG", ["Congo", "Republic of the Congo"]),
        ("TW", ["Taiwan", "Taiwan (Province of China)", "Taiwan (Republic of China)"]),
        ("BQ", ["Bonaire", " Sint Eustatius and Saba", "Caribbean Netherlands"]),
        ("LC", ["St. Lucia", "St.Lucia", "Saint Lucia", "st lucia"]),
        ("AG", ["Antigua & Barbuda", "Antigua and Barbuda"]),
        ("VI", ["U.S. Virgin Islands", "Virgin Islands (U.S.)"]),
        ("SZ", ["Swaziland", "Eswatini"]),
        ("TR", ["Turkey", "Türkiye", "Turquie", "Türkei"]),
        ("XK", ["Kosovo", "XK", "Republic of Kosovo"]),
        ("IE", ["The Republic of Ireland", "Ireland"]),
        ("DE", ["Alemania", "Germany", "Federal Republic of Germany", "Republic of Gremany", "deu"]),
    ],
)
def test_every_usual_spelling_of_a_country_is_known(iso2: str, spellings: list[str]):
    assert _countries(*spellings) == [iso2] * len(spellings)


def test_na_is_namibia_and_not_a_missing_value():
    assert _countries("NA", "na") == ["NA", "NA"]


def test_a_misspelt_frame_country_keeps_what_its_frame_decides():
    spellings = ["Republic of Chnia", "People's Republic of Chnia", "Republic of Korae", "Democratic Republic Congo"]

    assert _countries(*spellings) == ["TW", "CN", "KR", "CD"]
    assert _countries("Kingdom of Chnia") == [None]


def test_the_code_of_sao_tome_is_no_abbreviation_of_saint():
    assert _countries("ST", "St") == ["ST", "ST"]


@pytest.mark.parametrize("spelling", ["-", "", "   ", " - "])
def test_no_text_is_missing(spelling: str):
    assert _countries(spelling) == [None]
    assert _methods(spelling) == ["missing"]


@pytest.mark.parametrize(
    "spelling",
    [
        *("Korea", "Virgin Islands", "South America", "Sout America", "Europe", "Serbia and Montenegro"),
        *("Germany and Poland", "Russia / Ukraine", "New Jersey", "New Mexico", "Republic of Wakanda", "Foo Islands"),
        *("n/a", "null", "Unknown", "Other", "'; DROP TABLE conversions; --", "1 or 1=1", "12345", "x" * 10_000),
        *("Nigeri", "Austrlia"),
    ],
)
def test_an_ambiguous_spelling_stays_unresolved(spelling: str):
    assert _countries(spelling) == [None]
    assert _methods(spelling) == ["unknown"]


def test_the_method_is_the_step_that_resolved_the_spelling():
    spellings = ["Germany", "Macau", "DE", "Gremany", "Kosovo (UN resolution)", "-", "Atlantis"]

    assert _methods(*spellings) == ["name", "alias", "code", "fuzzy", "pattern", "missing", "unknown"]
    assert set(_methods(*spellings)) == set(METHODS)


def test_every_country_is_known_by_its_english_name_and_its_codes():
    codes = {country.alpha_3: country.alpha_2 for country in pycountry.countries}

    assert _countries(*_ENGLISH_NAMES.values()) == list(_ENGLISH_NAMES)
    assert _countries(*_ENGLISH_NAMES) == list(_ENGLISH_NAMES)
    assert _countries(*codes) == list(codes.values())


def test_confidence_falls_with_each_typing_error():
    confidence = canonicalise(["Switzerland", "Swizerland", "Swizerlnd"]).set_index("spelling")["confidence"]

    assert confidence["Switzerland"] == 1
    assert 1 > confidence["Swizerland"] > confidence["Swizerlnd"] > 0.72


def test_a_spelling_given_twice_is_one_row_and_stays_verbatim():
    assert canonicalise(["  Malta", "Malta", "  Malta"])["spelling"].to_list() == ["  Malta", "Malta"]


def test_no_spelling_is_an_empty_table():
    table = canonicalise([])

    assert list(table.columns) == ["spelling", "country_iso2", "method", "confidence"]
    assert table.empty


def test_a_null_among_the_spellings_is_an_error():
    with pytest.raises(TypeError):
        canonicalise([None])  # type: ignore[list-item]


_SPELLINGS = st.lists(st.one_of(st.sampled_from(list(_ENGLISH_NAMES.values())), st.text(max_size=40)), max_size=15)


@settings(max_examples=60, deadline=None)
@given(_SPELLINGS, st.randoms(use_true_random=False))
def test_the_result_of_a_spelling_does_not_depend_on_the_others(spellings: list[str], shuffler: random.Random):
    together = canonicalise(spellings)
    shuffled = [*spellings, *spellings[:3]]
    shuffler.shuffle(shuffled)

    pd.testing.assert_frame_equal(canonicalise(shuffled), together)
    for half in (spellings[::2], spellings[1::2]):
        alone = canonicalise(half)
        expected = together[together["spelling"].isin(half)].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, expected)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_code_with_a_confidence_or_neither(spelling: str):
    row = canonicalise([spelling]).iloc[0]

    assert row["method"] in METHODS
    assert pd.isna(row["country_iso2"]) == (row["confidence"] == 0) == (row["method"] in {"missing", "unknown"})
    assert 0 <= row["confidence"] <= 1


def _with_typing_errors(generator: random.Random, name: str, errors: int) -> str:
    """`name` with letters put in, left out, replaced, or swapped with the next one."""
    for _ in range(errors):
        place = generator.randrange(len(name))
        letter = generator.choice(string.ascii_lowercase)
        name = generator.choice(
            [
                name[:place] + letter + name[place:],
                name[:place] + name[place + 1 :],
                name[:place] + letter + name[place + 1 :],
                name[:place] + name[place + 1 : place + 2] + name[place] + name[place + 2 :],
            ]
        )
    return name


def _shares(generator: random.Random, errors_of_long_names: tuple[int, ...]) -> tuple[float, float, float]:
    """Shares right, wrong and abstained over the English names, each misspelt 40 times.

    Names of up to seven letters get one error: two leave too little of "Cuba" or "Mali".
    """
    misspelt = [
        (iso2, _with_typing_errors(generator, name, 1 if len(name) < 8 else generator.choice(errors_of_long_names)))
        for iso2, name in _ENGLISH_NAMES.items()
        for _ in range(40)
    ]
    found = _countries(*(spelling for _, spelling in misspelt))
    right = sum(iso2 == truth for iso2, (truth, _) in zip(found, misspelt, strict=True))
    abstained = found.count(None)
    return (
        right / len(misspelt),
        (len(misspelt) - right - abstained) / len(misspelt),
        abstained / len(misspelt),
    )


@pytest.mark.parametrize(("errors", "least_right"), [((1,), 0.98), ((1, 2), 0.97)])
def test_misspelt_names_are_resolved_and_hardly_ever_wrongly(errors: tuple[int, ...], least_right: float):
    right, wrong, abstained = _shares(random.Random(20_240_501), errors)

    assert right >= least_right
    assert wrong <= 0.001
    assert abstained == pytest.approx(1 - right - wrong)


def test_random_letters_stay_unresolved():
    generator = random.Random(11)
    words = {
        "".join(generator.choices(string.ascii_lowercase + " ", k=generator.randrange(5, 30))) for _ in range(20_000)
    }

    assert canonicalise(words)["country_iso2"].notna().mean() < 0.0005


def test_a_hundred_thousand_misspelt_spellings_take_seconds():
    generator = random.Random(3)
    names = list(_ENGLISH_NAMES.values())
    spellings = {_with_typing_errors(generator, generator.choice(names), 3) for _ in range(110_000)}
    assert len(spellings) > 100_000
    started = time.process_time()

    canonicalise(spellings)

    assert time.process_time() - started < 20  # of the processor, which a busy machine does not lengthen; about 3


def test_the_dictionary_is_not_built_at_import():
    code = "import quintet.conversions.countries as c; print(c._names.cache_info().currsize)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "0\n"


_REAL_COLUMNS = (
    ("conversions", "*.csv.gz", "country_name"),
    ("broker_rows", "*.csv", "ip_country"),
    ("broker_rows", "*.csv", "country_residency"),
)


@pytest.fixture(scope="module")
def real_table(real_data: Path) -> pd.DataFrame:
    columns = " union ".join(
        f"select {column} from read_csv('{real_data}/{dataset}/{pattern}', all_varchar = true, nullstr = '')"
        for dataset, pattern, column in _REAL_COLUMNS
    )
    rows = duckdb.connect(config={"threads": 1}).execute(columns).fetchall()
    return canonicalise(spelling for (spelling,) in rows if spelling is not None)


@pytest.mark.real_data
def test_every_real_spelling_has_a_country_but_the_dash(real_table: pd.DataFrame):
    assert len(real_table) == 270
    assert real_table.loc[real_table["country_iso2"].isna(), "spelling"].to_list() == ["-"]


@pytest.mark.real_data
def test_no_real_spelling_needs_a_guess(real_table: pd.DataFrame):
    assert real_table["method"].value_counts().to_dict() == {"name": 253, "alias": 16, "missing": 1}


@pytest.mark.real_data
def test_real_spellings_of_one_country_have_one_code(real_table: pd.DataFrame):
    spellings = real_table.groupby("country_iso2")["spelling"].apply(set)

    assert spellings["PS"] == {"West Bank", "Gaza Strip", "Palestine", "Occupied Palestinian Territory"}
    assert spellings["CI"] == {"Côte d’Ivoire", "Cote D'ivoire", "Cote d'Ivoire"}
    assert spellings["CZ"] == {"Czech Republic", "Czechia"}
    assert spellings["NA"] == {"Namibia"}


def test_the_table_of_aliases_has_only_spellings_that_the_libraries_lack():
    aliases = [spelling for spellings in countries._ALIASES.values() for spelling in spellings]

    assert set(_methods(*aliases)) == {"alias"}
