"""May this request pass? Pure: (index, request, now) in, targets or a refusal out."""

from quartermaster.gateway.index import ALL_MODELS, OUT_OF_CONTACT, Entry, Index
from quartermaster.gateway.refusals import refused
from quartermaster.gateway.route import Target
from quartermaster.kernel.errors import RefusedError
from quartermaster.kernel.ids import key_hash

_BEARER = b"bearer "
_USUAL = b"Bearer "
_KEY_HINT = "Send it as 'Authorization: Bearer <key>'."


def authenticate(index: Index, authorization: bytes, pepper: bytes, now: int) -> Entry:
    """The grant of the key in an Authorization header.

    Unknown, revoked and expired keys get the same answer, so that it says nothing about keys.

    Args:
        index: the snapshot in force.
        authorization: the header's value, empty when absent.
        pepper: the key of the keyed hash.
        now: microseconds UTC.

    Raises:
        RefusedError: 401 without a valid key, 403 when the group's standing bars it.
    """
    if not authorization:
        raise refused("invalid_api_key", "You did not provide an API key.", hint=_KEY_HINT)
    if not authorization.startswith(_USUAL) and authorization[:7].lower() != _BEARER:
        raise refused("invalid_api_key", "The API key is not a bearer token.", hint=_KEY_HINT)
    entry = index.keys.get(key_hash(authorization[7:].strip(), pepper))
    if entry is None:
        raise refused("invalid_api_key", "Incorrect API key provided.")
    check_expiry(entry, now)
    if entry.barred:
        raise account_barred(entry.barred)
    return entry


def check_expiry(entry: Entry, now: int) -> None:
    """The one condition that can change while the snapshot stays the same.

    Raises:
        RefusedError: 401, as for a key that does not exist.
    """
    expires_at = entry.grant.expires_at
    if expires_at is not None and now >= expires_at:
        raise refused("invalid_api_key", "Incorrect API key provided.")


def account_barred(standing: str) -> RefusedError:
    """The refusal of a suspended or terminated customer, or of one that needs contact."""
    if standing == OUT_OF_CONTACT:
        return refused(
            "out_of_contact",
            "This worker is out of contact with what says who may spend how much.",
            hint="Please try again.",
        )
    return refused(
        "account_suspended",
        f"This account is {standing}.",
        hint="Contact your account manager.",
    )


def targets_for(index: Index, entry: Entry, model: str) -> tuple[Target, ...]:
    """The deployments that may serve the model to this key.

    Raises:
        RefusedError: 404 for an unknown model, 403 for one not allowed, not priced or not served
            where the key's data must stay, 503 for one that is being deployed.
    """
    targets = entry.models.get(model)
    if targets is not None:
        return targets
    if model not in index.models:
        raise refused("model_not_found", f"The model '{model}' does not exist.", param="model")
    if ALL_MODELS not in entry.grant.models and model not in entry.grant.models:
        raise refused(
            "model_not_allowed", f"This key may not use the model '{model}'.", param="model"
        )
    if model in entry.grant.unpriced_models:
        raise refused(
            "model_not_priced",
            f"The contract has no complete price for the model '{model}'.",
            param="model",
            hint="Nothing was served and nothing is charged.",
        )
    zones = entry.grant.zones
    if not any(one.deployment.routing.lies_in(zones) for one in index.models[model]):
        raise refused(
            "data_zone_not_served",
            f"The model '{model}' is not served in the data zone {' and '.join(zones)}.",
            param="model",
            hint="Nothing was sent anywhere.",
        )
    raise refused(
        "model_drained",
        f"The model '{model}' takes no requests for a moment.",
        param="model",
        hint="Please try again.",
    )
