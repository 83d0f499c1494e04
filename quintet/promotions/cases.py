"""Cases of promotions: accounts to confirm as an abuser's or to clear, alone or with their cluster."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from quintet.cases.kind import CaseKind, Decided, Option, Sources, Subject
from quintet.promotions.settings import PromotionsSettings
from quintet.promotions.store import Label, insert_label
from quintet.rules.store import changes_of, sentences_of
from quintet.state.store import Connection

ABUSER, HONEST = "abuser", "honest"

_FLAGGED = """
    select user_id, decision, score, reasons, cluster_id, cluster_size, coalesce(uses, 0)
    from marts.fct_abuse_scores
    left join (select user_id, count(*) as uses from marts.fct_promo_usages group by user_id) using (user_id)
    where decision <> 'allow'
        and not exists (from marts.ops_abuse_labels as label where label.user_id = fct_abuse_scores.user_id)
    order by user_id
"""


def in_build(marts: duckdb.DuckDBPyConnection, sources: Sources) -> Sequence[Subject]:
    """Return the accounts to review or to block that nobody has labelled."""
    from quintet.promotions.reasons import explained  # noqa: PLC0415  # the declaration of a domain loads no scoring
    from quintet.promotions.result_tables import model_of_snapshot  # noqa: PLC0415
    from quintet.promotions.rules import GRAMMAR  # noqa: PLC0415

    found = model_of_snapshot(marts)
    if found is None:
        return ()
    population = found[0].population
    cost = sources.settings.of(PromotionsSettings).promo_use_cost
    rows = marts.execute(_FLAGGED).fetchall()
    of_rules = sentences_of(changes_of(sources.store, GRAMMAR.domain), GRAMMAR)
    sentences = {code: of_rules.get(code) or explained(code, population).sentence for row in rows for code in row[3]}
    return [
        Subject(
            user_id,
            f"Account {user_id}, to {decision}" + (f", in a cluster of {size}" if cluster is not None else ""),
            " ".join(sentences[code] for code in reasons) or "Nothing counts against this account alone.",
            round(score * max(uses, 1) * cost, 2),
            score,
            cluster,
            user_id,
        )
        for user_id, decision, score, reasons, cluster, size, uses in rows
    ]


def act(connection: Connection, given: Decided) -> None:
    """Label the account, for the next build and the next training."""
    label = Label(given.subject_id, given.verdict == ABUSER, given.decided_at, given.decided_by, given.reason or None)
    insert_label(connection, label)


ACCOUNT = CaseKind(
    domain="promotions",
    name="account",
    what="account",
    group_what="accounts of this cluster",
    options=(
        Option(
            ABUSER,
            "Confirm abuse",
            "Labels the account: the next build blocks it and trains on it.",
            "r",
        ),
        Option(HONEST, "Clear", "Labels the account: the next build allows it and trains on it.", "a"),
    ),
    in_build=in_build,
    exists="select user_id from marts.fct_promo_users",
    act=act,
    truth={ABUSER: True, HONEST: False},
    table="abuse_labels",
    person_kind="user",
    evidence="quintet.web.cases.promotions",
    page="/promotions?user={subject_id}#to-judge",
)
