"""Routes for hundreds of requests per second, which only check the key and validate the body."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import Response

from quintet.web.security import Requires


class DirectRoute(APIRoute):
    """A guarded route of a coroutine function `(request, given)` that returns a Response.

    given: the body as a pydantic model, whatever its content type. Raises TypeError for another signature.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        endpoint = self.endpoint
        required = [one.dependency for one in self.dependencies if isinstance(one.dependency, Requires)]
        if not required or list(endpoint.__annotations__) != ["request", "given", "return"] or self.body_field is None:
            raise TypeError(f"{self.path}: a direct route is guarded, and its function takes request and given")
        (requires,) = required
        model: Any = self.body_field.field_info.annotation

        async def handle(request: Request) -> Response:
            await requires(request)
            try:
                given = model.model_validate_json(await request.body())
            except ValidationError as error:
                faults = error.errors(include_url=False, include_context=False, include_input=False)
                raise RequestValidationError([one | {"loc": ("body", *one["loc"])} for one in faults]) from None
            response: Response = await endpoint(request, given)
            return response

        return handle
