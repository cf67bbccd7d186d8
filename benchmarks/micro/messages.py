"""Messages as clients and upstreams send them, for what reads and writes them."""

GET = (
    b"GET /users/48213 HTTP/1.1\r\n"
    b"Host: api.example.com\r\n"
    b"User-Agent: load/1.0\r\n"
    b"Accept: application/json\r\n"
    b"Accept-Encoding: gzip\r\n"
    b"X-Request-Id: 7c1f6f0e5d4b4b0f\r\n"
    b"Connection: keep-alive\r\n\r\n"
)
BROWSER = (
    b"GET /account/orders?page=3&sort=-created HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"Connection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\n'
    b"sec-ch-ua-mobile: ?0\r\n"
    b'sec-ch-ua-platform: "Linux"\r\n'
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-User: ?1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Referer: https://www.example.com/account\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Cookie: session=0f8fad5bd9cb469fa16570867728950e; theme=dark; consent=1\r\n\r\n"
)
CHUNKED = (
    b"POST /users HTTP/1.1\r\n"
    b"Host: api.example.com\r\n"
    b"Content-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n" + (b"200\r\n" + b"x" * 512 + b"\r\n") * 4 + b"0\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: upstream/1.0\r\n"
    b"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: 200\r\n"
    b"Cache-Control: no-store\r\n\r\n" + b"x" * 200
)
