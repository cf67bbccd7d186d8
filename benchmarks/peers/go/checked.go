// The Go gateway with three checks before it, on the standard library: a key that is looked up by its SHA-256, a rate
// (GCRA) for each consumer, and CORS; beside them a request id, header edits and an access log in batches.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// rates is GCRA: the theoretical arrival time of each key.
type rates struct {
	mutex    sync.Mutex
	due      map[string]int64
	interval int64
	burst    int64
}

func (r *rates) take(key string) (bool, int64) {
	now := time.Now().UnixNano()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	due := max(r.due[key], now) + r.interval
	if due-now > r.interval*r.burst {
		return false, 0
	}
	r.due[key] = due
	return true, (r.interval*r.burst - (due - now)) / r.interval
}

// recorder knows the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int
}

func (r *recorder) WriteHeader(status int) { r.status = status; r.ResponseWriter.WriteHeader(status) }
func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.bytes += n
	return n, err
}
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func main() {
	upstream, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	digest, err := hex.DecodeString(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	keys := map[[32]byte]string{[32]byte(digest): "bench"}
	limit := &rates{due: map[string]int64{}, interval: int64(time.Second) / 1000000, burst: 1000000}
	file, err := os.OpenFile(os.Args[4], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<16)
	var lines sync.Mutex
	go func() {
		for range time.Tick(time.Second) {
			lines.Lock()
			out.Flush()
			lines.Unlock()
		}
	}()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			r.Out.Header.Set("X-Tenant", "acme")
			r.Out.Header.Del("X-Internal-Token")
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("X-Served-By", "edge")
			r.Header.Del("Server")
			return nil
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 55 * time.Second, DisableCompression: true},
		BufferPool: &buffers{sync.Pool{New: func() any { p := make([]byte, 32<<10); return &p }}},
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		recorded := &recorder{ResponseWriter: w, status: 200}
		serve(recorded, r, keys, limit, proxy)
		line := make([]byte, 0, 256)
		line = began.AppendFormat(append(line, `{"time":"`...), time.RFC3339Nano)
		line = append(append(line, `","method":`...), strconv.Quote(r.Method)...)
		line = append(append(line, `,"target":`...), strconv.Quote(r.RequestURI)...)
		line = strconv.AppendInt(append(line, `,"status":`...), int64(recorded.status), 10)
		line = strconv.AppendInt(append(line, `,"bytes":`...), int64(recorded.bytes), 10)
		line = strconv.AppendInt(append(line, `,"us":`...), time.Since(began).Microseconds(), 10)
		line = append(line, "}\n"...)
		lines.Lock()
		out.Write(line)
		lines.Unlock()
	}
	server := &http.Server{
		Addr:              os.Args[1],
		Handler:           http.HandlerFunc(handler),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func serve(
	w http.ResponseWriter, r *http.Request, keys map[[32]byte]string, limit *rates, proxy http.Handler,
) {
	header := w.Header()
	var id [16]byte
	rand.Read(id[:])
	name := hex.EncodeToString(id[:])
	r.Header.Set("X-Request-Id", name)
	header.Set("X-Request-Id", name)
	header.Add("Vary", "Origin")
	if r.Header.Get("Origin") == "https://shop.example" {
		header.Set("Access-Control-Allow-Origin", "https://shop.example")
	}
	consumer, known := keys[sha256.Sum256([]byte(r.Header.Get("X-API-Key")))]
	if !known {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	r.Header.Set("X-Consumer", consumer)
	allowed, left := limit.take(consumer)
	if !allowed {
		header.Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	header.Set("RateLimit", `"1000000/s";r=`+strconv.FormatInt(left, 10))
	proxy.ServeHTTP(w, r)
}
