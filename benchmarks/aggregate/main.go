// Three JSON answers made one on the standard library: goroutines, a shared client, encoding/json.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
)

type User struct {
	ID   json.RawMessage `json:"id"`
	Name json.RawMessage `json:"name"`
}

type Page struct {
	User   User            `json:"user"`
	Orders json.RawMessage `json:"orders"`
	Ads    json.RawMessage `json:"ads"`
}

func main() {
	backend := os.Args[2]
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
	fetch := func(path string, value any) error {
		answer, err := client.Get(backend + path)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		return json.Unmarshal(body, value)
	}
	http.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		var page Page
		var wait sync.WaitGroup
		var failures [3]error
		for i, part := range []struct {
			path  string
			value any
		}{{"/user", &page.User}, {"/orders", &page.Orders}, {"/ads", &page.Ads}} {
			wait.Add(1)
			go func() {
				defer wait.Done()
				failures[i] = fetch(part.path, part.value)
			}()
		}
		wait.Wait()
		for _, failure := range failures {
			if failure != nil {
				http.Error(w, failure.Error(), http.StatusBadGateway)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(page)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
