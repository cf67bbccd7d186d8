//go:debug httpmuxgo121=0

// Looks paths up in the ServeMux of Go's standard library.
//
// Standard input: the number of routes, the routes, the number of paths, the paths, how many to look up at a time;
// then a line for each time. Standard output: a line when the routes are there, and after each time.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	line := func() string {
		text, err := in.ReadString('\n')
		if err != nil {
			os.Exit(0)
		}
		return text[:len(text)-1]
	}
	number := func() int {
		n, err := strconv.Atoi(line())
		if err != nil {
			panic(err)
		}
		return n
	}
	mux := http.NewServeMux()
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for n := number(); n > 0; n-- {
		mux.Handle("GET "+line(), handler)
	}
	paths := make([]string, number())
	for i := range paths {
		paths[i] = line()
	}
	step := number()
	fmt.Println("ready")
	request := http.Request{Method: "GET", Host: "api.example.com", URL: &url.URL{}}
	for next := 0; ; {
		line()
		for _, path := range paths[next : next+step] {
			request.URL.Path = path
			if _, pattern := mux.Handler(&request); pattern == "" {
				panic(path)
			}
		}
		if next += step; next+step > len(paths) {
			next = 0
		}
		fmt.Println("done")
	}
}
