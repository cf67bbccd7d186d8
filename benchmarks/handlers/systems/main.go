// The handlers of the experiment on net/http and encoding/json.

// Built without a go.mod, the toolchain takes the program for one of before 1.22, whose mux knows no methods.
//
//go:debug httpmuxgo121=0
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
)

type Quote struct {
	ID     int      `json:"id"`
	Symbol string   `json:"symbol"`
	Price  float64  `json:"price"`
	Size   int      `json:"size"`
	Open   bool     `json:"open"`
	Tags   []string `json:"tags"`
}

type Line struct {
	SKU   string  `json:"sku"`
	Count int     `json:"count"`
	Price float64 `json:"price"`
}

type Customer struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

type Order struct {
	ID       int      `json:"id"`
	Customer Customer `json:"customer"`
	Lines    []Line   `json:"lines"`
	Note     string   `json:"note"`
}

func answer(w http.ResponseWriter, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(data)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /quotes/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			http.Error(w, "not an integer", 422)
			return
		}
		answer(w, Quote{id, "ACME", 12.5, 100, true, []string{"nyse", "tech"}})
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		var order Order
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&order); err != nil {
			http.Error(w, err.Error(), 422)
			return
		}
		answer(w, order)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], mux))
}
