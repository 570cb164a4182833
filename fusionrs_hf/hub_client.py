"""The client by which a Hub is asked: packed answers, and refusals, are unpacked as far as they may be long."""

import httpx2
from huggingface_hub import get_session, set_client_factory

from fusionrs_hf.bounds import ANSWER_BYTES, REPORT_BYTES
from fusionrs_hf.errors import InputError


class BoundedClient(httpx2.Client):
    """As the stock client, but no body unpacks to gigabytes; files are streamed, and bounded by whoever reads them."""

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: object) -> httpx2.Response:
        """Sends a request; arguments as of `httpx2.Client.send`.

        Raises:
            InputError: A packed answer unpacks to more than `REPORT_BYTES`. Of a refusal the rest is left out.
        """
        response = super().send(request, stream=True, **options)
        if response.is_error or (not stream and "content-encoding" in response.headers):
            return _unpacked(response)
        if not stream:
            response.read()
        return response


def _unpacked(response: httpx2.Response) -> httpx2.Response:
    data, most = bytearray(), ANSWER_BYTES if response.is_error else REPORT_BYTES
    try:
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > most and response.is_error:
                break
            if len(data) > most:
                raise InputError(f"{response.url.host} answers with more than {most} bytes; is HF_ENDPOINT a Hub?")
    except httpx2.DecodingError:
        if not response.is_error:
            raise
    finally:
        response.close()
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() != "content-encoding"]
    return httpx2.Response(
        response.status_code,
        headers=headers,
        content=bytes(data[:most]),
        request=response.request,
        extensions=response.extensions,
        history=response.history,
    )


def bound_answers() -> None:
    """Lets `huggingface_hub`, and what builds on it, ask by this client from now on."""
    client = get_session()
    if not isinstance(client, BoundedClient):
        hooks = client.event_hooks
        set_client_factory(lambda: BoundedClient(event_hooks=hooks, follow_redirects=True, timeout=None))
