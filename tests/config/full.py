"""A config in which every key of the model has a value that is not its default."""

from typing import Any

from tests.config.certificates import CA, OTHER, OWN

FULL: dict[str, Any] = {
    "include": ["/*.nothing.yaml"],
    "server": {
        "listen": [
            {
                "address": "127.0.0.1:8080",
                "proxy_protocol": True,
                "tls": {
                    **OWN.config(),
                    "certificates": [OTHER.config()],
                    "client_ca": CA.pem,
                    "client_auth": "optional",
                    "subject_header": "X-Who",
                    "min_version": "1.3",
                    "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256",
                },
            }
        ],
        "workers": 2,
        "zone": "a",
        "trusted_proxies": ["10.0.0.0/8"],
        "limits": {
            "header_bytes": "16KiB",
            "headers": 50,
            "target_bytes": "4KiB",
            "body": "1MiB",
            "connections": 5000,
            "connections_per_client": 50,
            "requests_per_connection": 100,
        },
        "timeouts": {
            "header": "5s",
            "handshake": "3s",
            "body_idle": "20s",
            "body": "1h",
            "keepalive": "60s",
            "shutdown_delay": "3s",
            "drain": "10s",
            "connection_age": "1h",
        },
        "errors": [{"status": [502], "type": "text/html", "body": "<h1>{status}</h1>"}],
    },
    "admin": {
        "listen": "127.0.0.1:9902",
        "token": "a-long-token-for-operators",
        "tls": {**OWN.config(), "client_ca": CA.pem, "min_version": "1.3"},
    },
    "metrics": {"duration_bounds": ["1ms", "2s"], "gateway_bounds": ["0.02ms", "5ms"], "max_routes": 500},
    "log": {
        "access": {
            "format": "json",
            "path": "access.log",
            "sample": "50%",
            "headers": ["X-Tenant"],
            "response_headers": ["X-Cache"],
            "redact": {"headers": ["X-Pin"], "query": ["pin"], "keep": ["code"]},
        },
        "errors": {"format": "json", "path": "syslog:/dev/log", "per_minute": 5},
    },
    "traces": {
        "endpoint": "http://127.0.0.1:4318/v1/traces",
        "service": "gateway",
        "headers": {"X-Key": "sesame"},
        "timeout": "2s",
        "queue": 128,
    },
    "upstreams": {
        "named": {
            "discover": {
                "dns": {
                    "name": "_https._tcp.users.test",
                    "srv": True,
                    "scheme": "http",
                    "servers": ["10.0.0.2:53"],
                    "least": "3s",
                    "most": "200s",
                    "timeout": "1500ms",
                }
            }
        },
        "addressed": {"discover": {"dns": {"name": "users.test", "port": 9007}}},
        "listed": {"discover": {"file": {"path": "users.yaml", "every": "900ms"}}},
        "kept": {
            "discover": {
                "etcd": {
                    "endpoints": ["http://10.0.0.3:2379"],
                    "prefix": "/users/",
                    "user": "gateway",
                    "password": "a-password-for-etcd",
                    "ca": CA.pem,
                    "timeout": "2500ms",
                    "refresh": "50s",
                }
            }
        },
        "registered": {
            "discover": {"use": "tests.discovery.registries:Lines", "settings": {"path": "lines"}}
        },
        "users": {
            "targets": [
                {"url": "https://10.0.0.5:9001", "weight": 2, "priority": 1, "zone": "a"},
                "https://10.0.0.5:9002",
            ],
            "tls": {
                "verify": True,
                "ca": CA.pem,
                "server_name": "users.test",
                "cert": OWN.cert,
                "key": OWN.key,
            },
            "balance": {"consistent_hash": {"key": "header:X-User", "bound": 1.25}},
            "health": {
                "active": {
                    "path": "/healthz",
                    "interval": "4s",
                    "timeout": "2s",
                    "healthy": 3,
                    "unhealthy": 4,
                    "status": [200, 204],
                    "body": "ok",
                    "host": "users.test",
                },
                "passive": {
                    "consecutive_failures": 4,
                    "failure_rate": "40%",
                    "latency": 3.5,
                    "window": "8s",
                    "requests": 30,
                    "eject": "20s",
                    "longest": "90s",
                    "max_ejected": "30%",
                },
                "panic": "10%",
                "slow_start": "15s",
            },
            "retry": {
                "attempts": 2,
                "on": ["connect", "timeout", 503],
                "methods": ["POST"],
                "body": "32KiB",
                "try_timeout": "700ms",
                "hedge": {"percentile": "90%", "floor": "3ms", "requests": 50},
                "backoff": "30ms",
                "budget": "15%",
            },
            "breaker": {
                "target": {
                    "failure_rate": "60%",
                    "slow_rate": "70%",
                    "slow": "2s",
                    "window": "9s",
                    "requests": 25,
                    "open": "6s",
                    "trials": 4,
                },
                "upstream": {"failure_rate": "80%"},
            },
            "adaptive_limit": {"least": 3, "initial": 8, "tolerance": 2.5},
            "timeouts": {
                "connect": "1s",
                "response": "10s",
                "idle": "11s",
                "total": "12s",
                "tunnel": "1h",
                "header": "X-Time-Left",
            },
            "pool": {
                "max_connections": 10,
                "max_pending": 20,
                "max_wait": "3s",
                "idle": "40s",
                "max_age": "1h",
                "max_requests": 9,
            },
            "headers": {"X-Tenant": "acme"},
            "credentials": {"user": "u", "password": "p"},
            "host": "target",
        },
        "orders": {
            "targets": ["http://10.0.0.6:9001"],
            "credentials": {"bearer": "token"},
            "balance": {
                "sticky_cookie": {"cookie": "where", "attributes": "Secure", "first": "random_two"},
            },
        },
    },
    "policies": [{"use": "probe", "key": "client", "rate": "5/s", "window": "2s", "burst": 7, "dry": True}],
    "consumers": [
        {
            "name": "mobile",
            "api_keys": ["sha256:" + 64 * "a"],
            "passwords": ["$2b$10$G6lYX2P.IHmoV6Q8s9Min.foYrubMR4Vo.kgW/lGfqOBBhRilD60W"],
            "hmac_keys": {"mobile-1": "0123456789abcdef"},
            "subjects": ["CN=mobile,O=Acme"],
            "groups": ["partner"],
            "metadata": {"tenant": "acme"},
        }
    ],
    "apps": {
        "legacy": {
            "wsgi": "shop.app:app",
            "processes": 3,
            "threads": 5,
            "folder": "/tmp",
            "env": {"SHOP_DB": "sqlite"},
            "startup": "20s",
            "warmup": "7m",
            "timeout": "40s",
            "max_requests": 4321,
            "max_memory": "300MiB",
            "drain": "25s",
            "log_lines": 321,
            "forwarded": True,
            "timeouts": {"response": "6s"},
            "pool": {"idle": "11s"},
            "retry": {"attempts": 2},
            "health": {"panic": "15%"},
        },
        "modern": {"asgi": "shop.modern:app"},
    },
    "routes": [
        {"path": "/hosted", "app": "legacy"},
        {
            "path": "/users/{id:int}",
            "methods": ["GET"],
            "host": "example.com",
            "headers": {"X-Tenant": "acme"},
            "upstream": "users",
            "rewrite": "/v2/{id}",
            "limits": {"body": "2MiB"},
            "timeouts": {
                "body_idle": "1s",
                "body": "9s",
                "response": "2s",
                "idle": "3s",
                "total": "4s",
                "tunnel": "5s",
            },
            "policies": [{"use": "plain"}, {"use": "traceparent"}],
            "name": "user",
            "priority": "low",
            "log": {"sample": "5%"},
        },
        {
            "path": "/ping",
            "respond": {"status": 201, "body": "pong", "content_type": "text/html", "headers": {"X-A": "b"}},
        },
        {"path": "/old", "redirect": {"to": "/new", "status": 301}},
        {
            "path": "/quotes/{id:int}",
            "handler": {"call": "examples.shop.handlers:quote", "run_in": "thread"},
            "policies": [
                {
                    "use": "examples.shop.policies:Tenant",
                    "timeout": "2s",
                    "run_in": "thread",
                    "on_error": "continue",
                    "fallback": {
                        "status": 203,
                        "body": "{}",
                        "content_type": "application/json",
                        "headers": {"X-A": "b"},
                    },
                    "body_limit": "2MiB",
                }
            ],
        },
        {
            "path": "/shadowed",
            "upstream": "users",
            "shadow": {
                "to": "named",
                "sample": "20%",
                "methods": ["POST"],
                "again": "5%",
                "headers": ["X-Total"],
                "ignore": ["meta.took"],
                "sets": ["tags"],
                "tolerance": {"price": 0.01},
                "body": "32KiB",
                "in_flight": 10,
                "timeout": "2s",
            },
            "move": {
                "to": "named",
                "when": {"compared": 50, "different": "<1%"},
                "steps": ["5%", "100%"],
                "hold": "1m",
                "requests": 7,
                "approve": "first",
                "rollback": {"errors": "+1%", "client_errors": "+3%", "p95": "+150%"},
                "by": "client",
            },
        },
        {
            "path": "/split",
            "split": {
                "by": "client",
                "to": [
                    {
                        "upstream": "users",
                        "headers": {"X-A": "b"},
                        "cookies": {"canary": "1"},
                        "consumers": ["mobile"],
                    },
                    {"upstream": "orders", "weight": 1},
                ],
            },
        },
        {
            "path": "/page",
            "aggregate": {
                "part": {
                    "upstream": "users",
                    "path": "/part",
                    "method": "POST",
                    "body": True,
                    "forward": ["X-Part"],
                    "required": False,
                    "default": {"n": 1},
                    "pass_through": [404],
                    "timeout": "300ms",
                    "limit": "64KiB",
                    "pick": ["some.member"],
                    "drop": ["some.member.inner"],
                    "rename": {"some.member": "thing"},
                    "flatten": True,
                    "group": "together",
                    "policies": [
                        {
                            "use": "probe",
                            "key": "client",
                            "rate": "5/s",
                            "window": "2s",
                            "burst": 7,
                            "dry": True,
                        }
                    ],
                }
            },
        },
    ],
    "apis": [
        {
            "openapi": "examples/shop/openapi.json",
            "upstream": "orders",
            "prefix": "/shop",
            "host": "shop.example.com",
            "answers": "report",
            "policies": [
                {"use": "probe", "key": "client", "rate": "5/s", "window": "2s", "burst": 7, "dry": True}
            ],
            "limits": {"body": "2MiB"},
            "timeouts": {"total": "5s"},
        }
    ],
    "lifespan": "examples.shop.app:lifespan",
    "docs": {"path": "/api.json", "page": "/api", "title": "Shop", "version": "2"},
    "diff": {"file": "findings.sqlite", "moves": "steps.sqlite", "size": "8MiB"},
    "record": {"file": "traffic.jsonl", "size": "8MiB"},
    "audit": {"ignore": [{"rule": "no-timeout", "at": "routes[0]", "because": "it is a test"}]},
}
