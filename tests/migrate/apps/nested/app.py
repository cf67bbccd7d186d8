from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware

from .routers import orders, users


@asynccontextmanager
async def lifespan(app):
    app.state.http = httpx.AsyncClient()
    yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["*"])


@app.middleware("http")
async def key(request: Request, call_next):
    if request.headers.get("X-Api-Key") != "s":
        from fastapi.responses import JSONResponse

        return JSONResponse({"detail": "no"}, 401)
    return await call_next(request)


api = FastAPI()
api.include_router(users.router)
api.include_router(orders.router, prefix="/orders")
app.mount("/api/v1", api)


@app.get("/health")
def health():
    return {"ok": True}
