import httpx
from fastapi import Header, HTTPException
from fastapi.security import HTTPBearer

from .settings import settings

bearer = HTTPBearer()


async def verify(x_api_key: str = Header()):
    if x_api_key != "k":
        raise HTTPException(status_code=401)


async def client():
    async with httpx.AsyncClient(base_url=settings.users_url) as c:
        yield c
