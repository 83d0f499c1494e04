"""`quintet forget`: erase a person."""

from __future__ import annotations

import datetime as dt
import os
import sys
from contextlib import closing

from cli.audits import note
from quintet.domains import DOMAINS, open_state_store
from quintet.erasure.forget import forget
from quintet.settings import load_settings


def main(user: str | None, client: str | None, recipient: str | None) -> int:
    """Forget one person, and print the receipt and what is left to do."""
    kinds = {"user": user, "client": client, "recipient": recipient}
    given = [(kind, text) for kind, text in kinds.items() if text is not None]
    if len(given) != 1:
        print("name one person: --user ID, --client ID or --recipient ADDRESS", file=sys.stderr)
        return 2
    settings = load_settings()
    with closing(open_state_store(settings.state)) as store:
        receipt = forget(settings, DOMAINS, *given[0], store, dt.datetime.now(dt.UTC), os.urandom, print)
    note(settings, "forget", f"{receipt.kind}:{receipt.person[:16]}")
    for place, count in receipt.places.items():
        print(f"  {place}: {count:,}")
    if not receipt.places:
        print("nothing of this person was found; copies that arrive later are not loaded")
    for line in receipt.left:
        print(f"left to do: {line}")
    print(f"the receipt is {receipt.path}; next: quintet run, which builds what depends on the person again")
    return 0
