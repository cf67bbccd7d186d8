import os
from functools import lru_cache


class Settings:
    users_url: str = os.getenv("USERS_URL", "http://users:9001")
    orders_url: str = "http://orders:9002"
    api_token: str = os.environ.get("API_TOKEN", "x")


settings = Settings()


@lru_cache
def get_settings():
    return Settings()
