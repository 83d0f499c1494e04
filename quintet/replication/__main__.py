"""`python -m quintet.replication`: replicate until the process is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import gc
import signal
import sys
from collections.abc import Sequence

import obstore
import psycopg
from prometheus_client import start_http_server

from quintet.change_log.log import LogUrlError, open_store
from quintet.embedded import object_store, postgres
from quintet.embedded.processes import EmbeddedServerError
from quintet.logs import log_as_json
from quintet.private_files import write_for_owner_only
from quintet.redaction import without_secrets
from quintet.replication import metrics
from quintet.replication.catch_up import StreamRunsError, only_stream
from quintet.replication.database import PublisherError
from quintet.replication.forgotten import person_filter
from quintet.replication.registered import replicated
from quintet.replication.run import Options, Stream
from quintet.settings import Settings, SettingsError, load_settings
from quintet.state.awaited import once_it_answers
from quintet.state.faults import STATE_FAULTS, StateError

_SWITCH_SECONDS = 0.0005  # with Python's default of 5 ms, a commit would wait for the writers of objects


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stream; return 0, or 2 after a fault."""
    write_for_owner_only()
    parser = argparse.ArgumentParser(prog="python -m quintet.replication", description=__doc__)
    parser.add_argument("--new-snapshot", action="store_true", help="start a new epoch with a snapshot of all rows")
    parser.add_argument("--standby", action="store_true", help="wait while another stream reads the slot; take over")
    given = parser.parse_args(arguments)
    log_as_json()
    try:
        with contextlib.ExitStack() as servers:
            return _stream(load_settings(), given.new_snapshot, given.standby, servers)
    except (PublisherError, SettingsError, LogUrlError, EmbeddedServerError, StreamRunsError, StateError) as error:
        text = str(error)
    except obstore.exceptions.BaseError as error:
        text = f"the object store cannot be used: {error}"
    except (psycopg.Error, *STATE_FAULTS, OSError) as error:
        text = f"the stream has stopped: {error}. Nothing is lost; fix it and start again."
    print(without_secrets(text), file=sys.stderr)
    return 2


def _stream(settings: Settings, new_snapshot: bool, standby: bool, servers: contextlib.ExitStack) -> int:
    servers.enter_context(only_stream(settings))
    database_url, log_url = database_and_log(settings, servers)
    sys.setswitchinterval(_SWITCH_SECONDS)
    options = Options(slot=settings.stream_slot, publication=settings.stream_slot, is_standby=standby)
    domain = replicated()
    is_forgotten = once_it_answers(lambda: person_filter(settings, domain))
    applier = once_it_answers(lambda: domain.open_applier(settings))
    stream = Stream(database_url, open_store(log_url), applier, options, is_forgotten=is_forgotten)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stream.stop.set())
    if settings.stream_port:
        start_http_server(settings.stream_port, addr=settings.host, registry=metrics.REGISTRY)
    gc.collect()
    gc.freeze()  # a full garbage collection would stop the stream for a tenth of a second
    stream.run(new_snapshot)
    return 0


def database_and_log(settings: Settings, servers: contextlib.ExitStack) -> tuple[str, str]:
    """Return the URLs of database and bucket; embedded servers are started, or used if they run, if none is named."""
    database_url = settings.postgres_url.get_secret_value() if settings.postgres_url else None
    log_url = settings.object_store_url.get_secret_value() if settings.object_store_url else None
    if database_url is None:
        database_url = postgres.running_url(settings.embedded_postgres)
    if database_url is None:
        database_url = servers.enter_context(postgres.EmbeddedPostgres(settings.embedded_postgres)).url
    if log_url is None:
        log_url = object_store.running_url(settings.embedded_objects)
    if log_url is None:
        log_url = servers.enter_context(object_store.EmbeddedObjectStore(settings.embedded_objects)).url
    return database_url, log_url


if __name__ == "__main__":
    sys.exit(main())
