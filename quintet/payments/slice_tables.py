"""The tables of counts by dimension in the state store, and how long their rows stay."""

from __future__ import annotations

from quintet.state.retention import Retention

TABLES = """
    create table if not exists payment_slices (
        minute integer not null,
        status text not null,
        kind text not null,
        slice_id text not null,
        labels text not null,
        count integer not null,
        primary key (minute, status, kind, slice_id)
    ) strict, without rowid;
    create table if not exists payment_value_days (
        day integer not null,
        dimension text not null,
        value text not null,
        status text not null,
        count integer not null,
        primary key (day, dimension, value, status)
    ) strict, without rowid;
    create table if not exists payment_value_training (
        one integer primary key check (one = 1),
        until_minute integer not null
    ) strict;
    create table if not exists payment_incident_values (
        incident_id text not null,
        place integer not null,
        dimension text not null,
        value text not null,
        observed integer not null,
        expected real not null,
        share real not null,
        p_value real not null,
        explained_at text not null,
        primary key (incident_id, place)
    ) strict, without rowid;
    """

RETENTION_OF_TABLES = (
    Retention("payment_slices", "Training removes those that are too old to be used."),
    Retention("payment_value_days", "Training removes those of more than a week ago."),
    Retention("payment_value_training", "One row."),
    Retention(
        "payment_incident_values",
        "They stay as long as their incident.",
        "explained_at",
        "incident_id not in (select incident_id from payment_incidents)",
    ),
)
