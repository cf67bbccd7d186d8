// The Go gateway of the experiment: net/http/httputil's ReverseProxy with a sane transport; with the argument "pool",
// a BufferPool too, which few set.
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

func main() {
	upstream, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		// The default of two idle connections a host closes and opens one for most requests.
		Transport: &http.Transport{
			MaxIdleConns:        0,
			MaxIdleConnsPerHost: 128,
			IdleConnTimeout:     55 * time.Second,
			DisableCompression:  true, // passes Accept-Encoding as it came
		},
	}
	if len(os.Args) > 3 && os.Args[3] == "pool" {
		// "BufferPool optionally specifies a buffer pool": spares 32 KiB of garbage a request.
		proxy.BufferPool = &buffers{sync.Pool{New: func() any { p := make([]byte, 32<<10); return &p }}}
	}
	server := &http.Server{
		Addr:              os.Args[1],
		Handler:           proxy,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
