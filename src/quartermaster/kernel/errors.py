"""The one error tree.

Every error a user can meet descends from `QuartermasterError` and says five things: a stable
`code`, the HTTP status a face answers with, the exit code of the command line, whose fault it is,
and a `hint` naming the remedy. Faces print message and hint, never a traceback.

    QuartermasterError
    ├── CallerError            the input is wrong
    │   ├── UsageError         a command line or form field
    │   ├── DataError          a file: names the line and the reason
    │   ├── ConfigError        settings
    │   ├── NotFoundError
    │   ├── ConflictError      the same id with another payload, or a lost race
    │   ├── NotAllowedError    signed in, but the role does not allow it
    │   └── RefusedError       a gateway request that may not pass
    ├── UpstreamError          a model server failed or answered nonsense
    ├── FindingError           a check ran and found something (exit 3)
    └── OurError               we failed
        ├── IntegrityError     journal, ledger or meter does not add up
        ├── NotDurableError    the write-ahead log cannot be written
        └── UnavailableError   a part is missing here (an extra, a port, a weight file)
"""

from enum import Enum


class Fault(Enum):
    """Who has to act."""

    CALLER = "caller"
    UPSTREAM = "upstream"
    US = "us"


class QuartermasterError(Exception):
    """Something went wrong that a user should read about."""

    code = "error"
    http_status = 500
    exit_code = 1
    fault = Fault.US

    def __init__(self, message: str = "", *, hint: str = "", field: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").splitlines()[0]
        self.hint = hint
        self.field = field
        super().__init__(self.message)


class CallerError(QuartermasterError):
    """The input cannot be used."""

    code = "invalid_input"
    http_status = 400
    exit_code = 2
    fault = Fault.CALLER


class UsageError(CallerError):
    """The command or form was filled in wrongly."""

    code = "invalid_argument"


class DataError(CallerError):
    """A file holds something that cannot be read."""

    code = "invalid_data"
    exit_code = 1


class ConfigError(CallerError):
    """A setting cannot be used."""

    code = "invalid_config"
    exit_code = 4


class NotFoundError(CallerError):
    """There is no such thing."""

    code = "not_found"
    http_status = 404
    exit_code = 1


class ConflictError(CallerError):
    """This contradicts what is already written."""

    code = "conflict"
    http_status = 409
    exit_code = 1


class NotAllowedError(CallerError):
    """The signed-in role does not allow this."""

    code = "not_allowed"
    http_status = 403
    exit_code = 1


class RefusedError(CallerError):
    """The gateway refused the request."""

    code = "refused"
    kind = ""
    """What a dialect calls this one, where its code alone does not say it."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str,
        http_status: int,
        hint: str = "",
        field: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, field=field)
        self.code = code
        self.http_status = http_status


class UpstreamError(QuartermasterError):
    """The model server failed."""

    code = "upstream_failed"
    http_status = 502
    exit_code = 6
    fault = Fault.UPSTREAM


class FindingError(QuartermasterError):
    """The check ran and found something."""

    code = "finding"
    http_status = 200
    exit_code = 3
    fault = Fault.CALLER


class OurError(QuartermasterError):
    """We failed."""

    code = "internal_error"


class IntegrityError(OurError):
    """The books do not add up."""

    code = "integrity"
    exit_code = 5


class NotDurableError(OurError):
    """The meter cannot write, so nothing may be served."""

    code = "meter_unavailable"
    http_status = 503


class UnavailableError(OurError):
    """A part that this needs is not here."""

    code = "unavailable"
    http_status = 503
