"""What is particular to Azure OpenAI: key header, addresses, headers that pass through.

Content filter results (`prompt_filter_results`, `content_filter_results`, `innererror`) need no
code: they are unknown fields, and unknown fields pass through.

Sources: learn.microsoft.com/azure/ai-services/openai/reference; .../how-to/quota;
.../how-to/provisioned-get-started; .../how-to/spillover-traffic-management.
"""

from typing import Final
from urllib.parse import quote, urlencode

from quartermaster.gateway.dialects.routes import PATHS, Operation

KEY_HEADER: Final = "api-key"
# The last stable version of the deployments addresses.
API_VERSION: Final = "2024-10-21"

RATE_LIMIT_HEADERS: Final = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "retry-after",
    "retry-after-ms",
)
"""What a refused or limited client reads; the gateway authors the same names for its own limits."""
SPILLOVER_REQUEST_HEADER: Final = "x-ms-spillover-deployment"
"""Names the standard deployment that takes what a provisioned one cannot."""
SPILLOVER_RESPONSE_HEADERS: Final = ("x-ms-spillover-from-deployment", "x-ms-deployment-name")
"""Told on a spilled answer: where it was to be served, and where it was."""
UTILIZATION_HEADER: Final = "azure-openai-deployment-utilization"
"""A provisioned deployment's load, as the service tells it with each answer."""


def upstream_path(operation: Operation, deployment: str, api_version: str = API_VERSION) -> str:
    """The address of an operation at an Azure upstream.

    Args:
        operation: what is asked for.
        deployment: the deployment's name over there.
        api_version: the service version.
    """
    query = urlencode({"api-version": api_version})
    return f"/openai/deployments/{quote(deployment, safe='')}/{PATHS[operation]}?{query}"
