"""The figures of agencies: rankings, scatter, history and segments."""

from quintet.insurance import agency_charts, chart_parts
from tests.unit.insurance.chart_frames import AGENCIES, LINES, SEGMENTS, by_agency, data_of


def test_the_colour_of_a_segment_does_not_depend_on_the_others() -> None:
    scale = agency_charts.segments(SEGMENTS.head(1)).spec()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == list(chart_parts.SEGMENTS)


def test_a_ranking_notes_a_cut_through_a_tie() -> None:
    figure = agency_charts.agencies_ranked(by_agency(*[{"written_premium": 5.0}] * 4), count=3)
    assert figure.note == "1 more tie with the last one shown; the lower agency number goes first."
    assert figure.table["agency_id"].tolist() == [1, 2, 3]


def test_a_ranking_notes_shared_values() -> None:
    assert agency_charts.agencies_ranked(AGENCIES).note == "2 of these share their value with another."
    assert agency_charts.agencies_ranked(AGENCIES.iloc[[0, 1]]).note == ""


def test_the_largest_come_first_with_their_share() -> None:
    figure = agency_charts.agencies_ranked(AGENCIES, count=1)
    assert figure.title == "Largest 1 of 4 agencies by written premium, USD"
    assert figure.alternative.endswith("Together they write 50.0% of the premium.")


def test_the_smallest_are_among_those_that_write_anything() -> None:
    figure = agency_charts.agencies_ranked(AGENCIES, "bottom", count=2)
    assert figure.title == "Smallest 1 of 3 agencies by written premium, USD"
    assert figure.table["agency_id"].tolist() == [2]
    assert "Left out: 1 agency without premium above zero." in figure.note


def test_where_few_agencies_are_left_one_ranking_is_enough() -> None:
    assert agency_charts.agencies_ranked(AGENCIES).title == "All 4 agencies by written premium, USD"
    assert agency_charts.agencies_ranked(AGENCIES.head(1)).title == "1 agency by written premium, USD"
    figure = agency_charts.agencies_ranked(AGENCIES, "bottom")
    assert figure.chart is None
    assert figure.note == "The other ranking shows all 3 agencies of this selection."


def test_labels_of_the_scatter_are_kept_apart() -> None:
    losers = [
        {"written_premium": 1e6 + place, "loss_ratio": 1.2, "incurred_losses": 1.2e6 + 100 * place}
        for place in range(5)
    ]
    apart = {"written_premium": 1_000.0, "loss_ratio": 0.9, "incurred_losses": 100.0}
    names = [row for row in data_of(agency_charts.agency_scatter(by_agency(*losers, apart))) if "is_for_all" in row]
    assert [row["agency_id"] for row in names] == ["5"]
    far = [
        {"written_premium": 10.0**power, "loss_ratio": 1.4 - power / 10, "incurred_losses": 10.0**power}
        for power in range(2, 9, 2)
    ]
    assert len([row for row in data_of(agency_charts.agency_scatter(by_agency(*far))) if "is_for_all" in row]) > 1


def test_an_agency_beyond_the_scale_is_drawn_at_its_edge_and_keeps_its_figure() -> None:
    figure = agency_charts.agency_scatter(AGENCIES)
    beyond = [row for row in data_of(figure) if row.get("is_beyond")]
    assert [(row["loss_ratio"], row["shown"]) for row in beyond] == [(3.5, agency_charts.MOST_SHOWN_LOSS_RATIO)]
    assert "1 with a loss ratio below 0 or above 150%" in figure.note
    assert "beyond" not in agency_charts.agency_scatter(AGENCIES.head(1)).note


def test_agencies_without_premium_are_left_out_of_the_scatter_and_counted() -> None:
    figure = agency_charts.agency_scatter(AGENCIES)
    assert figure.table["agency_id"].tolist() == [1, 2, 3]
    assert "Left out because no premium is above zero: 1 agency without a loss ratio." in figure.note
    assert figure.alternative.startswith("1 of 3 agencies lost more than they wrote")


def test_losing_exactly_the_premium_is_not_losing_more() -> None:
    even = AGENCIES.head(2).assign(loss_ratio=1.0)
    assert agency_charts.agency_scatter(even).alternative.startswith("0 of 2 agencies lost more than they wrote")
    over = AGENCIES.head(2).assign(loss_ratio=[1.0, 1.01])
    assert agency_charts.agency_scatter(over).alternative.startswith("1 of 2 agencies lost more than they wrote")


def test_agencies_are_said_to_be_named_only_where_one_is() -> None:
    assert "Named are those" in agency_charts.agency_scatter(AGENCIES).note
    assert "Named are those" not in agency_charts.agency_scatter(AGENCIES.head(1)).note


def test_a_short_year_is_not_joined_to_the_line() -> None:
    figure = agency_charts.agency_history(LINES)
    assert figure.note == "Incomplete years are hollow and not joined to the line: 2005 (8 months)."


def test_segments_state_agencies_premium_and_share() -> None:
    figure = agency_charts.segments(SEGMENTS)
    assert figure.alternative == "keep writes the most: 3.00M USD by 3 of 4 agencies, 75.0% of the premium."
    assert figure.table["rule"].tolist() == ["The rest.", "Loss ratio is 70% or more."]
