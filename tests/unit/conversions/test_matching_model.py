"""Writing a model as JSON and reading it back."""

import json
from dataclasses import replace

import pytest

from quintet.conversions.matching_model import ClockStretch, FieldWeights, LagDensity, MatchingModel, PartnerModel

_FIELD = FieldWeights(0.9, 0.05, 0.05, 0.8, 0.1, 0.1)
_MODEL = MatchingModel(
    partners={
        "one": PartnerModel(
            clock=(ClockStretch(0, 7_200, is_clear=True),),
            lag=LagDensity((0, 1, 3), (0.75, 0.25)),
            click_rate=0.9,
            burst_click_rate=0.2,
            row_link_share=0.95,
            ip=_FIELD,
            residency=_FIELD,
            unlinked_ip_share={"US": 0.5, "": 0.1},
            unlinked_ip_rest=0.001,
            country_share={"US": 0.5},
            country_rest=0.001,
            any_country_seconds=3,
            rows=10,
        )
    },
    calibration=((0.0, 0.0), (1.0, 0.99)),
    threshold=0.4,
    chosen_come_true=0.99,
)


def test_a_model_comes_back_from_its_json_with_the_same_version():
    back = MatchingModel.from_json(_MODEL.to_json())
    assert back == _MODEL
    assert back.version == _MODEL.version


def test_another_parameter_is_another_version():
    assert replace(_MODEL, threshold=0.41).version != _MODEL.version


def test_a_model_of_another_method_is_rejected():
    text = json.dumps(json.loads(_MODEL.to_json()) | {"method": "0"})
    with pytest.raises(ValueError, match="Retrain it"):
        MatchingModel.from_json(text)


def test_the_density_is_of_each_second():
    assert _MODEL.partners["one"].lag.per_second.tolist() == [0.75, 0.125, 0.125]


def test_links_that_disagree_in_both_countries_are_out_of_reach():
    assert _MODEL.partners["one"].reach == pytest.approx(0.99)
