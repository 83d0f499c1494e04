"""A thread that sends scheduled reports by e-mail through the outbox, each with the rows of its key alone."""

from __future__ import annotations

import datetime as dt
import io
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

import duckdb
import structlog

from quintet.delivery.mail import MailServer, send_mail
from quintet.delivery.outbox_worker import OutboxWorker
from quintet.delivery.webhook import Delivery, DeliveryError
from quintet.insurance.performance import Filters
from quintet.insurance.premium_report import period, premium_report, write_csv
from quintet.insurance.premium_workbook import ReportTooLargeError, write_workbook
from quintet.insurance.report_runs import ReportRun, record_report_run
from quintet.insurance.report_schedules import CHANNEL, REVIEW, Schedule, end_schedule, enqueue_due, find_schedule
from quintet.payments.settings import PaymentsSettings
from quintet.settings import Settings
from quintet.state.keys import ENVIRONMENT_KEY_ID, Key, environment_key, key_of_id
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.snapshots import Snapshot, Snapshots

SCOPE = "insurance:schedule"

MOST_ATTACHED_BYTES = 10_000_000
"""Mail servers refuse larger mails."""

_SECONDS = 1.0
_TYPES = {
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "csv": ("text", "csv"),
    "pdf": ("application", "pdf"),
}
_LOG = structlog.get_logger()


