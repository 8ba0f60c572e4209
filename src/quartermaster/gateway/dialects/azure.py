"""What is particular to an Azure OpenAI upstream: its key header and its addresses.

Content filter results (`prompt_filter_results`, `content_filter_results`, `innererror`) need no
code: they are unknown fields, and unknown fields pass through.

Source: learn.microsoft.com/azure/ai-services/openai/reference.
"""

from typing import Final
from urllib.parse import quote, urlencode

from quartermaster.gateway.dialects.routes import PATHS, Operation

KEY_HEADER: Final = "api-key"
# The last stable version of the deployments addresses.
API_VERSION: Final = "2024-10-21"


def upstream_path(operation: Operation, deployment: str, api_version: str = API_VERSION) -> str:
    """The address of an operation at an Azure upstream.

    Args:
        operation: what is asked for.
        deployment: the deployment's name over there.
        api_version: the service version.
    """
    query = urlencode({"api-version": api_version})
    return f"/openai/deployments/{quote(deployment, safe='')}/{PATHS[operation]}?{query}"
