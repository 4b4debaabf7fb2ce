// Greets the names on its command line, on standard output or by HTTP with --port NUMBER.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"

	"example.com/words"
)

type report struct {
	Greeting  string   `json:"greeting"`
	Arguments []string `json:"arguments"`
	PID       int      `json:"pid"`
}

func main() {
	port := flag.Int("port", 0, "answer by HTTP on this port")
	flag.Parse()
	names := flag.Args()
	if len(names) == 0 {
		names = []string{"world"}
	}
	answer, err := json.Marshal(report{"Hello, " + words.List(names) + "!", os.Args[1:], os.Getpid()})
	if err != nil {
		log.Fatal(err)
	}
	if *port == 0 {
		fmt.Println(string(answer))
		return
	}
	http.HandleFunc("/hello", func(response http.ResponseWriter, _ *http.Request) {
		response.Header().Set("Content-Type", "application/json")
		response.Write(answer)
	})
	log.Fatal(http.ListenAndServe(fmt.Sprintf(":%d", *port), nil))
}