class ReportSender:
    """Sends from `start` to `stop`. send: sends a mail; `send_mail` to the server of the settings by default."""

    def __init__(
        self,
        store: StateStore,
        snapshots: Snapshots,
        settings: Settings,
        clock: Callable[[], dt.datetime],
        send: Callable[[EmailMessage], None] | None = None,
    ) -> None:
        self._store, self._snapshots, self._settings, self._clock = store, snapshots, settings, clock
        own = settings.of(PaymentsSettings)
        self._sender = own.alert_email_from
        if send is None and own.smtp_url is not None:
            server = MailServer(own.smtp_url, own.smtp_ca_file)
            send = lambda mail: send_mail(server, mail)  # noqa: E731
        self._send_mail = send
        self._worker = OutboxWorker(store, {CHANNEL: self.send} if send else {}, clock)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def can_send(self) -> bool:
        """Whether there is a mail server."""
        return self._send_mail is not None

    def start(self) -> None:
        """Start the threads, if there is a mail server."""
        if self.can_send:
            self._worker.start()
            self._thread = threading.Thread(target=self._run, name="scheduled reports", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop after the current attempt."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._worker.stop()

    def send(self, delivery: Delivery) -> None:
        """Send the report of a message, with the data of now. Raises DeliveryError.

        A schedule that has ended sends nothing, and one whose key was revoked ends.
        """
        schedule = find_schedule(self._store, delivery.body["schedule_id"])
        if schedule is None or schedule.ended_at is not None:
            return
        key = self._key_of(schedule)
        if key is None or not key.allows(SCOPE) or not key.allows("insurance:read"):
            end_schedule(self._store, schedule.schedule_id, delivery.at, "its key was revoked")
            _LOG.warning("a scheduled report has ended: its key was revoked", schedule=schedule.schedule_id)
            return
        assert self._send_mail is not None
        self._send_mail(self._mail(schedule, key, delivery))

    def _key_of(self, schedule: Schedule) -> Key | None:
        if schedule.key_id == ENVIRONMENT_KEY_ID:
            return environment_key() if self._settings.admin_key else None
        return key_of_id(self._store, schedule.key_id)

    def _mail(self, schedule: Schedule, key: Key, delivery: Delivery) -> EmailMessage:
        wanted = schedule.request
        mail = EmailMessage()
        mail["From"], mail["To"] = self._sender, wanted.recipient
        mail["Message-ID"] = f"<{delivery.key.replace(' ', '.').replace(':', '-')}@quintet>"
        name, content, title = self._file(schedule, key, delivery)
        mail["Subject"] = title
        about = f"{title}\nScheduled by {schedule.created_by}, {wanted.timing}.\n"
        if content is None:
            mail.set_content(f"{about}\nDownload it: {self._link(schedule)}\n")
            return mail
        mail.set_content(f"{about}\nThe file is attached.\n")
        main, sub = _TYPES[wanted.format]
        mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
        return mail

    def _file(self, schedule: Schedule, key: Key, delivery: Delivery) -> tuple[str, bytes | None, str]:
        """Return the name of the file, its content (None for a link) and the title of the mail."""
        wanted = schedule.request
        try:
            with self._reading(key) as snapshot:
                if wanted.report == REVIEW:
                    name, title = f"{REVIEW}.pdf", "Insurance review"
                    content: bytes | None = None if wanted.as_link else self._written(f"{REVIEW}.pdf")
                else:
                    filters = Filters(**{name: _tuple(value) for name, value in wanted.filters.items()})
                    name = f"premium_{period(filters).replace(' ', '_')}.{wanted.format}"
                    title = f"Premium Info by Agency and Product Line, {period(filters)}"
                    content = self._premium(schedule, key, delivery, snapshot, filters)
                title += f", data of {snapshot.published_at:%Y-%m-%d %H:%M} UTC"
        except NoSnapshotError as error:
            raise DeliveryError(str(error)) from error
        except ReportTooLargeError as error:
            raise DeliveryError(str(error), is_refused=True) from error
        except duckdb.CatalogException:
            raise DeliveryError("the tables of insurance are not built yet; `make run` builds them") from None
        if content is not None and len(content) > MOST_ATTACHED_BYTES:
            raise DeliveryError(
                f"the file has {len(content):,} bytes, more than a mail takes; schedule it as a link", is_refused=True
            )
        return name, content, title

    def _premium(
        self, schedule: Schedule, key: Key, delivery: Delivery, snapshot: Snapshot, filters: Filters
    ) -> bytes | None:
        wanted = schedule.request
        report = premium_report(
            snapshot.cursor, filters, snapshot_id=snapshot.snapshot_id, published_at=snapshot.published_at
        )
        content = None
        if not wanted.as_link and wanted.format == "csv":
            content = b"".join(write_csv(snapshot.cursor, filters))
        elif not wanted.as_link:
            file = io.BytesIO()
            write_workbook(report, file)
            content = file.getvalue()
        record_report_run(
            self._store,
            ReportRun(
                report=wanted.report,
                written_at=delivery.at,
                written_by=f"{schedule.created_by}, scheduled",
                parameters=wanted.filters,
                format=wanted.format,
                rows=len(report.frame),
                total_written_premium=Decimal(str(report.total["written_premium"].fillna(0).iloc[0])),
                snapshot=snapshot.snapshot_id,
                key_id=key.key_id,
            ),
        )
        return content

    def _reading(self, key: Key) -> AbstractContextManager[Snapshot]:
        return self._snapshots.read() if key.binding is None else self._snapshots.part_of(key.binding).read()

    def _written(self, name: str) -> bytes:
        try:
            return (self._settings.reports / name).read_bytes()
        except FileNotFoundError:
            raise DeliveryError(f"no run has written {name} yet; `make run` does") from None

    def _link(self, schedule: Schedule) -> str:
        wanted, address = schedule.request, (self._settings.public_url or "").rstrip("/")
        if wanted.report == REVIEW:
            return f"{address}/reports/files/{REVIEW}.pdf"
        return f"{address}/reports?{urlencode(wanted.filters, doseq=True)}"

    def _run(self) -> None:
        while True:
            try:
                if enqueue_due(self._store, self._clock()):
                    self._worker.wake()
            except Exception:  # a full disk or a locked store: retried
                _LOG.exception("scheduled reports could not be written to the outbox")
            if self._stopped.wait(_SECONDS):
                self._store.release()
                return


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
