"""The name of the model that an endpoint serves, where the configuration gives the endpoint alone.

A server on this machine mostly serves one model (vLLM does), and says which: GET base_url/models, as OpenAI's protocol
has it. In: the configured endpoint, the environment that holds its key. Out: the same with a model, or a CurserveError
in one line. Nothing is asked of an endpoint whose model is configured. The key goes into a header and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from curserve.config import Model
from curserve.errors import CurserveError

_TIMEOUT_S = 3.0
_MOST_BYTES = 1 << 20


def complete(model: Model, given: Mapping[str, str]) -> Model:
    """`model` with its model's name. Raises CurserveError when the endpoint does not tell one."""
    if model.model or not model.base_url:
        return model
    import http.client
    import urllib.error
    import urllib.request

    url = f"{model.base_url.rstrip('/')}/models"
    if not url.startswith(("http://", "https://")):
        raise CurserveError(f"[model] base_url is no http URL: {model.base_url}")
    try:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        if key := given.get(model.key_env):
            request.add_unredirected_header("Authorization", f"Bearer {key}")
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            name = json.loads(answer.read(_MOST_BYTES))["data"][0]["id"]
    except urllib.error.HTTPError as error:
        why = f"{error.code} {error.reason}"
    except urllib.error.URLError as error:
        why = str(error.reason)
    except (OSError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
    except (ValueError, KeyError, IndexError, TypeError):
        why = "no list of models"
    else:
        if isinstance(name, str) and name:
            return replace(model, model=name)
        why = "no list of models"
    raise CurserveError(f"[model] model is not configured, and {url} does not tell it: {why}")
