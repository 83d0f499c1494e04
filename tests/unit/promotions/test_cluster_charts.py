"""The figure of a cluster."""

from __future__ import annotations

from quintet.promotions import cluster_charts
from tests.unit.promotions.chart_frames import keys, members


def test_a_large_cluster_is_drawn_in_part_and_says_so():
    figure = cluster_charts.cluster_graph(members(60), keys(60))

    assert "20 more are in the table" in figure.note
    assert len(figure.table) == 60
