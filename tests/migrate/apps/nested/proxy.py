import httpx
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from .settings import settings

orders = httpx.AsyncClient(base_url=settings.orders_url, headers={"X-Gw": "1"}, timeout=5.0)


async def proxy(request: Request, path: str) -> StreamingResponse:
    url = httpx.URL(path=path, query=request.url.query.encode())
    req = orders.build_request(request.method, url, headers=request.headers.raw, content=await request.body())
    resp = await orders.send(req, stream=True)
    return StreamingResponse(
        resp.aiter_raw(),
        status_code=resp.status_code,
        headers=resp.headers,
        background=BackgroundTask(resp.aclose),
    )


async def fetch(client: httpx.AsyncClient, url: str):
    r = await client.get(url)
    r.raise_for_status()
    return r.json()
