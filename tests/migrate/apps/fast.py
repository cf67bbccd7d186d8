"""A FastAPI gateway: a router with a key in front, a shared client, answers gathered."""

import asyncio
from uuid import UUID

import httpx
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from fastapi.security import APIKeyHeader
from fastapi.staticfiles import StaticFiles

client = httpx.AsyncClient(base_url="http://users.internal:9001")
orders = httpx.AsyncClient(base_url="http://orders.internal:9002")
router = APIRouter(prefix="/v1", dependencies=[Depends(APIKeyHeader(name="X-Token"))])
app = FastAPI()


@router.get("/users/{id}")
async def user(id: int):
    answer = await client.get(f"/users/{id}")
    answer.raise_for_status()
    return answer.json()


@router.get("/home/{id:uuid}")
async def home(id: UUID):
    who, what = await asyncio.gather(client.get(f"/users/{id}"), orders.get(f"/orders/{id}"))
    return {"user": who.json(), "orders": what.json()}


@app.websocket("/ws")
async def talk(socket: WebSocket):
    await socket.accept()
    await socket.close()


@app.post("/sum/{a:int}/{b:float}")
def add(a: int, b: float):
    return {"sum": a + b}


app.include_router(router, prefix="/api")
app.mount("/static", StaticFiles(directory="."))
