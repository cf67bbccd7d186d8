import asyncio
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, Request, Response

from ..deps import bearer, client, verify
from ..proxy import fetch
from ..settings import Settings, get_settings, settings

router = APIRouter(prefix="/users", tags=["users"])
C = Annotated[httpx.AsyncClient, Depends(client)]


@router.get("/{id}", dependencies=[Depends(verify)])
async def user(id: int, c: C):
    return await fetch(c, f"/v1/users/{id}")


@router.get("/{id}/raw")
async def raw(id: int, request: Request):
    async with httpx.AsyncClient() as c:
        r = await c.get(
            f"{settings.users_url}/v1/users/{id}",
            params=request.query_params,
            headers={"Authorization": request.headers["authorization"]},
        )
    return Response(r.content, status_code=r.status_code, media_type=r.headers.get("content-type"))


@router.get("/{id}/home")
async def home(id: int, token=Depends(bearer)):
    async with httpx.AsyncClient() as c:
        user, orders = await asyncio.gather(
            fetch(c, f"{settings.users_url}/u/{id}"), fetch(c, f"{settings.orders_url}/o?user={id}")
        )
    return {"user": user, "orders": orders}


@router.api_route("/{id}/any", methods=["GET", "POST"])
async def anyway(id: int, request: Request):
    r = await request.app.state.http.request(
        request.method, f"http://any:1/{id}", content=await request.body()
    )
    return Response(r.content, r.status_code)


@router.get("/{id}/dep")
async def dep(id: int, s: Settings = Depends(get_settings)):
    r = httpx.get(s.users_url + f"/dep/{id}")
    return r.json()
