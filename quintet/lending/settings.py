"""The settings of lending: dumps, the day of the features, the policy and the scoring endpoint; and its folders."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from quintet.setting_fields import Day, DomainSettings, FileToBe, HttpUrl, setting, setting_of_seconds


class LendingSettings(DomainSettings):
    """The settings that only lending reads."""

    loan_book_seconds: float = setting_of_seconds(
        3600.0, "Seconds that restoring a dump of the inbox `loan_book` may take.", 1, 86_400
    )
    loan_book_bytes: int = setting(
        20_000_000_000,
        "Bytes that such a dump may occupy when restored.",
        "a whole number of bytes from 1000000",
        ge=1_000_000,
    )
    lending_as_of: Day | None = setting(
        None,
        "Day at whose end the published features of clients are computed.",
        "a real date like 2020-08-23",
        "the day of the run; for a dump without later changes, its last day",
    )
    lending_policy: FileToBe = setting(
        Path(__file__).parents[2] / "policy" / "lending.toml",
        "File of the policy for loan decisions.",
        "a file, or a path to be one",
        "policy/lending.toml",
    )
    decision_seconds: float = setting_of_seconds(
        0.5, "Seconds to wait for features and score of a loan decision; without them, a person decides.", 0.01, 10
    )
    lending_score_url: str | None = setting(
        None,
        "Endpoint that scores applications, with the interface of `POST /v1/lending/score`.",
        "a URL like https://scores.example.org/v1/lending/score",
        "none; the service scores itself",
        pattern=r"^https?://[^\s@]+$",
    )
    lending_score_key: SecretStr | None = setting(
        None, "Key for that endpoint.", "a key of at least 10 characters", "none", min_length=10
    )
    lending_score_seconds: float = setting_of_seconds(
        0.15, "Seconds after which a request to that endpoint times out.", 0.001, 10
    )
    lender_name: str = setting("", "Name of the lender in letters to clients.", "a text", "none", max_length=200)
    lender_contact: str = setting(
        "", "Where clients reach the lender, in letters to them.", "a text", "none", max_length=500
    )
    crm_webhook_url: HttpUrl | None = setting(
        None,
        "URL to which people's final decisions on loan applications are posted as JSON.",
        "a URL like https://host/path",
        "none",
    )
    crm_webhook_secret: SecretStr | None = setting(
        None,
        "Secret with which these posts are signed (`X-Quintet-Signature`).",
        "a secret of at least 16 characters",
        "none",
        min_length=16,
    )


SETTINGS = LendingSettings


def feature_folder(home: Path) -> Path:
    """Return the folder of the features that runs build from the change log; the stream's are in `Settings.online`."""
    return home / "lending"


def restore_folder(home: Path) -> Path:
    """Return the temporary folder of the server on which a dump is restored before its rows are loaded."""
    return home / "restore"
