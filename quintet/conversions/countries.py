"""Resolve country spellings to ISO 3166 alpha-2 codes, with the method and a confidence.

The first step that knows a spelling decides: the dictionary (names, codes, aliases); the dictionary without an
official frame such as "Republic of"; the nearest name, if clearly nearer than that of any other country; regular
expressions over distinctive words. Other spellings stay without a country: an unknown country is a missing field, a
wrong one causes a wrong match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd
import pycountry
from babel import Locale
from rapidfuzz import process
from rapidfuzz.distance import OSA

VERSION = "1"
"""Increase it with every change to a table or a threshold here: results of other versions are not comparable."""

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "name": "A name of pycountry, or of babel in one of seven languages.",
        "alias": "A spelling of the table of aliases.",
        "code": "An ISO code of two or three letters.",
        "fuzzy": "The nearest name, clearly nearer than any of another country.",
        "pattern": "A known name inside an official frame, or a distinctive word.",
        "missing": "No text.",
        "unknown": "No step is certain.",
    }
)
"""Every value of the column `method`, with its meaning."""

LEAST_SIMILARITY = 0.72
LEAST_MARGIN = 0.05

_LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")
_KOSOVO = "XK"  # not in ISO 3166, but in general use

# Only spellings that neither pycountry nor babel has, as a test checks.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "AE": ("UAE", "Emirates"),
    "BA": ("Bosnia",),
    "BQ": ("Bonaire", "Sint Eustatius and Saba", "Sint Eustatius", "Saba"),
    "CD": (
        "Democratic Republic of the Congo",
        "Congo (Democratic Republic of the)",
        "DR Congo",
        "Congo DR",
        "DRC",
        "Congo, Dem. Rep.",
        "Zaire",
    ),
    "CG": ("Congo Republic", "Congo, Rep.", "Republic of Congo"),
    "CI": ("Ivory Coast",),
    "CN": ("PR China", "Mainland China", "PRC"),
    "DO": ("Dominican", "Dominican Rep.", "Dominica Republic"),
    "ES": ("Canary Islands",),
    "FK": ("Malvinas",),
    "FM": ("Micronesia, Fed. St.",),
    "GB": ("UK", "Great Britain", "Britain", "England", "Scotland", "Wales", "Northern Ireland"),
    "HK": ("Hong Kong SAR", "Hong Kong, China"),
    "KN": ("St Kitts", "Saint Christopher and Nevis"),
    "KP": ("DPRK", "Korea, North"),
    "KR": ("Republic of Korea", "Korea, South"),
    "LA": ("Lao PDR",),
    "MK": ("Macedonia", "FYR Macedonia", "FYROM", "The Former Yugoslav Republic of Macedonia"),
    "MM": ("Burma",),
    "MO": ("Macau", "Macao SAR", "Macau SAR", "Macau, China"),
    "NL": ("Holland",),
    "PS": (
        "West Bank",
        "Gaza Strip",
        "Gaza",
        "West Bank and Gaza",
        "West Bank and Gaza Strip",
        "Palestine",
        "Palestinian Territory",
        "Occupied Palestinian Territory",
        "Palestinian Territory, Occupied",
        "Palestinian Authority",
    ),
    "ST": ("Sao Tome",),
    "SX": ("Saint Maarten", "Dutch Sint Maarten"),
    "SZ": ("Swaziland",),
    "TL": ("East Timor",),
    "TR": ("Turkey", "Republic of Turkey"),
    "TT": ("Trinidad",),
    "TW": ("Taiwan (Republic of China)", "Republic of China", "Chinese Taipei", "Taiwan ROC"),
    "US": ("America", "The States"),
    "VA": ("Vatican", "Holy See"),
    "VG": ("BVI",),
    "VI": ("United States Virgin Islands", "USVI"),
    "XK": ("Republic of Kosovo", "Kosovo (UNMIK)", "XKX", "Kosova"),
}

# Names of several countries, or of none. The fuzzy step treats them, and babel's regions of the world, as names of no
# country: "South America" is not South Africa.
_NO_COUNTRY = (
    *("Korea", "Virgin Islands", "Channel Islands", "Antarctic Territory"),
    *("Czechoslovakia", "Yugoslavia", "Serbia and Montenegro", "Soviet Union", "USSR", "Netherlands Antilles"),
    *("European Union", "West Indies", "Indies", "Guianas", "Antilles"),
)

# Over folded text. A spelling that matches the patterns of two countries, or names another country, stays unresolved.
_PATTERNS: Mapping[str, str] = {
    "AE": r"\bemirates\b",
    "AG": r"\bantigua\b|\bbarbuda\b",
    "BA": r"\bbosnia\b|\bherzegovina\b",
    "BN": r"\bbrunei\b",
    "BO": r"\bbolivia\b",
    "BQ": r"\bbonaire\b|\bsint eustatius\b|\bsaba\b",
    "CD": r"\bdem\w*\b.*\bcongo\b|\bcongo\b.*\bdem\w*\b|\bcongo\b.*\bkinshasa\b",
    "CF": r"\bcentral afr\w* rep\w*\b",
    "CG": r"\bcongo\b.*\bbrazzaville\b",
    "CI": r"\bcote d ?ivoire\b|\bivory coast\b",
    "CV": r"\bcape verde\b|\bcabo verde\b",
    "CZ": r"\bczech\b",
    "DO": r"\bdominican rep\w*\b",
    "FK": r"\bfalklands?\b",
    "FM": r"\bmicronesia\b",
    "GB": r"\bgreat britain\b|\bunited kingdom\b",
    "GQ": r"\bequatorial guinea\b",
    "GS": r"\bsouth georgia\b",
    "GW": r"\bguinea bissau\b",
    "HK": r"\bhong ?kong\b",
    "IR": r"\biran\b",
    "KN": r"\bsaint kitts\b|\bnevis\b",
    "KP": r"\b(?:north|dem\w*|peoples)\b.*\bkorea\b|\bkorea\b.*\b(?:north|dem\w*|peoples|dpr)\b",
    "KR": r"^(?!.*\b(?:north|dem\w*|peoples)\b).*(?:\b(?:south|rep\w*)\b.*\bkorea\b|\bkorea\b.*\b(?:south|rep\w*)\b)",
    "LA": r"\blaos?\b",
    "LY": r"\blibya\w*\b",
    "MD": r"\bmoldova\b",
    "MK": r"\bmacedonia\b",
    "MM": r"\bmyanmar\b|\bburma\b",
    "MO": r"\bmaca[ou]\b",
    "PG": r"\bpapua new\b",
    "PM": r"\bmiquelon\b",
    "PS": r"\bpalestin\w*\b|\bgaza\b|\bwest bank\b",
    "RU": r"\brussian?\b",
    "SH": r"\bsaint helena\b|\btristan da cunha\b",
    "SJ": r"\bsvalbard\b|\bjan mayen\b",
    "SS": r"\bsouth sudan\b",
    "ST": r"\bsao tome\b",
    "SX": r"\bsint maarten\b",
    "SY": r"\bsyrian?\b",
    "SZ": r"\bswaziland\b|\beswatini\b",
    "TC": r"\bturks\b.*\bcaicos\b",
    "TL": r"\btimor leste\b|\beast timor\b",
    "TT": r"\btrinidad\b|\btobago\b",
    "TW": r"\btaiwan\b",
    "TZ": r"\btanzania\b",
    "US": r"\bunited states(?: of america)?\b(?!.*\b(?:virgin|minor|outlying)\b)",
    "VA": r"\bvatican\b|\bholy see\b",
    "VC": r"\bsaint vincent\b",
    "VE": r"\bvenezuela\b",
    "VG": r"\bbrit\w* virgin is\w*\b|\bvirgin is\w*\b.*\bbrit\w*\b",
    "VI": r"\b(?:us|united states) virgin is\w*\b|\bvirgin is\w*\b.*\b(?:us|united states)\b",
    "VN": r"\bviet ?nam\b",
    "WF": r"\bwallis\b|\bfutuna\b",
    "XK": r"\bkosov[oa]\b",
}

_FRAME_WORD = (
    r"(?:arab|bolivarian|commonwealth|co operative|cooperative|democratic|duchy|federal|federated|federation|federative"
    r"|grand|hashemite|independent|islamic|kingdom|oriental|peoples|plurinational|principality|rep|republic|socialist"
    r"|sovereign|state|states|sultanate|union|united(?= republic))"
)
_FRAME = re.compile(
    rf"^(?:{_FRAME_WORD} )+of (?:the )?(.+)$"
    rf"|^(.+?)(?: the)?(?: {_FRAME_WORD})+ of(?: the)?$"
    rf"|^(.+?)(?: {_FRAME_WORD})*? (?:republic|rep|federation)$"
    r"|^(.+) islands?$"
)
# With these words the frame decides the country.
_FRAME_DECIDES = re.compile(r"\b(?:america|china|congo|korea|virgin|samoa)\b")
_FRAME_DECIDED_COUNTRIES = {"CD", "CG", "CN", "KP", "KR", "TW"}

_QUOTES = re.compile(r"[’‘‛ʼʻ'`´′.]")
_GAPS = re.compile(r"[\W_]+")
_SAINT = re.compile(r"^(?:st|ste|sts)(?:\.\s*|\s+)(?=\w)")
_LONGEST_NAME = 120
_FUZZY_ROWS_AT_ONCE = 4_096
_CONFIDENCE = {"name": 1.0, "alias": 1.0, "code": 0.9, "pattern": 0.8, "missing": 0.0, "unknown": 0.0}


def fold(spelling: str) -> str:
    """Return a spelling for comparison: no marks, case, quotes or punctuation, single spaces; "&" is "and"."""
    decomposed = unicodedata.normalize("NFKD", spelling)
    unmarked = "".join(character for character in decomposed if not unicodedata.combining(character)).casefold()
    saints = _SAINT.sub("saint ", unmarked.strip())
    return _GAPS.sub(" ", _QUOTES.sub("", saints).replace("&", " and ")).strip().removeprefix("the ")


@dataclass(frozen=True)
class _Names:
    """The dictionary, and the names that the fuzzy step compares with, sorted by country."""

    exact: Mapping[str, tuple[str, str]]  # folded spelling -> (ISO code, method)
    names: tuple[str, ...]
    countries: np.ndarray  # of `names`, ISO codes; "" for a name of no country
    lengths: np.ndarray  # of `names`, characters
    frame_lengths: np.ndarray  # of `names`, characters outside the core
    mentions: re.Pattern[str]  # names that identify their country anywhere in a text


@cache
def _names() -> _Names:
    codes = {country.alpha_2 for country in pycountry.countries} | {_KOSOVO}
    exact: dict[str, tuple[str, str]] = {}
    for iso2, spellings in _ALIASES.items():
        exact |= {fold(spelling): (iso2, "alias") for spelling in spellings}
    for iso2, name in [*_pycountry_names(), *_babel_names(codes)]:
        if exact.get(fold(name), (iso2, ""))[0] != iso2:
            raise ValueError(f"{name!r} is the name of two countries: {iso2} and {exact[fold(name)][0]}")
        exact[fold(name)] = (iso2, "name")
    distinct_names = sorted((name for name in exact if not _FRAME_DECIDES.search(name)), key=len, reverse=True)
    for name in [*_NO_COUNTRY, *_babel_regions()]:
        exact.setdefault(fold(name), ("", "unknown"))
    pairs = sorted((iso2, name) for name, (iso2, _) in exact.items() if len(name) > 3)
    names = tuple(name for _, name in pairs)
    for country in pycountry.countries:
        exact.setdefault(country.alpha_2.casefold(), (country.alpha_2, "code"))
        exact.setdefault(country.alpha_3.casefold(), (country.alpha_2, "code"))
    exact.setdefault(_KOSOVO.casefold(), (_KOSOVO, "code"))
    return _Names(
        exact=MappingProxyType(exact),
        names=names,
        countries=np.array([iso2 for iso2, _ in pairs]),
        lengths=np.array([len(name) for name in names]),
        frame_lengths=np.array([len(name) - len(_core(name)) for name in names]),
        mentions=re.compile(rf"\b(?:{'|'.join(map(re.escape, distinct_names))})\b"),
    )


def _pycountry_names() -> list[tuple[str, str]]:
    kinds = ("name", "common_name", "official_name")
    return [
        (country.alpha_2, getattr(country, kind))
        for country in pycountry.countries
        for kind in kinds
        if hasattr(country, kind)
    ]


def _babel_names(codes: set[str]) -> list[tuple[str, str]]:
    return [
        (iso2, name) for language in _LANGUAGES for iso2, name in Locale(language).territories.items() if iso2 in codes
    ]


def _babel_regions() -> list[str]:
    return [
        name
        for language in _LANGUAGES
        for code, name in Locale(language).territories.items()
        if code.isdigit() or code in {"EU", "EZ", "UN"}
    ]


def _core(name: str) -> str:
    """Return the name inside the frame: "malta" of "republic of malta"; the whole name where there is no frame."""
    if found := _FRAME.match(name):
        core = next(part for part in found.groups() if part is not None)
        return core if len(core) > 3 else name
    return name


def _without_frame(name: str) -> str:
    """Return the core where the frame does not decide the country, else the name."""
    return name if _FRAME_DECIDES.search(name) else _core(name)


def canonicalise(spellings: Iterable[str]) -> pd.DataFrame:
    """Return the country of each distinct spelling: columns spelling, country_iso2, method, confidence.

    One row per distinct spelling, verbatim, in the order of the text; the order and repetition of `spellings` do not
    matter. country_iso2: ISO 3166 alpha-2 or XK, null where `method` is missing or unknown. method: a key of `METHODS`.
    confidence: 0 to 1; the similarity for fuzzy, a constant for each other method.
    Raises TypeError for anything but text.
    """
    texts = sorted(set(spellings))
    folded = pd.Series([fold(text) for text in texts], dtype="str")
    resolved = _resolve(sorted(set(folded)))
    result = resolved.loc[folded.to_list()].reset_index(drop=True)
    result.insert(0, "spelling", pd.Series(texts, dtype="str"))
    return result


def _resolve(folded: list[str]) -> pd.DataFrame:
    """Return country_iso2, method, confidence by distinct folded spelling."""
    exact = _names().exact
    found = {text: exact[text] for text in folded if text in exact}
    if "" in folded:
        found[""] = ("", "missing")
    cores = {text: _without_frame(text) for text in folded if text not in found and len(text) <= _LONGEST_NAME}
    found |= {text: (exact[core][0], "pattern") for text, core in cores.items() if exact.get(core, ("", ""))[0]}
    open_texts = [text for text in cores if text not in found]
    similarities = _nearest(open_texts)
    framed = {text: cores[text] for text in open_texts if text not in similarities and cores[text] != text}
    by_core = _nearest(sorted(set(framed.values())))
    similarities |= {
        text: by_core[core]
        for text, core in framed.items()
        if core in by_core and by_core[core][0] not in _FRAME_DECIDED_COUNTRIES
    }
    found |= {text: (iso2, "fuzzy") for text, (iso2, _) in similarities.items()}
    patterns = {text: _by_pattern(text) for text in open_texts if text not in similarities}
    found |= {text: (iso2, "pattern") for text, iso2 in patterns.items() if iso2}
    pairs = [found.get(text, ("", "unknown")) for text in folded]
    return pd.DataFrame(
        {
            "country_iso2": pd.Series([iso2 or None for iso2, _ in pairs], index=folded, dtype="str"),
            "method": pd.Series([method for _, method in pairs], index=folded, dtype="str"),
            "confidence": [
                similarities[text][1] if method == "fuzzy" else _CONFIDENCE[method]
                for text, (_, method) in zip(folded, pairs, strict=True)
            ],
        },
        index=pd.Index(folded, dtype="str"),
    )


def _nearest(texts: list[str]) -> dict[str, tuple[str, float]]:
    """Return the country and similarity of each text with one clearly nearest country.

    Similarity is one minus the Damerau-Levenshtein distance (restricted: a pair swapped is not edited again) by the
    longer length, the name's frame not counted: "Republic of Wakanda" is far from "Republic of Rwanda". Texts are
    compared in blocks of one length, and only with names of similar length.
    """
    known = _names()
    lengths = np.array([len(text) for text in texts], dtype=int)
    nearest: dict[str, tuple[str, float]] = {}
    for length in np.unique(lengths):
        block = np.flatnonzero(lengths == length)
        for start in range(0, len(block), _FUZZY_ROWS_AT_ONCE):
            rows = block[start : start + _FUZZY_ROWS_AT_ONCE]
            countries, similarities = _nearest_of_length([texts[row] for row in rows], int(length), known)
            nearest |= {
                texts[row]: (str(country), round(float(similarity), 4))
                for row, country, similarity in zip(rows, countries, similarities, strict=True)
                if country
            }
    return nearest


def _nearest_of_length(texts: list[str], length: int, known: _Names) -> tuple[np.ndarray, np.ndarray]:
    """Return, for texts of one length, the country ("" where none is clear) and the similarity."""
    scale = np.maximum(np.maximum(known.lengths, length) - known.frame_lengths, 1)
    # A runner-up further away than this never narrows the margin.
    furthest = (1 - (LEAST_SIMILARITY - LEAST_MARGIN)) * scale
    near = np.flatnonzero(np.abs(known.lengths - length) <= furthest)
    if not len(near):
        return np.full(len(texts), ""), np.zeros(len(texts))
    distances = process.cdist(
        texts,
        [known.names[column] for column in near],
        scorer=OSA.distance,
        score_cutoff=int(furthest[near].max()),
        dtype=np.uint8,
    )
    similarities = 1 - distances / scale[near].astype(np.float32)
    countries, starts = np.unique(known.countries[near], return_index=True)
    by_country = np.maximum.reduceat(similarities, starts, axis=1)
    winner = by_country.argmax(axis=1)
    best = by_country[np.arange(len(texts)), winner].copy()
    by_country[np.arange(len(texts)), winner] = 0
    # A small tolerance, so that a margin of exactly the least does not depend on rounding.
    clear = (best >= LEAST_SIMILARITY - 1e-6) & (best - by_country.max(axis=1) >= LEAST_MARGIN - 1e-6)
    return np.where(clear, countries[winner], ""), best


@cache
def _compiled_patterns() -> tuple[re.Pattern[str], Mapping[str, re.Pattern[str]]]:
    """Return one pattern that matches where any country's does, and the pattern of each country."""
    any_country = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS.values()))
    return any_country, {iso2: re.compile(pattern) for iso2, pattern in _PATTERNS.items()}


def _by_pattern(text: str) -> str:
    """Return the country of a distinctive word, "" where there is none or more than one."""
    known = _names()
    any_country, by_country = _compiled_patterns()
    if not any_country.search(text):
        return ""
    matching = {iso2 for iso2, pattern in by_country.items() if pattern.search(text)}
    named = {known.exact[name][0] for name in known.mentions.findall(text)}
    return matching.pop() if len(matching) == 1 and named <= matching else ""
