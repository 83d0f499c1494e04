import re

import pandas as pd
import vl_convert

from quintet.presentation.design import Column
from quintet.presentation.report_charts import chart_svg, svg_height
from quintet.presentation.simple_charts import lines_over_time, ranked_bars

BARS = pd.DataFrame({"name": ["first", "second"], "size": [3.0, -1.0]})
LABEL, SIZE = Column("name", "Name"), Column("size", "Size", "count")
LINE = pd.DataFrame({"at": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"]), "n": [1.0, None, 3.0]})


def test_bars_keep_the_order_of_the_rows_and_write_their_values():
    spec = ranked_bars("bars", "Title", BARS, LABEL, SIZE, "words").spec()
    values = spec["data"]["values"] if "data" in spec else spec["layer"][0]["data"]["values"]
    assert [(row["label"], row["shown"]) for row in values] == [("first", "3"), ("second", "−1")]


def test_without_rows_the_figures_say_so():
    for figure in (
        ranked_bars("bars", "Title", BARS.head(0), LABEL, SIZE, "words"),
        lines_over_time("line", "Title", LINE.head(0), Column("at", "At"), (Column("n", "N", "count"),), "words"),
    ):
        assert figure.chart is None
        assert figure.note


def test_only_several_lines_have_a_legend():
    one = lines_over_time("line", "Title", LINE, Column("at", "At"), (Column("n", "N", "count"),), "words").spec()
    two = lines_over_time(
        "line", "Title", LINE.assign(m=2.0), Column("at", "At"),
        (Column("n", "N", "count"), Column("m", "M", "count")), "words",
    ).spec()  # fmt: skip
    assert ("color" in one["encoding"], "color" in two["encoding"]) == (False, True)


def test_a_picture_has_the_height_that_is_asked_for():
    figure = ranked_bars("bars", "Title", BARS, LABEL, SIZE, "words")
    assert svg_height(chart_svg(figure, 600, 400)) == 400
    assert svg_height(chart_svg(figure, 600)) != 400


def test_labels_beside_marks_have_room_in_a_picture():
    """A picture that holds all of its marks is not wider than asked for; the one without room for labels is."""
    long = BARS.assign(name=["a long name of a bar"] * 2, size=[10.0**15, 3 * 10.0**15])
    spec = ranked_bars("bars", "Title", long, LABEL, SIZE, "words").spec() | {"width": 600, "autosize": "pad"}
    figure = ranked_bars("bars", "Title", long, LABEL, SIZE, "words")

    def width(svg):
        return float(re.search(r'<svg[^>]* width="([\d.]+)"', svg)[1])

    assert width(vl_convert.vegalite_to_svg(spec)) > 650
    assert 560 <= width(chart_svg(figure, 600, 400)) <= 602
