"""The form to try a sign-up: score it without storing it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from quintet.promotions.accounts import SignUp
from quintet.promotions.online_state import NotReadyError, usages_of
from quintet.promotions.service import PromotionsService
from quintet.web.audit import not_audited
from quintet.web.contexts import FormField, TryContext
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.routes.promotions import SignUpGiven
from quintet.web.security import guarded_router
from quintet.web.service import service_of

scoring = guarded_router("promotions:score", include_in_schema=False)

PATH = "/promotions"
TRY_PATH = f"{PATH}/try"

_FIELDS = {
    "user_id": "User",
    "email": "E-mail",
    "phone": "Phone",
    "first_name": "First name",
    "last_name": "Last name",
    "dob": "Date of birth",
    "ip_address": "IP address",
    "device_id": "Device",
    "created_at": "Signed up at",
    "promo_code": "Code used",
    "used_at": "Used at",
}
_FORMS = {
    "dob": "the date as year-month-day, such as 1990-05-17",
    "created_at": "the time as 2026-01-01T10:00:00Z, or nothing for now",
    "used_at": "the time as 2026-01-01T10:05:00Z",
}
_HINTS = {"dob": "1990-05-17", "created_at": "now", "used_at": "2026-01-01T10:05:00Z"}


@scoring.post(TRY_PATH)
@not_audited("nothing is stored")
async def try_sign_up(request: Request) -> Response:
    """Score a sign-up without storing it."""
    form = await request.form()
    given = {name: str(form.get(name, "")).strip() for name in _FIELDS}
    return _tried(request, given)


def _tried(request: Request, given: Mapping[str, str]) -> Response:
    service = service_of(request)
    known = {name: value for name, value in given.items() if value}
    use = {name: known.pop(name) for name in ("promo_code", "used_at") if name in known}
    judgement, problems = None, dict[str, str]()
    if use and "promo_code" not in use:
        problems["promo_code"] = "Enter the code, or clear the time."
    else:
        try:
            trial = SignUpGiven.model_validate({"user_id": "trial", **known, "usages": [use] if use else []})
            sign_up, usages = trial.plain(service.clock())
            judgement = (
                service.of(PromotionsService).index.index().judge(SignUp.of(sign_up), usages_of("trial", usages))
            )
        except ValidationError as error:
            problems = {name: _problem(name, one["msg"]) for one in error.errors() if (name := str(one["loc"][-1]))}
        except ProblemError as error:
            if not error.errors:
                raise
            problems = {name: _problem(name, one.what) for one in error.errors if (name := one.where.split(".")[-1])}
        except NotReadyError as error:
            raise ProblemError(503, str(error)) from error
    context: TryContext = {
        "fields": form_fields(given, problems),
        "try_path": TRY_PATH,
        "back_url": PATH,
        "judgement": judgement,
        "problem": f"Check {_listed([_FIELDS.get(name, name) for name in problems])}." if problems else None,
    }
    return show(request, "promotions_try.html", "Try a sign-up", context, status=422 if problems else 200)


def form_fields(given: Mapping[str, str], problems: Mapping[str, str] = MappingProxyType({})) -> list[FormField]:
    """Return the fields of the form with their labels, values, hints, and why a value cannot be used."""
    return [
        {
            "name": name,
            "label": label,
            "value": given.get(name, ""),
            "hint": _HINTS.get(name, ""),
            "problem": problems.get(name, ""),
        }
        for name, label in _FIELDS.items()
    ]


def _problem(name: str, message: str) -> str:
    """Return why a value cannot be used, for a person: a date or time with its form; else the validator's message."""
    if name in _FORMS and "future" not in message:
        return f"Write {_FORMS[name]}."
    return f"{message[:1].upper()}{message[1:]}."


def _listed(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
