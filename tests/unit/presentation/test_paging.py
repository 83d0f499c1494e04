import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.presentation.paging import FILLED, Item, paginate

PAGE = 700.0


def chart(height: float) -> Item:
    return Item(height, height * 0.85, height * 3, height * 0.5, starts=True)


def fixed(height: float, **flags: bool) -> Item:
    return Item(height, height, height, height, starts=True, **flags)


def test_each_message_with_a_chart_has_its_page_and_fills_it():
    placed = paginate([chart(300), chart(300)], PAGE)
    assert [each.begins_page for each in placed] == [False, True]
    assert placed[0].height > FILLED * PAGE


def test_messages_that_cannot_fill_a_page_share_it():
    assert [each.begins_page for each in paginate([fixed(150), fixed(150), fixed(200), fixed(50)], PAGE)] == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_chart_shrinks_to_stay_on_the_page_of_its_message():
    placed = paginate([fixed(200), Item(520, 440, 900, 400)], PAGE)
    assert (placed[1].begins_page, placed[1].height < 520) == (False, True)


def test_a_long_table_continues_on_the_next_page():
    assert [each.begins_page for each in paginate([fixed(200), fixed(900, breaks=True)], PAGE)] == [False, False]


def test_what_cannot_break_begins_a_page_where_it_does_not_fit():
    assert [each.begins_page for each in paginate([fixed(200), fixed(600)], PAGE)] == [False, True]


@given(st.lists(st.tuples(st.floats(10, 690), st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_no_page_overflows(given_items):
    items = [
        Item(
            height,
            height * (0.8 if flexible else 1),
            height * (2 if flexible else 1),
            height * (0.5 if flexible else 1),
            starts=starts,
        )
        for height, flexible, starts in given_items
        if height * (0.8 if flexible else 1) <= PAGE * 0.97
    ]
    used = 0.0
    for place in paginate(items, PAGE):
        used = place.height if place.begins_page else used + place.height
        assert used <= PAGE + 1e-6


def test_a_report_without_blocks_has_no_places():
    assert paginate([], PAGE) == ()


@pytest.mark.parametrize("page", [400.0, 700.0])
def test_heights_stay_within_their_limits(page):
    items = [chart(100), chart(250), fixed(80)]
    for item, place in zip(items, paginate(items, page), strict=True):
        assert item.floor - 1e-6 <= place.height <= item.most + 1e-6
