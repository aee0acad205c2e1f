// Go's net/http with one client, one transport and N goroutines, each reading its answers to the
// end so that connections are reused.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: peer_go BASE_URL REQUESTS IN_FLIGHT")
		os.Exit(2)
	}
	base := os.Args[1]
	requests, _ := strconv.ParseInt(os.Args[2], 10, 64)
	inFlight, _ := strconv.Atoi(os.Args[3])
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns:        inFlight,
		MaxIdleConnsPerHost: inFlight,
		DisableCompression:  true,
	}}

	var next, ok atomic.Int64
	var workers sync.WaitGroup
	begin := time.Now()
	for i := 0; i < inFlight; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for {
				number := next.Add(1) - 1
				if number >= requests {
					return
				}
				answer, err := client.Get(base + "/products/" + strconv.FormatInt(number%1000+1, 10))
				if err != nil {
					continue
				}
				count, err := io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if err == nil && count > 0 && answer.StatusCode == http.StatusOK {
					ok.Add(1)
				}
			}
		}()
	}
	workers.Wait()
	seconds := time.Since(begin).Seconds()

	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": requests, "seconds": seconds, "peak_rss_kb": used.Maxrss, "ok": ok.Load(),
	})
}
