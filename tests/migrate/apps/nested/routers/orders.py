from fastapi import APIRouter, Request

from ..proxy import proxy

router = APIRouter()


@router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
async def orders(path: str, request: Request):
    return await proxy(request, path)
